"""A queue of samples gives each the steps it needs, whatever shares the batch with it."""

from dataclasses import dataclass, replace

import pytest
import torch
from torch import Tensor

from attacks.norms import LINF
from attacks.queue import drive, join, select
from attacks.samples import Samples


@dataclass(frozen=True)
class Countdown:
    samples: Samples
    step: Tensor
    done: Tensor


@pytest.fixture
def samples() -> Samples:
    """Sample k wants k % 5 + 1 steps: its label says so."""
    labels = torch.arange(20) % 5
    return Samples.of(torch.rand(20, 1, 2, 2), labels, eps=0.1, norm=LINF, targeted=False, indices=None)


def begin(samples: Samples) -> Countdown:
    nothing = torch.zeros(len(samples), dtype=torch.int64)
    return Countdown(samples, nothing, nothing > 0)


@pytest.mark.parametrize("compact", [True, False])
@pytest.mark.parametrize("batch_size", [None, 1, 3, 8, 50])
def test_every_sample_gets_its_steps_and_leaves_once(batch_size, compact, samples) -> None:
    sizes = []

    def advance(state: Countdown) -> Countdown:
        sizes.append(len(state.samples))
        step = torch.where(state.done, state.step, state.step + 1)
        return replace(state, step=step, done=step > state.samples.labels)

    steps = torch.full((20,), -1)
    for finished in drive(samples, begin=begin, advance=advance, batch_size=batch_size, compact=compact):
        assert (steps[finished.samples.rows] == -1).all()
        steps[finished.samples.rows] = finished.step
    assert torch.equal(steps, samples.labels + 1)
    assert max(sizes) == min(batch_size or 20, 20)
    if compact:
        assert sum(sizes) == int((samples.labels + 1).sum())  # nobody is advanced beyond its end


def test_the_batch_is_filled_up_again(samples) -> None:
    sizes = []

    def advance(state: Countdown) -> Countdown:
        sizes.append(len(state.samples))
        return replace(state, step=state.step + 1, done=state.step + 1 > state.samples.labels)

    list(drive(samples, begin=begin, advance=advance, batch_size=8))
    assert min(sizes[: len(sizes) // 2]) > 4


def test_nothing_in_nothing_out(samples) -> None:
    assert list(drive(samples.select(torch.arange(0)), begin=begin, advance=lambda state: state)) == []


def test_join_undoes_select(samples) -> None:
    state = begin(samples)
    again = join(select(state, torch.arange(7)), select(state, torch.arange(7, 20)))
    assert torch.equal(again.samples.images, samples.images)
    assert torch.equal(again.samples.rows, samples.rows)


def test_a_batch_of_no_samples_is_refused(samples) -> None:
    with pytest.raises(ValueError, match="batch_size must be 1 or more; got 0"):
        list(drive(samples, begin=begin, advance=lambda state: state, batch_size=0))
