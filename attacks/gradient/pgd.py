"""FGSM, BIM, MI-FGSM and PGD, and PGD on the KL divergence of TRADES."""

from functools import partial

import torch
from torch import Tensor

from attacks import random
from attacks.classifier import Classifier
from attacks.gradient.ascent import answer, ascend
from attacks.kept import Keep, Kept
from attacks.norms import LINF, Budget, Norm, finite, named_norm
from attacks.objectives import kl, named_loss
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

    The result maximises the linearised objective over ball and [0, 1]; in l2 it is the maximiser over the ball, then
    clipped to [0, 1]. Costs one forward and one backward pass. `indices` has no effect.
    """
    norm = named_norm(norm)
    samples = Samples.of(images, labels, eps=eps, norm=norm, targeted=targeted, indices=indices)
    if len(samples) == 0:
        return samples.images.clone()
    found = classifier.gradient(samples.images, samples.objective, rows=samples.rows)
    move = norm.steepest(finite(found.gradient), samples.images, samples.eps)
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
    batch_size: int | None = None,
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
        batch_size=batch_size,
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
    batch_size: int | None = None,
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
        batch_size=batch_size,
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
    loss: str = "ce",
    eot: int = 1,
    targeted: bool = False,
    keep: Keep = "first",
    batch_size: int | None = None,
    compact: bool = True,
    seed: int = 0,
    indices: Tensor | None = None,
) -> Tensor:
    """Ascend the loss inside an eps-ball, projecting after every step (Madry et al., 2018).

    `labels` (N,) are the classes to leave or, with `targeted`, the classes to reach. `eps` and `step_size` are numbers
    or have one entry a sample; `step_size` defaults to 2.5 * eps / steps, with which any point of the ball can be
    reached from any other, and has no effect in l0. The result lies in the ball and in [0, 1]; whether it fools is for
    the caller to measure.

    `keep` chooses which iterate is returned (see `attacks.kept`). `first` is the cheapest and right for measuring
    robust accuracy: a sample leaves the batch in the pass that finds it fooled, and a waiting one takes its place
    (`batch_size` is how many there are at once; `compact=False` keeps fooled ones in). Neither option changes the
    result. Adversarial training wants `last`, which does not stop at the decision boundary. With `first` a sample that
    no restart fools ends where the last restart ended.

    `momentum` mu accumulates gradients, g = mu * g + gradient / mean |gradient|, and steps along g instead: the rule of
    Dong et al. (2018), who use it in linf and l2; here it is the same in every norm.

    `loss` is what is climbed: `ce` (the log-odds, see `attacks.objectives.log_odds`), `margin` or `dlr`. `eot` is how
    many passes of a random network are averaged in each step: gradients, losses and logits, by which success is judged.

    Random starts depend on (seed, index, restart) alone, where `indices` (N,) number the samples (default: 0, 1, ...).
    With the indices of the whole data set, the cut into batches changes nothing but the network's own rounding.
    An entry of a gradient that is NaN counts as 0, an infinite one as the largest number.
    """
    norm = named_norm(norm)
    _check(steps=steps, restarts=restarts, random_start=random_start, momentum=momentum, keep=keep, eot=eot)
    chosen = named_loss(loss)
    samples = Samples.of(images, labels, eps=eps, norm=norm, targeted=targeted, indices=indices)
    lengths = _lengths(step_size, samples, norm, steps)
    kept = Kept.of(keep, samples)

    def objective(samples: Samples, logits: Tensor) -> Tensor:
        return samples.objective(logits, loss=chosen)

    with classifier.frozen():
        for restart in range(restarts):
            ascend(
                classifier,
                samples,
                kept,
                start=partial(_start, norm, seed=seed, stream=restart) if random_start else _image,
                objective=objective,
                norm=norm,
                steps=steps,
                lengths=lengths,
                momentum=momentum,
                eot=eot,
                batch_size=batch_size,
                compact=compact,
            )
            # The last iterate has yet to be evaluated: a sample that it fools needs no further restart.
            if keep == "first" and restart + 1 < restarts:
                samples = samples.select(kept.open(samples)) if compact else samples
                for part in samples.split(batch_size):
                    answer(classifier, part, kept.images[part.rows], objective, kept, passes=eot)
                samples = samples.select(kept.open(samples)) if compact else samples
    return kept.images


def kl_pgd(
    classifier: Classifier,
    images: Tensor,
    labels: Tensor,
    *,
    eps: Budget,
    norm: Norm | str = LINF,
    steps: int = 10,
    step_size: Budget | None = None,
    start: float = 0.001,
    eot: int = 1,
    batch_size: int | None = None,
    seed: int = 0,
    indices: Tensor | None = None,
) -> Tensor:
    """Maximise the KL divergence from the clean prediction: the inner maximisation of TRADES (Zhang et al., 2019).

    Ascends KL(p(clean image) || p(iterate)) for all `steps` and returns the last iterate, as training wants it;
    `labels` have no effect. It starts at normal noise of standard deviation `start`, because the gradient of the
    divergence is zero at the image itself. The other options are those of `pgd`. Costs one forward pass more than
    `pgd`.
    """
    norm = named_norm(norm)
    _check(steps=steps, eot=eot)
    if not 0 < start < float("inf"):
        raise ValueError(f"start must be finite and above 0, or nothing moves; got {start}")
    samples = Samples.of(images, labels, eps=eps, norm=norm, targeted=False, indices=indices)
    kept = Kept.of("last", samples)

    def nearby(samples: Samples) -> Tensor:
        noise = random.normal(seed, samples.indices, samples.images.shape[1:], dtype=samples.images.dtype)
        return norm.project(samples.images + start * noise, samples.images, samples.eps)

    with classifier.frozen():
        parts = list(samples.split(batch_size))
        if not parts:
            return kept.images
        clean = torch.cat([classifier.logits(part.images, rows=part.rows) for part in parts])
        ascend(
            classifier,
            samples,
            kept,
            start=nearby,
            objective=lambda samples, logits: kl(logits, clean[samples.rows]),
            norm=norm,
            steps=steps,
            lengths=_lengths(step_size, samples, norm, steps),
            eot=eot,
            batch_size=batch_size,
        )
    return kept.images


def _image(samples: Samples) -> Tensor:
    return samples.images


def _start(norm: Norm, samples: Samples, *, seed: int, stream: int) -> Tensor:
    return norm.random_start(samples.images, samples.eps, seed=seed, indices=samples.indices, stream=stream)


def _lengths(step_size: Budget | None, samples: Samples, norm: Norm, steps: int) -> Tensor:
    """The steps of each sample: by default long enough that any point of the ball can be reached from any other."""
    if step_size is None:
        return 2.5 * samples.eps / steps
    return budgets(step_size, samples.images, norm, option="step_size")


def _check(
    *,
    steps: int,
    restarts: int = 1,
    random_start: bool = True,
    momentum: float = 0.0,
    keep: str = "first",
    eot: int = 1,
) -> None:
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
    if eot < 1:
        raise ValueError(f"eot must be 1 or more passes; got {eot}")
