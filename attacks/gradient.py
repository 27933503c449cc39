"""Attacks that climb the network's gradient: FGSM, its iterated form, with momentum, and PGD."""

import torch
from torch import Tensor

from attacks.classifier import Classifier
from attacks.kept import Keep, Kept
from attacks.norms import LINF, Budget, Norm, named_norm, unit_max
from attacks.samples import Samples, budgets


def fgsm(
    classifier: Classifier,
    images: Tensor,
    labels: Tensor,
    *,
    eps: Budget,
    norm: Norm | str = LINF,
    targeted: bool = False,
    indices: Tensor | None = None,
) -> Tensor:
    """Take one steepest step of length eps from the image (Goodfellow et al., 2015), in the geometry of any norm.

    In linf and l1 the result is the exact maximiser, within ball and [0, 1], of the objective made linear at the image;
    in l2 the exact step is cut at [0, 1]. Costs one forward and one backward pass. `indices` has no effect.
    """
    norm = named_norm(norm)
    samples = Samples.of(images, labels, eps=eps, norm=norm, targeted=targeted, indices=indices)
    if len(samples) == 0:
        return samples.images.clone()
    found = classifier.gradient(samples.images, samples.objective, rows=samples.rows)
    move = norm.steepest(_finite(found.gradient), samples.images, samples.eps)
    return norm.project(samples.images + move, samples.images, samples.eps)


def bim(
    classifier: Classifier,
    images: Tensor,
    labels: Tensor,
    *,
    eps: Budget,
    norm: Norm | str = LINF,
    steps: int = 10,
    step_size: Budget | None = None,
    targeted: bool = False,
    keep: Keep = "first",
    compact: bool = True,
    indices: Tensor | None = None,
) -> Tensor:
    """Iterate FGSM from the image itself (Kurakin et al., 2017): `pgd` without the random start, whose options it has.

    Nothing is drawn, so `indices` has no effect.
    """
    return pgd(
        classifier,
        images,
        labels,
        eps=eps,
        norm=norm,
        steps=steps,
        step_size=step_size,
        random_start=False,
        targeted=targeted,
        keep=keep,
        compact=compact,
        indices=indices,
    )


def mifgsm(
    classifier: Classifier,
    images: Tensor,
    labels: Tensor,
    *,
    eps: Budget,
    norm: Norm | str = LINF,
    steps: int = 10,
    step_size: Budget | None = None,
    momentum: float = 1.0,
    targeted: bool = False,
    keep: Keep = "last",
    compact: bool = True,
    indices: Tensor | None = None,
) -> Tensor:
    """Iterate FGSM with momentum (Dong et al., 2018): `pgd` without the random start, whose options it has.

    The defaults are the paper's: momentum 1, steps of eps / steps, and the last iterate, because images that only just
    fool this classifier seldom fool another, and fooling another is what momentum is for. Nothing is drawn, so
    `indices` has no effect.
    """
    return pgd(
        classifier,
        images,
        labels,
        eps=eps,
        norm=norm,
        steps=steps,
        step_size=eps / max(steps, 1) if step_size is None else step_size,
        random_start=False,
        momentum=momentum,
        targeted=targeted,
        keep=keep,
        compact=compact,
        indices=indices,
    )


