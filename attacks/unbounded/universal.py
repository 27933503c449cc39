"""One perturbation for many images at once."""

import torch
from torch import Tensor

from attacks.arrays import as_tensor
from attacks.classifier import Classifier
from attacks.norms import LINF, Budget, Norm, named_norm, per_sample
from attacks.samples import Samples, budgets

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
    cap: float = 1.0,
    targeted: bool = False,
    batch_size: int | None = None,
    indices: Tensor | None = None,
) -> Tensor:
    """Add to all images of the call the one perturbation that fools most of them: `universal_perturbation`.

    A sample's result depends on the samples beside it, as the threat model says: batches never add up to the whole.
    Nothing is drawn, so `indices` has no effect. To fool images that were not at hand, take the perturbation from
    `universal_perturbation` and add it to them.
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
    cap: float = 1.0,
    targeted: bool = False,
    batch_size: int | None = None,
) -> Tensor:
    """Find the (1, C, H, W) perturbation within eps that fools most of the images together.

    The aim is that of Moosavi-Dezfooli et al. (2017), the way that of Shafahi et al. (2020): projected gradient ascent
    of the mean objective over all images, each cut at `cap`, so that images that are fooled already do not outweigh the
    rest. The objective is the log-odds, whose slope does not fade for a sample that is safe, and 1 is just beyond the
    boundary. Of all steps the perturbation that fools most is kept, with equal numbers the one with the larger mean.
    The norm is linf or l2. With one eps a sample, each image gets what of the perturbation lies in its own ball.

    All images pass through the network steps + 1 times forwards and backwards, at most `batch_size` at once, which
    changes nothing. `step_size` defaults to 2.5 * eps / steps.
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
    best, best_score = delta, delta.new_full((2,), -torch.inf)

    with classifier.frozen():
        for _ in range(steps + 1):
            # Look at all images.
            current = norm.project(samples.images + delta, samples.images, samples.eps)
            parts = samples.rows.split(batch_size or len(samples))
            found = [_look(classifier, samples.select(rows), current[rows], cap) for rows in parts]
            fooled, values, gradients = (torch.cat(column) for column in zip(*found, strict=True))

            # Keep the best, without waiting for the device.
            score = torch.stack([fooled.to(values.dtype).mean(), values.mean()])
            better = (score[0] > best_score[0]) | ((score[0] == best_score[0]) & (score[1] > best_score[1]))
            best, best_score = torch.where(better, delta, best), torch.where(better, score, best_score)

            # Step.
            climb = gradients.sum(dim=0, keepdim=True)
            delta = _within(delta + norm.steepest(climb, delta, length), norm, widest)
    return best


def _look(classifier: Classifier, samples: Samples, current: Tensor, cap: float) -> tuple[Tensor, Tensor, Tensor]:
    """Who is fooled (N,), the objectives cut at the cap (N,), and the gradients (N, C, H, W) of those below it."""
    found = classifier.gradient(current, samples.objective, rows=samples.rows)
    gradient = torch.nan_to_num(found.gradient, nan=0.0, posinf=0.0, neginf=0.0)  # nor may one sample drown the rest
    below = (found.values < cap)[:, None, None, None]
    room = torch.where(gradient > 0, current < 1, current > 0)  # a pixel at its bound cannot follow
    values = torch.nan_to_num(found.values, nan=-1e6).clamp(max=cap)
    return samples.fooled(found.logits), values, torch.where(below & room, gradient, 0)


def _within(delta: Tensor, norm: Norm, eps: Tensor) -> Tensor:
    """Bring a perturbation into the ball; there is no box, which belongs to the images."""
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
