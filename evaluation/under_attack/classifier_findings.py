"""Warnings about classifiers whose robustness cannot be measured: random outputs, no gradients, wrong pixel range."""

from collections.abc import Mapping
from types import MappingProxyType

import torch
from torch import Tensor
from torch.nn import functional as F

from advgan.machine.precision import true_float32
from advgan.models.classifiers.probing import looks_like_probabilities
from attacks import Attack, Classifier
from attacks.norms import unit_max
from attacks.table import entry_of
from attacks.unregistered import unregistered_modules
from evaluation.record.findings import Finding
from evaluation.statistics.intervals import wilson
from evaluation.under_attack.normalisation_finding import normalisation_finding
from evaluation.under_attack.outcomes import Clean
from evaluation.under_attack.probes import FEWEST, Probes, answers_apart, enough, is_alone, is_steady

BATCH_DEPENDENT = "batch-dependent"
"""Code of the finding which, where it applies, is the only one."""
PROBES = 64
"""Images for the checks that cost passes through the network."""
FAITHFUL = 0.9
"""Cosine between the gradients of cross-entropy and log-odds, which point the same way but for rounding."""


@true_float32()
def classifier_findings(
    classifier: Classifier,
    images: Tensor,
    labels: Tensor,
    clean: Clean,
    *,
    attacks: Mapping[str, Attack] = MappingProxyType({}),
    num_probes: int = PROBES,
) -> list[Finding]:
    """Check the classifier itself: is it deterministic, are its outputs logits, has it gradients, are pixels in [0, 1]?

    A finding that concerns only some of the `attacks` names those, by their settings.
    Costs two passes forwards of `num_probes` images, and two forwards and backwards of as many that are classified
    correctly. Where answers depend on the batch, that is the only finding: all others rest on answers to one image.
    """
    some = images[:num_probes].to(classifier.device)
    random = _random(classifier, some)
    if random is None and (dependent := _dependent(classifier, some)) is not None:
        return [dependent]
    found = [
        _out_of_range(images),
        _no_number(clean),
        random,
        _probabilities(clean.logits),
        _log_probabilities(clean.logits),
        _chance(clean),
        normalisation_finding(classifier, images, labels, clean, batch_size=num_probes),
        _rejects(clean),
    ]
    probes = Probes.of(classifier, images, labels, clean, count=num_probes, seed=0)
    if classifier.differentiable and len(probes) > 0:
        found += [_no_gradient(probes), _saturated(probes, _foreign(attacks))]
    return [finding for finding in found if finding is not None]


def _out_of_range(images: Tensor) -> Finding | None:
    low, high = (float(value) for value in images.aminmax())
    if low >= 0 and high <= 1:
        return None
    return Finding(
        "warning",
        "Images outside [0, 1]",
        f"Pixels run from {low:.4g} to {high:.4g}.",
        "A budget means nothing on them. Pass plain pixels, and give mean and std to Classifier.",
        code="images-out-of-range",
    )


def _no_number(clean: Clean) -> Finding | None:
    broken = int(clean.logits.isnan().any(dim=1).sum())
    if not broken:
        return None
    return Finding(
        "warning",
        "The model answers NaN",
        f"{broken} of {len(clean.logits)} unchanged images; they count as its errors.",
        "Look for overflow in half precision, a division by zero or broken weights.",
        code="model-answers-nan",
    )


def _random(classifier: Classifier, probes: Tensor) -> Finding | None:
    if is_steady(classifier, probes):
        return None
    first, second = classifier.logits(probes), classifier.logits(probes)
    changed = float((first.argmax(dim=1) != second.argmax(dim=1)).double().mean())
    return Finding(
        "warning",
        "The model is random",
        f"Two passes over the same {len(probes)} images differ by up to {float((first - second).abs().max()):.3g} in a "
        f"logit and in {changed:.1%} of the predictions.",
        "Dropout or noise acts in evaluation mode. Switch it off, or average over it inside the network; an attack "
        "that fails against noise says nothing.",
        code="random-model",
    )


def _dependent(classifier: Classifier, probes: Tensor) -> Finding | None:
    if is_alone(classifier, probes):
        return None
    together, apart = answers_apart(classifier, probes)
    changed = float((together.argmax(dim=1) != apart.argmax(dim=1)).double().mean())
    hidden = [module for module in unregistered_modules(classifier.network) if module.training]
    where = " It keeps modules in a plain list or dictionary, which evaluation mode does not reach." if hidden else ""
    return Finding(
        "warning",
        "The answer to an image depends on the images beside it",
        f"In two halves the same {len(probes)} images get other logits than together, by up to "
        f"{float((together - apart).abs().max()):.3g}, and {changed:.1%} other predictions.{where}",
        "An attack then changes the answers to other images too, and what fools in one batch need not in another: no "
        "robust accuracy holds. Give batch norm running statistics, keep members in nn.ModuleList, and normalise "
        "features of each image alone.",
        code=BATCH_DEPENDENT,
    )


