"""DDN: gradient steps on a sphere whose radius shrinks while the sample is fooled and grows while it is not."""

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from attacks.classifier import Classifier
from attacks.minimal.nearest import Nearest, conclude, cosine, farthest, free, onto_sphere
from attacks.norms import L2, Budget, Norm, named_norm
from attacks.queue import drive
from attacks.samples import Samples


def ddn(
    classifier: Classifier,
    images: Tensor,
    labels: Tensor,
    *,
    eps: Budget | None = None,
    norm: Norm | str = L2,
    steps: int = 100,
    gamma: float = 0.05,
    start_size: float = 1.0,
    search_steps: int = 8,
    targeted: bool = False,
    batch_size: int | None = None,
    compact: bool = True,
    indices: Tensor | None = None,
) -> Tensor:
    """Search the nearest image in l2 that fools, with direction and norm decoupled (Rony et al., 2019).

    Every step moves along the normalised gradient, by a length that falls from 1 to 0.01, and rescales the perturbation
    to a radius, which starts at `start_size` and shrinks or grows by the factor 1 -/+ `gamma`. Unlike the paper, it
    zeroes the gradient of pixels that would leave [0, 1]. The nearest fooling image of all steps is kept;
    `search_steps` bisection steps then reduce it. Costs a forward and a backward pass a step and a forward pass a
    bisection step.

    Without `eps` the smallest change is searched, and an image that nothing fools comes back as it was. With `eps` a
    sample leaves at the first image within it that fools; where there is none, the best try is projected. A gradient of
    zero moves nothing. Nothing is drawn, so `indices` has no effect.
    """
    norm = named_norm(norm)
    _check(norm, steps=steps, gamma=gamma, start_size=start_size, search_steps=search_steps)
    samples = Samples.of(images, labels, eps=eps, norm=norm, targeted=targeted, indices=indices)
    images = samples.images
    lengths = cosine(1.0, 0.01, steps, images)
    with classifier.frozen():
        states = drive(
            samples,
            begin=partial(_State.of, radius=start_size),
            advance=partial(_advance, classifier, lengths, gamma),
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
    radius: Tensor
    step: Tensor
    nearest: Nearest
    done: Tensor

    @classmethod
    def of(cls, samples: Samples, radius: float) -> "_State":
        step = torch.zeros_like(samples.rows)
        radii = torch.full_like(samples.eps, radius)
        return cls(samples, samples.images, radii, step, Nearest.of(samples), step > 0)


def _advance(classifier: Classifier, lengths: Tensor, gamma: float, state: _State) -> _State:
    samples, images, step = state.samples, state.samples.images, state.step.clamp(max=len(lengths) - 1)

    # Look.
    found = classifier.gradient(state.current, samples.objective, rows=samples.rows)
    fooled, sizes = samples.fooled(found.logits), L2.size(state.current - images)
    nearest = state.nearest.offered(
        samples, state.current, fooled=fooled, sizes=sizes, values=found.values, closed=state.done
    )

    # Step along the gradient, then onto the sphere, and into [0, 1].
    radius = (state.radius * torch.where(fooled, 1 - gamma, 1 + gamma)).minimum(L2.size(farthest(images)))
    delta = state.current - images + L2.steepest(free(found.gradient, state.current), images, lengths[step])
    done = nearest.settled | (state.step + 1 >= len(lengths))
    return _State(samples, (images + onto_sphere(delta, radius)).clamp(0, 1), radius, state.step + 1, nearest, done)


def _check(norm: Norm, *, steps: int, gamma: float, start_size: float, search_steps: int) -> None:
    if norm.name != "l2":
        raise ValueError(f"ddn has no {norm.name} form: its norm is l2 (fmn takes every norm)")
    if steps < 1 or search_steps < 0:
        raise ValueError(f"steps must be 1 or more and search_steps 0 or more; got {steps} and {search_steps}")
    if not 0 < gamma < 1:
        raise ValueError(f"gamma must be between 0 and 1; got {gamma}")
    if not start_size > 0:
        raise ValueError(f"start_size must be above 0; got {start_size}")
