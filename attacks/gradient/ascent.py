"""Projected gradient ascent: the loop of PGD, BIM, MI-FGSM and KL-PGD, over a queue of samples."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from attacks.classifier import Classifier, Gradient
from attacks.clock import Clock
from attacks.kept import Kept
from attacks.norms import LINF, Box, Norm, finite, per_sample, unit_max
from attacks.queue import drive
from attacks.samples import Samples


@dataclass(frozen=True)
class _Climbing:
    """The state of the ascent; one row a sample."""

    samples: Samples
    box: Box | None
    lengths: Tensor
    """(N, 1, 1, 1): the step size."""
    looked: Tensor
    """(N, C, H, W): the iterate that was evaluated last."""
    current: Tensor
    """(N, C, H, W): the iterate to evaluate next."""
    climb: Tensor | None
    """(N, C, H, W): the gradients accumulated by momentum; None without momentum."""
    born: Tensor
    fooled: Tensor
    """(N,) bool: whether the iterate `looked` fools."""
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
    """Ascend from `start` for `steps`, and offer every iterate to `kept`; the last one only if its rule is `best`.

    `objective` maps samples and their (N, classes) logits to the (N,) values to raise; `lengths` (N,) are the step
    sizes of the samples of the whole call. Under the rule `first` a sample leaves in the pass that finds it fooled.
    Under the others none leaves early, so no step waits for the device.
    """

    clock = Clock(steps)

    def begin(samples: Samples) -> _Climbing:
        current = start(samples)
        nobody = torch.zeros_like(samples.rows, dtype=torch.bool)
        return _Climbing(
            samples=samples,
            box=Box.of(norm, samples.images, samples.eps),
            lengths=per_sample(lengths[samples.rows], current),
            looked=current,
            current=current,
            climb=torch.zeros_like(current) if momentum else None,
            born=clock.join(samples),
            fooled=nobody,
            done=nobody,
        )

    def step(state: _Climbing) -> tuple[_Climbing, Gradient]:
        samples, current = state.samples, state.current
        found = look(classifier, samples, current, objective, passes=eot)
        slope = finite(found.gradient)
        if norm is not LINF or state.climb is not None:  # plain linf steps use signs alone
            slope = unit_mean(slope)
        if state.climb is not None:
            slope = momentum * state.climb + slope
        climb = None if state.climb is None else slope
        if state.box is None:
            move = norm.step(slope, current, state.lengths)
            following = norm.project(current + move, samples.images, samples.eps)
        else:
            following = state.box.step(slope, current, state.lengths)
        return replace(state, looked=current, current=following, climb=climb), found

    def advance(state: _Climbing) -> _Climbing:
        ages = clock.ages(state.born)
        state, found = step(state)
        clock.tick()
        fooled = state.samples.fooled(found.logits)
        return replace(state, fooled=fooled, done=fooled | ages.are(steps - 1) if steps - 1 in ages.present else fooled)

    def whole(part: Samples) -> _Climbing:
        state = begin(part)
        for _ in range(steps):
            state, found = step(state)
            kept.offer(part, state.looked, found.logits, found.values)
        if kept.rule == "best":
            answer(classifier, part, state.current, objective, kept, passes=eot)
        return state

    if compact and kept.rule == "first":
        for ended in drive(samples, begin=begin, advance=advance, batch_size=batch_size):
            kept.take(ended.samples, ended.looked, ended.fooled, ended.samples.eps)
            kept.close(ended.samples, ended.current)
    else:
        for ended in map(whole, samples.split(batch_size)):
            kept.close(ended.samples, ended.current)


def look(
    classifier: Classifier,
    samples: Samples,
    images: Tensor,
    objective: Callable[[Samples, Tensor], Tensor],
    *,
    passes: int = 1,
) -> Gradient:
    """Evaluate gradient, values and logits at the images, averaged over `passes` where the network is random.

    Averaging estimates the gradient of the expectation over the network's draws (EOT: Athalye et al., 2018).
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
    """Evaluate images by forward passes alone, and offer them to `kept`."""
    logits = torch.stack([classifier.logits(images, rows=samples.rows) for _ in range(passes)]).mean(dim=0)
    kept.offer(samples, images, logits, objective(samples, logits))


def unit_mean(gradient: Tensor) -> Tensor:
    """Each sample's gradient divided by its mean absolute value; a gradient of zeros stays."""
    scaled = unit_max(gradient)
    mean = scaled.abs().mean(dim=(1, 2, 3), keepdim=True)
    return scaled / torch.where(mean > 0, mean, 1)