def _probabilities(logits: Tensor) -> Finding | None:
    finite = logits[~logits.isnan().any(dim=1)]
    if len(finite) == 0 or not looks_like_probabilities(finite):
        return None
    return Finding(
        "warning",
        "The model returns probabilities",
        f"All {len(finite)} outputs are above 0 and sum to 1.",
        "A softmax at the end flattens the gradients that attacks climb. Return logits.",
        code="probability-outputs",
    )


def _log_probabilities(logits: Tensor) -> Finding | None:
    finite = logits[~logits.isnan().any(dim=1)].double()
    if len(finite) == 0 or bool((finite > 0).any()) or float(finite.logsumexp(dim=1).abs().max()) > 1e-3:
        return None
    return Finding(
        "info",
        "The model returns log-probabilities",
        f"Of all {len(finite)} outputs the exponentials sum to 1.",
        "Attacks see the same in them as in logits, but where they were rounded: leave the log-softmax to the loss.",
        code="log-probability-outputs",
    )


def _chance(clean: Clean) -> Finding | None:
    commonest = int(clean.labels.bincount().max())
    low, high = wilson(int(clean.correct.sum()), len(clean.labels))
    if high > commonest / len(clean.labels) or len(clean.labels.unique()) < 2:
        return None
    return Finding(
        "warning",
        "The model does not know these images",
        f"Its accuracy, {low:.1%} to {high:.1%}, is below that of always answering the commonest class "
        f"({commonest / len(clean.labels):.1%}).",
        "Check the order of the classes, and that mean, std and size are those of its training.",
        code="below-chance",
    )


def _rejects(clean: Clean) -> Finding | None:
    """Look for a rejection class: one that is predicted often but is the label of no image."""
    labels = torch.zeros(clean.logits.shape[1], dtype=torch.bool)
    labels[clean.labels] = True
    counts = clean.predictions.bincount(minlength=len(labels)).masked_fill(labels, 0)
    rejected = int(counts.max())
    if not enough(rejected, len(clean.labels)) or int(labels.sum()) <= len(labels) / 2:
        return None
    return Finding(
        "warning",
        "The model seems to reject images",
        f"It answers {rejected} of {len(clean.labels)} unchanged images with class {int(counts.argmax())}, which is "
        "the label of none.",
        "If that class means a rejection, an attack that ends there has not fooled the model: measure how often "
        "attacks evade the detector too.",
        code="reject-class",
    )


def _no_gradient(probes: Probes) -> Finding | None:
    flat = int(probes.flat.sum())
    if flat == 0:
        return None
    return Finding(
        "warning",
        "Gradients are zero",
        f"{flat} of {len(probes)} correctly classified images have no gradient at all.",
        "Rounding, a hard activation or a detach hides them, and gradient attacks fail for that reason alone. Attack "
        "through a smooth substitute of that layer, or without gradients.",
        code="zero-gradients",
    )


def _foreign(attacks: Mapping[str, Attack]) -> str:
    """Name the attacks from outside the table, which may maximise the cross-entropy; none of ours does."""
    names = [name for name, attack in attacks.items() if entry_of(attack) is None]
    return "none of the attacks here" if not names else f"of the attacks here {', '.join(names)}, unless they do too"


def _saturated(probes: Probes, concerned: str) -> Finding | None:
    if probes.found is None or bool(probes.flat.all()):
        return None
    entropy = probes.classifier.gradient(probes.images, lambda logits: _cross_entropy(logits, probes.labels)).gradient
    gone = int(((entropy.flatten(1).abs().amax(dim=1) == 0) & ~probes.flat).sum())
    gap = float(-probes.found.values.median())
    if enough(gone, len(probes)):
        return Finding(
            "warning",
            "Logits are saturated",
            f"At {gone} of {len(probes)} images the gradient of the cross-entropy rounds to 0 in float32, though the "
            f"logits have one (the label's log-odds are {gap:.3g}, median).",
            "An attack that climbs the cross-entropy sees nothing here and reports a robustness that is none. All "
            f"of advgan climb log-odds or margins, which do not round: this concerns {concerned}. Divide the logits by "
            "their scale before comparing with other tools.",
            code="saturated-logits",
        )
    rounded, exact = (unit_max(torch.nan_to_num(each)).flatten(1) for each in (entropy, probes.found.gradient))
    astray = int(((torch.cosine_similarity(rounded, exact) < FAITHFUL) & ~probes.flat).sum())
    if astray < FEWEST:
        return None
    return Finding(
        "info",
        "The model is very sure of itself",
        f"At {astray} of {len(probes)} images rounding in float32 turns the gradient of the cross-entropy aside (the "
        f"label's log-odds are {gap:.3g}, median).",
        "Attacks that climb the cross-entropy look weaker here. All of advgan climb log-odds or margins, which do not "
        f"round: this concerns {concerned}.",
        code="confident-logits",
    )


def _cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    return F.cross_entropy(logits.float(), labels, reduction="none")
