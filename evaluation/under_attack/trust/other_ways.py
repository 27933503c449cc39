"""Is there a way round the gradient? Attack surrogates and transfer, and attack without gradients."""

from collections.abc import Callable, Mapping

from torch import Tensor

from attacks import TABLE, Attack, Classifier, pgd
from attacks.table import entry_of
from evaluation.record.findings import Finding
from evaluation.under_attack.bound_attacks import Threat, same_ball, with_options
from evaluation.under_attack.outcomes import Clean
from evaluation.under_attack.probes import Probes, enough, rewrapped
from evaluation.under_attack.trust.surrogates import Smoothed, StraightThrough, distilled

TRANSFER_STEPS = 20
QUERIES = 400
"""Of the attack without gradients. On sound networks PGD with 40 steps is stronger."""


def transfer_finding(probes: Probes, threat: Threat, images: Tensor, clean: Clean, *, seed: int) -> Finding | None:
    """Attack three surrogates of the network at the images that gradient attacks left, and try the results on it."""
    survivors = probes.select(threat.survivors[probes.indices.cpu()])
    if not enough(len(survivors), len(probes)):
        return None
    surrogates: dict[str, Callable[[], Classifier]] = {
        "its smoothed gradients": lambda: rewrapped(Smoothed, probes.classifier),
        "a straight-through copy": lambda: rewrapped(StraightThrough, probes.classifier),
        "a small network that imitates it": lambda: distilled(probes.classifier, images, clean.logits, seed=seed),
    }
    attack = with_options(pgd, norm=threat.norm, eps=threat.eps, steps=TRANSFER_STEPS, keep="last", seed=seed)
    broken = {name: _transferred(survivors, build(), attack) for name, build in surrogates.items()}
    best = max(broken, key=lambda name: broken[name])
    if not enough(broken[best], len(probes)):
        return None
    return Finding(
        "warning",
        "Transfer beats the direct attack",
        f"At {threat.norm.name} {threat.eps:.3g} images made with {best} fool the network at {broken[best]} of the "
        f"{len(survivors)} images that all gradient attacks left ({len(probes)} were asked).",
        "The network's own gradient hides what another one shows. Attack it through a smooth substitute, and quote the "
        "worst case over both.",
        code="transfer-beats-direct",
    )


def black_box_finding(probes: Probes, threat: Threat, attacks: Mapping[str, Attack], *, seed: int) -> Finding | None:
    """Attack without gradients at the images that gradient attacks left, unless the evaluation has such an attack."""
    if any(_blind(attack) and same_ball(attack, threat.attack) for attack in attacks.values()):
        return None
    survivors = probes.select(threat.survivors[probes.indices.cpu()])
    entry = TABLE.get("square")
    if entry is None or threat.norm.name not in entry.norms or len(survivors) == 0:
        return None
    attack = with_options(entry.attack, norm=threat.norm, eps=threat.eps, queries=QUERIES, seed=seed)
    found = attack(survivors.classifier, survivors.images, survivors.labels, indices=survivors.indices)
    broken = int(survivors.broken_by(found).sum())
    if not enough(broken, len(probes)):
        return None
    return Finding(
        "warning",
        "An attack without gradients beats those with",
        f"At {threat.norm.name} {threat.eps:.3g} Square breaks with {QUERIES} queries {broken} of the {len(survivors)} "
        f"images that all gradient attacks left ({len(probes)} were asked).",
        "Gradients should know more than scores. They are masked, or the gradient attacks too short.",
        code="black-box-beats-white-box",
    )


def _blind(attack: Attack) -> bool:
    entry = entry_of(attack)
    return entry is not None and entry.knowledge in ("scores", "decisions")


def _transferred(survivors: Probes, surrogate: Classifier, attack: Attack) -> int:
    try:
        found = attack(surrogate, survivors.images, survivors.labels, indices=survivors.indices)
    except ValueError:  # it has no gradient either
        return 0
    return int(survivors.broken_by(found).sum())
