"""Findings on the labels of a conditional generator: ignored by it, or some of them exchanged."""

import torch
from torch import Tensor

from evaluation.features.features import Features
from evaluation.features.seen import Seen
from evaluation.modes.modes import label_agreement
from evaluation.record.findings import Finding
from evaluation.statistics.intervals import Estimate, wilson

MOST = 0.5
"""Share of its own images below which a class is not what was asked for."""
FEWEST = 10
"""Images of a class that must be there to be judged."""
MOST_NAMED = 10


def label_findings(seen: Seen) -> list[Finding]:
    """Judge what was drawn for each label, by a classifier of the data.

    Nothing is found without labels, with Inception, whose classes are not those of the data, or with an extractor that
    knows none; nor of a class that the classifier does not find among real images of it either.
    """
    fake, labels = seen.fake.features, seen.fake.labels
    if labels is None or not fake.counts_classes:
        return []
    if seen.real.labels is not None:
        control = label_agreement(seen.real.features, seen.real.labels)
        if control.high < MOST:
            return [_unknown(control, seen.real.features.extractor, len(seen.real))]
    agreement = label_agreement(fake, labels)
    if agreement.high < MOST:
        return [_ignored(agreement, len(fake))]
    exchanged = _exchanged(seen, fake, labels)
    return [_swapped(exchanged, seen)] if exchanged else []


def _unknown(control: Estimate, extractor: str, count: int) -> Finding:
    return Finding(
        "info",
        "The extractor's classes are not those of the data",
        f"{extractor} assigns {control.value:.1%} ({control.low:.1%} to {control.high:.1%}) of {count} real images to "
        "their class.",
        "Scores of classes and labels say nothing then: name a classifier of these data with --features.",
        code="unknown-to-the-extractor",
    )


def _ignored(agreement: Estimate, count: int) -> Finding:
    return Finding(
        "warning",
        "The generator does not draw what it is asked for",
        f"{agreement.value:.1%} ({agreement.low:.1%} to {agreement.high:.1%}) of {count} images are of the wanted "
        "class, as the classifier sees them.",
        "Do not use its labels for training: let the classifier label the images, or train the generator longer.",
        code="labels-ignored",
    )


def _exchanged(seen: Seen, fake: Features, labels: Tensor) -> dict[int, tuple[int, float, float]]:
    """By label: the class that is drawn most for it instead, that one's share, and the share of the label's own."""
    found = {}
    for label in labels.unique().tolist():
        drawn = fake.classes[(labels == label).to(fake.classes.device)].cpu()
        own = int((drawn == label).sum())
        if len(drawn) < FEWEST or wilson(own, len(drawn)).high >= min(MOST, _known(seen, label)):
            continue
        counts = drawn.bincount()
        most = int(counts.argmax())
        found[label] = most, int(counts[most]) / len(drawn), own / len(drawn)
    return found


def _known(seen: Seen, label: int) -> float:
    """Share of the real images of a class that the classifier finds, at least; 1 where that is not known."""
    if seen.real.labels is None:
        return 1.0
    classes = seen.real.features.classes
    of_class = classes[(seen.real.labels == label).to(classes.device)]
    return wilson(int((of_class == label).sum()), len(of_class)).low if len(of_class) else 1.0


def _swapped(exchanged: dict[int, tuple[int, float, float]], seen: Seen) -> Finding:
    def name(number: int) -> str:
        return seen.classes[number] if number < len(seen.classes) else str(number)

    texts = [
        f"of those asked to be {name(label)}, {own:.0%} are and {share:.0%} are {name(most)}"
        for label, (most, share, own) in exchanged.items()
    ]
    more = len(texts) - MOST_NAMED
    return Finding(
        "warning",
        "The generator draws other classes than it is asked for",
        f"{len(texts)} of {len(torch.unique(_labels(seen)))} classes, as the classifier sees them: "
        f"{'; '.join(texts[:MOST_NAMED])}{f'; and {more} more' if more > 0 else ''}.",
        "Labels are exchanged, or some were not learnt: compare the order of the classes of the generator and of the "
        "data, and do not use these labels for training.",
        code="classes-exchanged",
    )


def _labels(seen: Seen) -> Tensor:
    assert seen.fake.labels is not None
    return seen.fake.labels
