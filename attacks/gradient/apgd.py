"""APGD, the parameter-free PGD of AutoAttack, on the cross-entropy, the DLR loss and the targeted DLR loss.

All follow the authors' code step by step; given the same start they visit the same iterates. Only the cost differs: a
sample leaves in the pass that finds it fooled, waiting samples take its place, and no image is evaluated twice.
"""

from collections.abc import Callable, Iterable
from functools import partial

import torch
from torch import Tensor

from attacks.classifier import Classifier
from attacks.gradient.apgd_ascent import Engine, Round
from attacks.kept import Kept
from attacks.norms import LINF, Budget, Norm, named_norm
from attacks.objectives import Loss, dlr, dlr_targeted, log_odds, rivals
from attacks.samples import Samples


def apgd_ce(
    classifier: Classifier,
    images: Tensor,
    labels: Tensor,
    *,
    eps: Budget,
    norm: Norm | str = LINF,
    steps: int = 100,
    restarts: int = 1,
    eot: int = 1,
    targeted: bool = False,
    batch_size: int | None = None,
    compact: bool = True,
    seed: int = 0,
    indices: Tensor | None = None,
) -> Tensor:
    """Run APGD on the cross-entropy (Croce & Hein, 2020; in l1 Croce & Hein, 2021).

    The step halves where the ascent stalls, and the ascent goes on from the best point, so that eps and `steps` are all
    there is to choose. In l1 the first 30 % of the steps have three times the budget, the next 30 % twice. The defaults
    are those of AutoAttack; in l1 that takes `restarts=5`, in its version `plus` too. For random networks `eot` passes
    are averaged in each step, 20 in its version `rand`.

    `labels` (N,) are the classes to leave or, with `targeted`, to reach; `eps` is a number or has one entry a sample.
    The result of a sample is the iterate that fools, else the one with the highest loss. A sample that is never fooled
    costs steps + 1 forward and `steps` backward passes a restart; in l1 two forwards more. The clean image is never
    evaluated. At most `batch_size` samples are in the batch at once (None: all); neither this nor `compact=False`,
    which keeps fooled samples in it, nor the order of samples changes a result, which depends on (seed, index) alone.
    """
    _check(steps=steps, restarts=restarts, eot=eot)
    samples = Samples.of(images, labels, eps=eps, norm=_own(norm), targeted=targeted, indices=indices)
    kept = Kept.of("best", samples)
    # The cross-entropy is 0 where the log-odds are -inf.
    rounds = [Round(_of_labels(log_odds), torch.inf if targeted else -torch.inf, stream=k) for k in range(restarts)]
    engine = Engine(classifier, _own(norm), steps, eot, seed, batch_size, compact)
    return engine.run(samples, rounds, kept)


def apgd_dlr(
    classifier: Classifier,
    images: Tensor,
    labels: Tensor,
    *,
    eps: Budget,
    norm: Norm | str = LINF,
    steps: int = 100,
    restarts: int = 1,
    eot: int = 1,
    targeted: bool = False,
    batch_size: int | None = None,
    compact: bool = True,
    seed: int = 0,
    indices: Tensor | None = None,
) -> Tensor:
    """Run APGD on the difference of logits ratio (Croce & Hein, 2020): `apgd_ce` with `dlr` as its loss."""
    _check(steps=steps, restarts=restarts, eot=eot)
    samples = Samples.of(images, labels, eps=eps, norm=_own(norm), targeted=targeted, indices=indices)
    kept = Kept.of("best", samples)
    rounds = [Round(_of_labels(dlr), 0.0, stream=k) for k in range(restarts)]
    engine = Engine(classifier, _own(norm), steps, eot, seed, batch_size, compact)
    return engine.run(samples, rounds, kept)


def apgd_t(
    classifier: Classifier,
    images: Tensor,
    labels: Tensor,
    *,
    eps: Budget,
    norm: Norm | str = LINF,
    steps: int = 100,
    restarts: int = 1,
    num_targets: int = 9,
    eot: int = 1,
    batch_size: int | None = None,
    compact: bool = True,
    seed: int = 0,
    indices: Tensor | None = None,
) -> Tensor:
    """Run APGD towards each of the likeliest wrong classes in turn (Croce & Hein, 2020), until one run succeeds.

    The loss is `dlr_targeted`; the targets are the `num_targets` likeliest wrong classes of the clean image (all, where
    there are fewer), in order, and any class but the label counts as success. One forward pass finds the targets; an
    image that it finds misclassified is returned as it is. AutoAttack takes nine targets, in l1 five. All else is as in
    `apgd_ce`, for each target.
    """
    _check(steps=steps, restarts=restarts, eot=eot, num_targets=num_targets)
    samples = Samples.of(images, labels, eps=eps, norm=_own(norm), targeted=False, indices=indices)
    kept = Kept.of("best", samples)
    engine = Engine(classifier, _own(norm), steps, eot, seed, batch_size, compact)
    return engine.run(samples, _towards_each(classifier, samples, kept, num_targets, restarts, batch_size), kept)


def _of_labels(loss: Loss) -> Callable[[Samples, Tensor], Tensor]:
    return lambda samples, logits: samples.objective(logits, loss=loss)


def _towards_each(
    classifier: Classifier, samples: Samples, kept: Kept, num_targets: int, restarts: int, batch_size: int | None
) -> Iterable[Round]:
    """Classify the clean images, keep those that are misclassified, and yield a round for each target class."""
    ranked = []
    for part in samples.split(batch_size):
        logits = classifier.logits(part.images, rows=part.rows)
        kept.offer(part, part.images, logits, part.objective(logits, loss=dlr))
        ranked.append(rivals(logits, part.labels, num_targets))
    if not ranked:
        return
    for number, targets in enumerate(torch.cat(ranked).unbind(dim=1)):
        for restart in range(restarts):
            yield Round(partial(_towards, targets), 0.0, stream=restart + number * 2**20)


def _towards(targets: Tensor, samples: Samples, logits: Tensor) -> Tensor:
    """The loss towards one target a sample; `targets` has an entry for each sample of the whole call."""
    return dlr_targeted(logits, samples.labels, targets[samples.rows])


def _own(norm: Norm | str) -> Norm:
    norm = named_norm(norm)
    if norm.name not in ("linf", "l2", "l1"):
        raise ValueError(f"apgd has no {norm.name} form: choose from linf, l2, l1")
    return norm


def _check(**counts: int) -> None:
    for option, count in counts.items():
        if count < 1:
            raise ValueError(f"{option} must be 1 or more; got {count}")
