"""Projected gradient ascent: the loop that PGD and its kin share, over a queue of samples."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from attacks.classifier import Classifier, Gradient
from attacks.kept import Kept
from attacks.norms import Norm, finite, unit_max
from attacks.queue import drive
from attacks.samples import Samples


@dataclass(frozen=True)
class _Climbing:
    """Where each sample stands."""

    samples: Samples
    current: Tensor
    climb: Tensor
    """(N, C, H, W): the sum of gradients that momentum keeps."""
    step: Tensor
    done: Tensor


def ascend(
    classifier: Classifier,
    samples: Samples,
    kept: Kept,
    *,
    start: Callable[[Samples], Tensor],
    objective: Callable[[Samples, Tensor], Tensor],
    norm: Norm,
    steps: int,
    lengths: Tensor,
    momentum: float = 0.0,
    eot: int = 1,
    batch_size: int | None = None,
    compact: bool = True,
) -> None:
    """Climb from `start` for some steps, and offer every iterate to `kept`; the last one only if its rule is `best`.

    `objective` maps samples and their (N, classes) logits to the (N,) values to raise, `lengths` are the steps of each
    sample of the batch that came in. Under the rule `first` a sample leaves in the pass that finds it fooled. Under the
    others none leaves early, so that all steps are taken at once, without waiting for the device in between.
    """

    def begin(samples: Samples) -> _Climbing:
        current = start(samples)
        return _Climbing(
            samples=samples,
            current=current,
            climb=torch.zeros_like(current),
            step=torch.zeros_like(samples.rows),
            done=torch.zeros_like(samples.rows, dtype=torch.bool),
        )

    def step(state: _Climbing) -> _Climbing:
        samples = state.samples
        found = look(classifier, samples, state.current, objective, passes=eot)
        kept.offer(samples, state.current, found.logits, found.values)
        climb = momentum * state.climb + unit_mean(finite(found.gradient))
        move = norm.step(climb, state.current, lengths[samples.rows])
        current = norm.project(state.current + move, samples.images, samples.eps)
        return replace(state, current=current, climb=climb, step=state.step + 1)

    def advance(state: _Climbing) -> _Climbing:
        state = step(state)
        return replace(state, done=(state.step == steps) | kept.fooled[state.samples.rows])

    def whole(part: Samples) -> _Climbing:
        state = begin(part)
        for _ in range(steps):
            state = step(state)
        if kept.rule == "best":
            answer(classifier, part, state.current, objective, kept, passes=eot)
        return state

    ends = (
        drive(samples, begin=begin, advance=advance, batch_size=batch_size)
        if compact and kept.rule == "first"
        else map(whole, samples.split(batch_size))
    )
    for ended in ends:
        kept.close(ended.samples, ended.current)


def look(
    classifier: Classifier,
    samples: Samples,
    images: Tensor,
    objective: Callable[[Samples, Tensor], Tensor],
    *,
    passes: int = 1,
) -> Gradient:
    """Gradient, values and logits at the images; of a random network their mean over several passes.

    The mean gradient is that of the expectation over the network's draws (EOT: Athalye et al., 2018).
    """
    found = [
        classifier.gradient(images, lambda logits: objective(samples, logits), rows=samples.rows) for _ in range(passes)
    ]
    return found[0] if passes == 1 else Gradient(*(torch.stack(each).mean(dim=0) for each in zip(*found, strict=True)))


def answer(
    classifier: Classifier,
    samples: Samples,
    images: Tensor,
    objective: Callable[[Samples, Tensor], Tensor],
    kept: Kept,
    *,
    passes: int = 1,
) -> None:
    """Offer images without a gradient: forward passes alone."""
    logits = torch.stack([classifier.logits(images, rows=samples.rows) for _ in range(passes)]).mean(dim=0)
    kept.offer(samples, images, logits, objective(samples, logits))


def unit_mean(gradient: Tensor) -> Tensor:
    """Each sample's gradient divided by its mean absolute value; a gradient of zeros stays."""
    scaled = unit_max(gradient)
    mean = scaled.abs().mean(dim=(1, 2, 3), keepdim=True)
    return scaled / torch.where(mean > 0, mean, 1)
