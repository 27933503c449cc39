"""Attacks that do not use the network's own gradient: transfer from surrogates, and black-box attacks."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor

from attacks import TABLE, Attack, Classifier, Norm, pgd
from attacks.norms import Budget
from attacks.table import entry_of
from evaluation.record.findings import Finding
from evaluation.under_attack.bound_attacks import Threat, same_ball, with_options
from evaluation.under_attack.outcomes import Clean
from evaluation.under_attack.probes import Probes, enough, rewrapped
from evaluation.under_attack.trust.ledger import Ledger
from evaluation.under_attack.trust.surrogates import Smoothed, StraightThrough, distilled

TRANSFER_STEPS = 20
QUERIES = 400
"""Queries (forward passes) per image of the black-box attack. On sound networks PGD with 40 steps is stronger."""


def transfer_finding(
    survivors: Probes, total: int, threat: Threat, images: Tensor, clean: Clean, ledger: Ledger, *, seed: int
) -> Finding | None:
    """Attack three surrogates of the network at the images that every direct attack left, and try the results on it."""
    if not enough(len(survivors), total):
        return None
    classifier = survivors.classifier
    surrogates: dict[str, Callable[[], Classifier]] = {
        "its smoothed gradients": lambda: rewrapped(Smoothed, classifier),
        "a straight-through copy": lambda: rewrapped(StraightThrough, classifier),
        "a small network that imitates it": lambda: distilled(classifier, images, clean.logits, seed=seed),
    }
    ways = {name: Transferred(build(), threat.norm, seed) for name, build in surrogates.items()}
    broken = {name: _transferred(survivors, way, threat, ledger) for name, way in ways.items()}
    best = max(broken, key=lambda name: broken[name])
    if not enough(broken[best], total):
        return None
    ledger.alarm(broken[best], ways[best])
    return Finding(
        "warning",
        "Transfer beats the direct attack",
        f"At {threat.norm.name} {threat.eps:.3g} images made with {best} fool the network at {broken[best]} of the "
        f"{len(survivors)} images that all gradient attacks left ({total} were asked).",
        "The network's own gradient hides what another one shows. Attack it through a smooth substitute, and quote the "
        "worst case over both.",
        code="transfer-beats-direct",
    )


def black_box_finding(
    survivors: Probes, total: int, threat: Threat, attacks: Mapping[str, Attack], ledger: Ledger, *, seed: int
) -> Finding | None:
    """Attack without gradients at the images that gradient attacks left, unless the evaluation has such an attack."""
    if any(_blind(attack) and same_ball(attack, threat.attack) for attack in attacks.values()):
        return None
    entry = TABLE.get("square")
    if entry is None or threat.norm.name not in entry.norms or len(survivors) == 0:
        return None
    way = with_options(entry.attack, norm=threat.norm, queries=QUERIES, seed=seed)
    found = way(survivors.classifier, survivors.images, survivors.labels, eps=threat.eps, indices=survivors.indices)
    broken = int(ledger.take(survivors, found, norm=threat.norm, eps=threat.eps).sum())
    if not enough(broken, total):
        return None
    ledger.alarm(broken, way)
    return Finding(
        "warning",
        "An attack without gradients beats those with",
        f"At {threat.norm.name} {threat.eps:.3g} Square breaks with {QUERIES} queries {broken} of the {len(survivors)} "
        f"images that all gradient attacks left ({total} were asked).",
        "Gradients should know more than scores. They are masked, or the gradient attacks too short.",
        code="black-box-beats-white-box",
    )


@dataclass(frozen=True)
class Transferred:
    """PGD on a surrogate: an attack that lacks only `eps`, and leaves images alone where there is no gradient."""

    surrogate: Classifier
    norm: Norm
    seed: int

    def __call__(
        self, classifier: Classifier, images: Tensor, labels: Tensor, *, eps: Budget, indices: Tensor | None = None
    ) -> Tensor:
        """Make images with the surrogate's gradients; the classifier itself is not asked."""
        options = {"norm": self.norm, "eps": eps, "steps": TRANSFER_STEPS, "keep": "last", "seed": self.seed}
        try:
            return with_options(pgd, **options)(self.surrogate, images, labels, indices=indices)
        except ValueError:  # it has no gradient either
            return images


def _blind(attack: Attack) -> bool:
    entry = entry_of(attack)
    return entry is not None and entry.knowledge in ("scores", "decisions")


def _transferred(survivors: Probes, way: Transferred, threat: Threat, ledger: Ledger) -> int:
    found = way(survivors.classifier, survivors.images, survivors.labels, eps=threat.eps, indices=survivors.indices)
    return int(ledger.take(survivors, found, norm=threat.norm, eps=threat.eps).sum())
