"""Universal adversarial perturbations: one perturbation for many images."""

from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from attacks.arrays import as_tensor
from attacks.classifier import Classifier
from attacks.norms import L1, L2, LINF, Budget, Norm, finite, named_norm, per_sample
from attacks.objectives import margin
from attacks.samples import Samples, budgets
from attacks.unbounded.weightings import CAP, WEIGHTINGS, standings

_NORMS = ("linf", "l2")


def universal(
    classifier: Classifier,
    images: Tensor,
    labels: Tensor,
    *,
    eps: Budget,
    norm: Norm | str = LINF,
    steps: int = 100,
    step_size: float | None = None,
    cap: float = CAP,
    targeted: bool = False,
    batch_size: int | None = None,
    indices: Tensor | None = None,
) -> Tensor:
    """Add to all images of the call the one perturbation that fools most of them (`universal_perturbation`).

    A sample's result depends on all samples of the call, as the threat model demands: several calls on parts of the
    data find several perturbations. Nothing is drawn, so `indices` has no effect. To attack unseen images, take the
    perturbation from `universal_perturbation` and add it to them.
    """
    delta = universal_perturbation(
        classifier,
        images,
        labels,
        eps=eps,
        norm=norm,
        steps=steps,
        step_size=step_size,
        cap=cap,
        targeted=targeted,
        batch_size=batch_size,
    )
    norm, images = named_norm(norm), as_tensor(images, "images")
    return norm.project(images.detach() + delta, images.detach(), budgets(eps, images, norm))


def universal_perturbation(
    classifier: Classifier,
    images: Tensor,
    labels: Tensor,
    *,
    eps: Budget,
    norm: Norm | str = LINF,
    steps: int = 100,
    step_size: float | None = None,
    cap: float = CAP,
    targeted: bool = False,
    batch_size: int | None = None,
) -> Tensor:
    """Find the (1, C, H, W) perturbation within eps that fools most of the images together.

    The aim is that of Moosavi-Dezfooli et al. (2017), the method that of Shafahi et al. (2020): projected gradient
    ascent on the sum over all images. It runs twice: once weighting all images alike until they are `cap` budgets
    beyond the boundary (in the linearised network, whatever the scale of the logits), once weighting those nearest to
    the boundary first, because images out of reach would outvote them (`attacks.unbounded.weightings`). Of all steps of
    both, the perturbation that fools most is kept; of equals, the one with the larger mean standing.

    The norm is linf or l2. With one eps a sample, the perturbation is projected onto each image's own ball. Each run
    costs steps + 1 forward and backward passes an image; `batch_size` bounds the images of a pass and changes no
    result. `step_size` defaults to 2.5 * eps / steps.
    """
    norm = named_norm(norm)
    _check(norm, steps, cap)
    samples = Samples.of(images, labels, eps=eps, norm=norm, targeted=targeted, indices=None)
    images = samples.images
    delta = samples.images.new_zeros(1, *images.shape[1:])
    if len(samples) == 0:
        return delta
    widest = samples.eps.amax(dim=0, keepdim=True)
    length = 2.5 * widest / steps if step_size is None else budgets(step_size, delta, norm, option="step_size")
    parts = samples.rows.split(batch_size or len(samples))

    with classifier.frozen():
        best = _Best(delta, delta.new_full((2,), -torch.inf))
        for weighting in WEIGHTINGS:
            delta = torch.zeros_like(delta)
            for step in range(steps + 1):
                current = norm.project(samples.images + delta, samples.images, samples.eps)
                found = [_look(classifier, samples.select(rows), current[rows]) for rows in parts]
                fooled, values, gradients = (torch.cat(column) for column in zip(*found, strict=True))
                slopes = samples.eps * (L1 if norm.name == "linf" else L2).size(gradients)  # the dual norm
                standing = standings(values, slopes)
                best = best.or_better(delta, fooled, standing.clamp(-1, cap))
                weights = weighting(standing, slopes, step / steps, cap=cap)[:, None, None, None]
                climbs = torch.where(_room(gradients, current), gradients * weights, 0)
                climb = climbs.sum(dim=0, keepdim=True)
                delta = _within(delta + norm.steepest(climb, delta, length), norm, widest)
    return best.delta


class _Best(NamedTuple):
    """The best perturbation so far, and its `score` (2,): the share of fooled samples and their mean standing."""

    delta: Tensor
    score: Tensor

    def or_better(self, delta: Tensor, fooled: Tensor, standing: Tensor) -> "_Best":
        """The better of this and another perturbation, chosen without waiting for the device."""
        score = torch.stack([fooled.to(standing.dtype).mean(), standing.mean()])
        better = (score[0] > self.score[0]) | ((score[0] == self.score[0]) & (score[1] > self.score[1]))
        return _Best(torch.where(better, delta, self.delta), torch.where(better, score, self.score))


def _look(classifier: Classifier, samples: Samples, current: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Evaluate samples: whether they are fooled (N,), their margins (N,), and the margins' gradients (N, C, H, W)."""
    found = classifier.gradient(current, partial(samples.objective, loss=margin), rows=samples.rows)
    return samples.fooled(found.logits), torch.nan_to_num(found.values, nan=-1e6), finite(found.gradient)


def _room(gradients: Tensor, current: Tensor) -> Tensor:
    """Where a pixel can follow its gradient: not at its bound."""
    return torch.where(gradients > 0, current < 1, current > 0)


def _within(delta: Tensor, norm: Norm, eps: Tensor) -> Tensor:
    """Project a perturbation onto the ball; the bounds [0, 1] are applied to each image."""
    radius = per_sample(eps, delta)
    if norm.name == "linf":
        return delta.clamp(-radius, radius)
    size = per_sample(norm.size(delta), delta)
    return delta * (radius / size.clamp(min=torch.finfo(delta.dtype).tiny)).clamp(max=1)


def _check(norm: Norm, steps: int, cap: float) -> None:
    if norm.name not in _NORMS:
        raise ValueError(f"a universal perturbation has no norm {norm.name}: choose from {', '.join(_NORMS)}")
    if steps < 1:
        raise ValueError(f"steps must be 1 or more; got {steps}")
    if cap <= 0:
        raise ValueError(f"cap must be above 0, where a sample is fooled; got {cap}")
