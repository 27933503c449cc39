"""Sigma-zero: minimise a smooth approximation of the l0 norm, and zero small changes by an adaptive threshold."""

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from attacks.classifier import Classifier
from attacks.minimal.adam import Adam
from attacks.minimal.nearest import Nearest, conclude, cosine, margins
from attacks.norms import L0, Budget, Norm, finite, named_norm, per_sample, unit_max
from attacks.queue import drive
from attacks.samples import Samples

_FIRST_THRESHOLD, _THRESHOLD_RATE = 0.3, 0.01


def sigma_zero(
    classifier: Classifier,
    images: Tensor,
    labels: Tensor,
    *,
    eps: Budget | None = None,
    norm: Norm | str = L0,
    steps: int = 1000,
    step_size: float = 1.0,
    sigma: float = 1e-3,
    search_steps: int = 8,
    targeted: bool = False,
    batch_size: int | None = None,
    compact: bool = True,
    indices: Tensor | None = None,
) -> Tensor:
    """Search the image with the fewest changed values that fools (Cinà et al., 2025).

    Adam descends max(0, -margin) plus the mean of delta^2 / (delta^2 + sigma), with gradients divided by their largest
    entry and a learning rate that falls from `step_size` to a tenth of it. After every step, changes below a threshold
    are set to 0; it starts at 0.3, rises by a hundredth of the learning rate while the sample is fooled and falls by
    as much while it is not. The fooling image with the fewest changes of all steps is kept; `search_steps` bisection
    steps then undo its smallest changes. Costs a forward and a backward pass a step, a forward pass a bisection step.

    Without `eps` the fewest changes are searched, and an image that nothing fools comes back as it was. With `eps` a
    sample leaves at the first image within it that fools; where there is none, the best try is projected. Nothing is
    drawn, so `indices` has no effect.
    """
    norm = named_norm(norm)
    _check(norm, steps=steps, step_size=step_size, sigma=sigma, search_steps=search_steps)
    samples = Samples.of(images, labels, eps=eps, norm=norm, targeted=targeted, indices=indices)
    images = samples.images
    lengths = cosine(step_size, step_size / 10, steps, images)
    with classifier.frozen():
        states = drive(
            samples,
            begin=_State.of,
            advance=partial(_advance, classifier, lengths, sigma),
            batch_size=batch_size,
            compact=compact,
        )
        return conclude(
            classifier, samples, norm, states, search_steps=search_steps, batch_size=batch_size, compact=compact
        )


@dataclass(frozen=True)
class _State:
    samples: Samples
    current: Tensor
    adam: Adam
    threshold: Tensor
    step: Tensor
    nearest: Nearest
    done: Tensor

    @classmethod
    def of(cls, samples: Samples) -> "_State":
        step, images = torch.zeros_like(samples.rows), samples.images
        threshold = torch.full_like(samples.eps, _FIRST_THRESHOLD)
        return cls(samples, images, Adam.of(images), threshold, step, Nearest.of(samples), step > 0)


def _advance(classifier: Classifier, lengths: Tensor, sigma: float, state: _State) -> _State:
    samples, images, step = state.samples, state.samples.images, state.step.clamp(max=len(lengths) - 1)

    # Look.
    found = classifier.gradient(state.current, partial(margins, samples), rows=samples.rows)
    fooled, delta = samples.fooled(found.logits), state.current - images
    nearest = state.nearest.offered(
        samples, state.current, fooled=fooled, sizes=L0.size(delta), values=found.values, closed=state.done
    )

    # Descend.
    count = 2 * sigma * delta / (delta * delta + sigma) ** 2 / delta[0].numel()
    lacking = per_sample(found.values < 0, images)
    adam, move = state.adam.move(
        unit_max(count - lacking * finite(found.gradient)), step, lengths[(step - 1).clamp(min=0)]
    )
    delta = (state.current + move).clamp(0, 1) - images

    # Set the small changes back.
    change = _THRESHOLD_RATE * lengths[step]
    threshold = (state.threshold + torch.where(fooled, change, -change)).clamp(0, 1)
    delta = torch.where(delta.abs() < per_sample(threshold, images), 0, delta)
    done = nearest.settled | (state.step + 1 >= len(lengths))
    return _State(samples, (images + delta).clamp(0, 1), adam, threshold, state.step + 1, nearest, done)


def _check(norm: Norm, *, steps: int, step_size: float, sigma: float, search_steps: int) -> None:
    if norm.name != "l0":
        raise ValueError(f"sigma_zero has no {norm.name} form: its norm is l0 (fmn takes every norm)")
    if steps < 1 or search_steps < 0:
        raise ValueError(f"steps must be 1 or more and search_steps 0 or more; got {steps} and {search_steps}")
    if not step_size > 0 or not sigma > 0:
        raise ValueError(f"step_size and sigma must be above 0; got {step_size} and {sigma}")
