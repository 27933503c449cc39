"""Metrics that a user named and that these subjects, features or data do not have: each has a finding with the reason.

What images alone do not allow has its reason in `evaluation.features.absent`; here nobody even tried.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from evaluation.metric_words import ALL, GROUPS
from evaluation.record.findings import Finding
from evaluation.record.scores import Score, word_of

_HELD_OUT = "it is made with held-out real images, which these data do not have"
_CLASSES = "it is counted in classes: it takes data with classes, and features that know them, such as --features auto"
_LABELS = "it compares with the class asked for: it takes a class-conditional generator, and features that know classes"
_PLANTED = "it counts modes that are known beforehand: it takes points or stacked digits, such as --data ring"
OF_WORDS: Mapping[str, str] = {
    "cmmd": "it is defined on CLIP's features: add --features clip",
    **dict.fromkeys(("fid_real", "fid_unseen", "train_preference", "copying_z", "authenticity_held_out"), _HELD_OUT),
    **dict.fromkeys(("label_agreement", "label_agreement_shuffled"), _LABELS),
    **dict.fromkeys(("modes_captured", "reverse_kl"), _PLANTED),
}
"""What a metric takes, where that is more than what its group does."""
OF_GROUPS: Mapping[str, str] = {
    "modes": _CLASSES,
    "own": "it belongs to one kind of GAN, or to points: this subject is none of it",
    "latent": "it walks through a latent space: it takes the run or checkpoint of a generator, and data",
    "discriminator": "it asks a discriminator: it takes the run or checkpoint of a GAN, and data",
    "use": "it learns classes from the images: it takes data with classes, and images that are no points",
}
_OTHERWISE = "these images, or what sees them, do not have what it is made of"


class Answered(Protocol):
    """Whatever has scores and findings, such as what was scored of one subject."""

    @property
    def scores(self) -> Sequence[Score]: ...
    @property
    def findings(self) -> Sequence[Finding]: ...


def unanswered(names: Collection[str], found: Answered) -> list[Finding]:
    """Say which metrics were named and are not there, with what they take; a group counts where nothing of it is there.

    What its findings explain already is left out. `names` are words, groups or `all`, as a user gives them.
    """
    there = {word_of(score.metric) for score in found.scores}
    told = " ".join(finding.evidence for finding in found.findings if finding.code == "metric-not-made")
    missing = [
        name
        for name in dict.fromkeys(names)
        if name != ALL and not there & {*GROUPS.get(name, (name,))} and not re.search(rf"\b{re.escape(name)}\b", told)
    ]
    return [
        Finding(
            "info",
            "Metrics that could not be made",
            f"{name}: {_lacking(name)}.",
            "The other scores stand.",
            code="metric-not-made",
        )
        for name in missing
    ]


def _lacking(name: str) -> str:
    if name in OF_WORDS:
        return OF_WORDS[name]
    group = next((group for group, words in GROUPS.items() if name == group or name in words), "")
    return OF_GROUPS.get(group, _OTHERWISE)
