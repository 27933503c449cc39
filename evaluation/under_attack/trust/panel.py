"""The trust panel: checks for gradient masking and weak attacks on a few correctly classified images."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from torch import Tensor

from advgan.machine.precision import true_float32
from attacks import Attack, Classifier
from evaluation.record.findings import Finding
from evaluation.under_attack.bound_attacks import Threat, hardest_threat
from evaluation.under_attack.outcomes import Clean, Outcome
from evaluation.under_attack.probes import FEWEST, Probes, is_alone, is_steady
from evaluation.under_attack.trust.blockages import blockage_findings
from evaluation.under_attack.trust.convergence import convergence_findings, plain_finding, silent_findings
from evaluation.under_attack.trust.ledger import Ledger
from evaluation.under_attack.trust.other_ways import black_box_finding, transfer_finding
from evaluation.under_attack.trust.smoothness import measure_smoothness, smoothness_findings


@dataclass(frozen=True)
class Examined:
    """The findings of the panel, and the images that it broke."""

    findings: list[Finding]
    ledger: Ledger


@true_float32()
def examined(
    classifier: Classifier,
    images: Tensor,
    labels: Tensor,
    clean: Clean,
    outcomes: Mapping[str, Outcome],
    attacks: Mapping[str, Attack],
    *,
    seed: int = 0,
    num_probes: int = 64,
) -> Examined:
    """Check by further attacks and measurements whether the robustness found is real or due to failed attacks.

    `images` (N, C, H, W) and `labels` (N,) are those of `clean` and of the `outcomes` of the `attacks`. The questions
    are put to `num_probes` correctly classified images, drawn by the seed, at the budget where untargeted gradient
    attacks leave nearest to half of them. Costs at most about 2,000 passes (forwards and backwards) a probe where
    nothing succeeds, and some hundred on a sound network.

    Models with random outputs, or outputs that depend on the batch, are left to `classifier_findings`: comparisons on
    them are noise. Thresholds are those of the
    modules, each with its reason; none of them fires on sound networks, trained normally or adversarially.
    """
    probes, ledger = Probes.of(classifier, images, labels, clean, count=num_probes, seed=seed), Ledger()
    if len(probes) < FEWEST or not (is_steady(classifier, probes.images) and is_alone(classifier, probes.images)):
        return Examined([], ledger)
    return Examined(list(_asked(probes, images, clean, outcomes, attacks, ledger, seed)), ledger)


def _asked(
    probes: Probes,
    images: Tensor,
    clean: Clean,
    outcomes: Mapping[str, Outcome],
    attacks: Mapping[str, Attack],
    ledger: Ledger,
    seed: int,
) -> Iterator[Finding]:
    # The network: does its gradient tell the truth, and if not, why?
    measured = measure_smoothness(probes, seed=seed)
    yield from smoothness_findings(measured)
    if probes.classifier.differentiable:
        yield from blockage_findings(probes, measured.wrong | probes.flat)

    # The attacks: do they get to the end of their way, and is there another?
    yield from silent_findings(probes, outcomes, attacks, ledger)
    threat = hardest_threat(outcomes, attacks)
    if threat is not None:
        yield from convergence_findings(probes, threat, outcomes, ledger)
        yield from _ways(probes, images, clean, threat, attacks, ledger, seed)


def _ways(
    probes: Probes,
    images: Tensor,
    clean: Clean,
    threat: Threat,
    attacks: Mapping[str, Attack],
    ledger: Ledger,
    seed: int,
) -> Iterator[Finding]:
    """Try attacks without the network's own gradient, on images that plain PGD does not break."""
    total = len(probes)

    def left() -> Probes:
        direct = ledger.broken(len(clean.labels), norm=threat.norm, eps=threat.eps)
        return probes.select((threat.survivors & ~direct)[probes.indices.cpu()])

    plain = plain_finding(left(), total, threat, ledger)
    survivors = left()
    transfer = transfer_finding(survivors, total, threat, images, clean, ledger, seed=seed)
    black_box = black_box_finding(survivors, total, threat, attacks, ledger, seed=seed)
    yield from (finding for finding in (plain, transfer, black_box) if finding is not None)
