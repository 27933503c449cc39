"""FMN: gradient steps projected onto a ball that shrinks while the sample is fooled and grows while it is not."""

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from attacks.classifier import Classifier
from attacks.minimal.nearest import Nearest, conclude, cosine, farthest, free, margins, onto_sphere
from attacks.norms import L2, LINF, NORMS, Budget, Norm, finite, named_norm
from attacks.objectives import contenders, log_odds
from attacks.queue import drive
from attacks.samples import Samples

_DUALS = {"linf": "l1", "l2": "l2", "l1": "linf"}
_FIRST_GROWTH = 0.2  # growth of the l0 radius a step until one fools: 100 values after 23 steps instead of 61


def fmn(
    classifier: Classifier,
    images: Tensor,
    labels: Tensor,
    *,
    eps: Budget | None = None,
    norm: Norm | str = LINF,
    steps: int = 100,
    step_size: float = 1.0,
    gamma: float = 0.05,
    search_steps: int = 8,
    targeted: bool = False,
    batch_size: int | None = None,
    compact: bool = True,
    indices: Tensor | None = None,
) -> Tensor:
    """Search the nearest image that fools by a ball of adaptive radius (Pintor et al., 2021), in linf, l2, l1 or l0.

    Every step moves along the gradient by an l2 length that falls from `step_size` to a hundredth of it, and projects
    onto the ball. Until an iterate has fooled, the radius is the linearised distance to the boundary plus a share of
    it; after, it shrinks or grows by that share, which falls from `gamma` to 0.001. In l0 it counts single values,
    starts at 1 and grows by a fifth until an iterate has fooled. The nearest fooling image of all steps is
    kept; `search_steps` bisection steps then reduce it. Costs a forward and a backward pass a step and a forward pass a
    bisection step.

    It differs from the paper where that fools more images, or with smaller changes, on trained networks. Until an
    iterate has fooled, the loss is a soft margin over all other classes (`_soft_margin`), only then the margin. The
    gradient of pixels that would leave [0, 1] is zeroed, and in l0 it is weighted by the room to the bound. In l2 the
    perturbation is scaled to the surface of the ball, as in DDN.

    Without `eps` the smallest change is searched, and an image that nothing fools comes back as it was. With `eps` a
    sample leaves at the first image within it that fools; where there is none, the best try is projected. Nothing is
    drawn, so `indices` has no effect.
    """
    norm = named_norm(norm)
    _check(norm, steps=steps, step_size=step_size, gamma=gamma, search_steps=search_steps)
    samples = Samples.of(images, labels, eps=eps, norm=norm, targeted=targeted, indices=indices)
    images = samples.images
    lengths, shares = cosine(step_size, step_size / 100, steps, images), cosine(gamma, 0.001, steps, images)
    with classifier.frozen():
        states = drive(
            samples,
            begin=partial(_State.of, norm=norm),
            advance=partial(_advance, classifier, norm, lengths, shares),
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
    def of(cls, samples: Samples, norm: Norm) -> "_State":
        step = torch.zeros_like(samples.rows)
        radius = torch.full_like(samples.eps, 1 if norm.name == "l0" else torch.inf)
        return cls(samples, samples.images, radius, step, Nearest.of(samples), step > 0)


def _advance(classifier: Classifier, norm: Norm, lengths: Tensor, shares: Tensor, state: _State) -> _State:
    samples, images, step = state.samples, state.samples.images, state.step.clamp(max=len(lengths) - 1)

    # Evaluate: the soft margin over all other classes until an iterate has fooled, then the margin.
    found_none = state.nearest.sizes.isinf()
    found = classifier.gradient(state.current, partial(_objective, samples, found_none), rows=samples.rows)
    fooled, sizes = samples.fooled(found.logits), norm.size(state.current - images)
    gradient = free(found.gradient, state.current)
    nearest = state.nearest.offered(
        samples, state.current, fooled=fooled, sizes=sizes, values=found.values, closed=state.done
    )

    # Adapt the radius.
    share = shares[step]
    if norm.name == "l0":
        smaller = (state.radius - 1).minimum((state.radius * (1 - share)).floor()).minimum(nearest.sizes).clamp(min=1)
        growth = torch.where(nearest.sizes.isfinite(), share, _FIRST_GROWTH)
        larger = (state.radius + 1).maximum((state.radius * (1 + growth)).floor())
    else:
        slope = NORMS[_DUALS[norm.name]].size(gradient)
        ahead = finite(found.values.abs() / torch.where(slope > 0, slope, 1))
        smaller = (state.radius * (1 - share)).minimum(nearest.sizes)
        larger = torch.where(nearest.sizes.isfinite(), state.radius, sizes + ahead) * (1 + share)
    radius = torch.where(fooled, smaller, larger).minimum(norm.size(farthest(images)))

    # Step, then back into ball and bounds.
    if norm.name == "l0":  # a large gradient is of little use to a pixel near its bound
        gradient = gradient * torch.where(gradient > 0, 1 - state.current, state.current)
    candidate = state.current + L2.steepest(gradient, images, lengths[step])
    if norm.name == "l2":
        candidate = images + onto_sphere(candidate - images, radius)
    done = nearest.settled | (state.step + 1 >= len(lengths))
    return _State(samples, norm.project(candidate, images, radius), radius, state.step + 1, nearest, done)


def _objective(samples: Samples, found_none: Tensor, logits: Tensor) -> Tensor:
    unaided = found_none.clone()  # in inference mode autograd would refuse the mask itself
    return torch.where(unaided, samples.objective(logits, loss=_soft_margin), margins(samples, logits))


def _soft_margin(logits: Tensor, labels: Tensor, *, targeted: bool = False) -> Tensor:
    """The log-odds of logits rescaled to a standard deviation of 3 over `contenders`, scaled back to logits."""
    values = logits.detach()
    counts = contenders(values)
    number = counts.sum(dim=1, keepdim=True)
    mean = torch.where(counts, values, 0).sum(dim=1, keepdim=True) / number
    spread = torch.where(counts, values - mean, 0).square().sum(dim=1) / number.squeeze(1)
    unit = spread.sqrt() / 3
    unit = torch.where(unit > 0, unit, 1)
    return unit * log_odds(logits / unit[:, None], labels, targeted=targeted)


def _check(norm: Norm, *, steps: int, step_size: float, gamma: float, search_steps: int) -> None:
    if norm.name != "l0" and norm.name not in _DUALS:
        raise ValueError(f"fmn has no {norm.name} form: choose from linf, l2, l1, l0")
    if steps < 1 or search_steps < 0:
        raise ValueError(f"steps must be 1 or more and search_steps 0 or more; got {steps} and {search_steps}")
    if not step_size > 0:
        raise ValueError(f"step_size must be above 0; got {step_size}")
    if not 0 < gamma < 1:
        raise ValueError(f"gamma must be between 0 and 1; got {gamma}")
