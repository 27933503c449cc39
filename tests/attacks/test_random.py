import math

import pytest
import torch
from scipy import stats

from attacks import random

EVERY = torch.arange(4000)


@pytest.mark.parametrize("draw", [random.uniform, random.normal])
def test_a_sample_draws_the_same_in_any_batch_and_any_order(draw) -> None:
    whole = draw(3, EVERY[:50], (2, 5), stream=4)
    shuffled = random.permutation(0, 50)
    assert torch.equal(draw(3, EVERY[:50][shuffled], (2, 5), stream=4), whole[shuffled])
    assert torch.equal(torch.cat([draw(3, EVERY[k : k + 7], (2, 5), stream=4) for k in range(0, 50, 7)])[:50], whole)


def test_uniform_values_are_uniform_over_samples_and_over_positions() -> None:
    values = random.uniform(0, EVERY, (30,), dtype=torch.float64)
    assert stats.kstest(values.flatten().numpy(), "uniform").pvalue > 1e-3
    assert stats.kstest(values[0].numpy(), "uniform").pvalue > 1e-3
    assert stats.kstest(values[:, 0].numpy(), "uniform").pvalue > 1e-3
    assert values.mean().item() == pytest.approx(0.5, abs=5 / math.sqrt(12 * values.numel()))
    assert values.var().item() == pytest.approx(1 / 12, rel=0.01)


def test_uniform_values_are_open_at_both_ends_and_the_same_in_float32() -> None:
    values = random.uniform(1, EVERY, (1000,))
    assert values.dtype == torch.float32
    assert 0 < values.min() < 1e-6
    assert 1 - 1e-6 < values.max() < 1
    assert torch.equal(values.double(), random.uniform(1, EVERY, (1000,), dtype=torch.float64))
    assert (values != 0.5).all()


def test_the_extreme_hashes_stay_inside_the_interval_in_float32() -> None:
    extreme = torch.tensor([-1, 0, -(1 << 63)], dtype=torch.int64)
    values = random._unit_interval(extreme, torch.float32)
    assert values.tolist() == [1 - 2**-24, 2**-24, 0.5 + 2**-24]


def test_normal_values_have_normal_moments_and_tails() -> None:
    values = random.normal(2, EVERY, (30,), dtype=torch.float64).flatten()
    count = len(values)
    assert stats.kstest(values.numpy(), "norm").pvalue > 1e-3
    assert values.mean().item() == pytest.approx(0, abs=4 / math.sqrt(count))
    assert values.var().item() == pytest.approx(1, abs=4 * math.sqrt(2 / count))
    assert (values**4).mean().item() == pytest.approx(3, abs=4 * math.sqrt(96 / count))
    assert (values.abs() > 3).double().mean().item() == pytest.approx(0.0027, rel=0.3)


def test_seeds_streams_and_neighbouring_samples_are_independent() -> None:
    def draw(seed: int = 0, shift: int = 0, stream: int = 0) -> torch.Tensor:
        return random.uniform(seed, EVERY + shift, (25,), stream=stream, dtype=torch.float64).flatten() - 0.5

    origin = draw()
    for other in (draw(seed=1), draw(stream=1), draw(shift=1), draw(seed=1, stream=1), origin.roll(1), origin.roll(25)):
        correlation = (origin * other).mean() * 12
        assert abs(correlation.item()) < 4.5 / math.sqrt(len(origin))


def test_a_permutation_holds_every_number_once_and_epochs_differ() -> None:
    orders = [random.permutation(7, 100, stream=epoch) for epoch in range(3)]
    assert all(torch.equal(order.sort().values, torch.arange(100)) for order in orders)
    assert not torch.equal(orders[0], orders[1])
    assert not torch.equal(orders[0], torch.arange(100))
    assert torch.equal(orders[2], random.permutation(7, 100, stream=2))


def test_integers_reach_every_number_below_the_bound_equally_often() -> None:
    counts = random.integers(0, torch.arange(70_000), 7).bincount()
    assert len(counts) == 7
    assert stats.chisquare(counts.numpy()).pvalue > 1e-3


def test_a_seeded_block_repeats_itself_and_leaves_the_global_generator_alone() -> None:
    before = torch.get_rng_state()
    with random.seeded(5):
        first = torch.rand(3)
    with random.seeded(5):
        assert torch.equal(torch.rand(3), first)
    with random.seeded(5, stream=1):
        assert not torch.equal(torch.rand(3), first)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("draw", [random.uniform, random.normal])
@pytest.mark.parametrize("stream", [3, torch.arange(10)])
def test_parts_are_drawn_as_the_whole(draw, stream, monkeypatch) -> None:
    indices = torch.arange(10) * 7
    whole = draw(1, indices, (3, 5), stream=stream)
    monkeypatch.setitem(random._AT_ONCE, "cpu", 40)
    assert torch.equal(draw(1, indices, (3, 5), stream=stream), whole)