def pgd(
    classifier: Classifier,
    images: Tensor,
    labels: Tensor,
    *,
    eps: Budget,
    norm: Norm | str = LINF,
    steps: int = 40,
    step_size: Budget | None = None,
    restarts: int = 1,
    random_start: bool = True,
    momentum: float = 0.0,
    targeted: bool = False,
    keep: Keep = "first",
    compact: bool = True,
    seed: int = 0,
    indices: Tensor | None = None,
) -> Tensor:
    """Ascend the loss inside an eps-ball, projecting after every step (Madry et al., 2018).

    `labels` (N,) are the classes to leave or, with `targeted`, the classes to reach. `eps` and `step_size` are numbers
    or have one entry a sample; `step_size` defaults to 2.5 * eps / steps, with which any point of the ball can be
    reached from any other. The result lies in the ball and in [0, 1]; whether it fools is for the caller to measure.

    `keep` chooses what is returned (see `attacks.kept`). `first` is the cheapest and the right one for counting who
    can be fooled; a sample leaves the computation in the pass that finds it fooled, unless `compact=False` lets it ride
    along, which changes the cost and not the result. Training wants `last`, which does not stop at the boundary. A
    sample that no restart fools ends, with `first`, where the last restart ended.

    `momentum` mu adds up gradients, g = mu * g + gradient / mean |gradient|, and steps along g instead: the rule of
    Dong et al. (2018), the same in every norm, which also is theirs for l2.

    Random starts depend on (seed, index, restart) alone, where `indices` (N,) number the samples (default: 0, 1, ...).
    With the indices of the whole data set, how it is cut into batches changes nothing but the network's own rounding.
    An entry of a gradient that is NaN counts as 0, an infinite one as the largest number.
    """
    norm = named_norm(norm)
    _check(steps=steps, restarts=restarts, random_start=random_start, momentum=momentum, keep=keep)
    samples = Samples.of(images, labels, eps=eps, norm=norm, targeted=targeted, indices=indices)
    lengths = 2.5 * samples.eps / steps if step_size is None else budgets(step_size, images, norm, option="step_size")
    drops = compact and keep == "first"
    kept = Kept.of(keep, samples)

    with classifier.frozen():
        for restart in range(restarts):
            if len(samples) == 0:
                break

            # Start: somewhere in the ball, or at the image.
            current = samples.images
            if random_start:
                current = norm.random_start(
                    samples.images, samples.eps, seed=seed, indices=samples.indices, stream=restart
                )
            climb = torch.zeros_like(current)

            for _ in range(steps):
                # Look: one forward and one backward pass of the samples in play.
                found = classifier.gradient(current, samples.objective, rows=samples.rows)
                kept.offer(samples, current, found.logits, found.values)
                climb = momentum * climb + _unit_mean(_finite(found.gradient))

                # Drop the samples that are done.
                if drops:
                    staying = kept.open(samples)
                    if len(staying) == 0:
                        return kept.images
                    if len(staying) < len(samples):
                        samples, current, climb = samples.select(staying), current[staying], climb[staying]

                # Step: as steep as the norm allows, then back into ball and bounds.
                move = norm.step(climb, current, lengths[samples.rows])
                current = norm.project(current + move, samples.images, samples.eps)

            # The last iterate: look at it only if something depends on it.
            if keep == "best" or restart + 1 < restarts:
                logits = classifier.logits(current, rows=samples.rows)
                kept.offer(samples, current, logits, samples.objective(logits))
            kept.close(samples, current)
            if drops and restart + 1 < restarts:
                samples = samples.select(kept.open(samples))
    return kept.images


def _finite(gradient: Tensor) -> Tensor:
    """NaN to 0 and infinity to the largest number: one broken pixel must not spoil the others."""
    return torch.nan_to_num(gradient, nan=0.0)


def _unit_mean(gradient: Tensor) -> Tensor:
    """Each sample's gradient divided by its mean absolute value."""
    scaled = unit_max(gradient)
    mean = scaled.abs().mean(dim=(1, 2, 3), keepdim=True)
    return scaled / torch.where(mean > 0, mean, 1)


def _check(*, steps: int, restarts: int, random_start: bool, momentum: float, keep: str) -> None:
    if steps < 1 or restarts < 1:
        raise ValueError(f"steps and restarts must be 1 or more; got steps={steps}, restarts={restarts}")
    if not 0 <= momentum < float("inf"):
        raise ValueError(f"momentum must be finite and 0 or above; got {momentum}")
    if keep not in ("first", "best", "last"):
        raise ValueError(f"unknown keep {keep!r}: choose from first, best, last")
    if restarts > 1 and not random_start:
        raise ValueError(f"restarts={restarts} without random_start would repeat one and the same run")
    if restarts > 1 and keep == "last":
        raise ValueError(f"restarts={restarts} with keep='last' would forget all but one: use keep='first' or 'best'")
