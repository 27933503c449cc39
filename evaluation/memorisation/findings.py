"""Findings on memorisation: copies of training images, or images near to them for lack of detail."""

import math
from collections.abc import Iterable, Mapping

from evaluation.features.seen import Row
from evaluation.record.findings import Finding
from evaluation.statistics.intervals import Estimate

PREFERRED = 0.55
"""Preference for training images that nothing but copying explains. With less, but more than 1/2, a share of copies
must show it too."""
OPEN = 0.65
"""Preference that an interval must stay below to speak against copying: three copies in ten raise it so far."""
COPIED = 0.05
"""Share of copies that must be passed then; 0.01 of new images count as copies."""
LESS = 0.1
"""How far authenticity must be below that of held-out images."""
FAR = -3.0
"""The z score that the data-copying test must be below."""
HARDLY = 0.1
"""Authenticity below which images are copies, or nearly so, without a control."""

Values = Mapping[str, Estimate]


def memorisation_findings(rows: Iterable[Row]) -> list[Finding]:
    """Judge rows of `memorisation_rows`: copying is named where the whole interval shows it.

    Only a preference for training images proves it. Low authenticity and a negative copying score alone are what
    images without detail have too, which are near to every real image, trained on or not.
    """
    values = {word: estimate for word, estimate, *_ in rows}
    preference, share = _of(values, "train_preference"), _of(values, "copied_share")
    if preference.low > PREFERRED or (preference.low > 0.5 and share.low > COPIED):
        return [_copies(values)]
    near = _nearer(values)
    if "train_preference" in values:
        return [_smooth(preference, near)] if near else []
    authenticity = _of(values, "authenticity")
    return [_uncontrolled(authenticity)] if authenticity.high < HARDLY else []


def _copies(values: Values) -> Finding:
    found = values["train_preference"]
    evidence = (
        f"Of the generated images {found.value:.0%} ({found.low:.0%} to {found.high:.0%}) are nearer to a training "
    )
    evidence += "than to a held-out image, had there been equally many; of new images 50 % are"
    further = _nearer(values)
    return Finding(
        "warning",
        "The generator copies training images",
        f"{evidence}; {'; '.join(further)}." if further else f"{evidence}.",
        "Its scores say nothing of new images: stop earlier, augment, or train on more images.",
        code="memorised-data",
    )


def _smooth(preference: Estimate, near: list[str]) -> Finding:
    said = "; ".join(near)
    unclear = not preference.high < OPEN
    return Finding(
        "info",
        "Generated images lie near to training images",
        f"{said[:1].upper()}{said[1:]}. Of them {preference.value:.0%} ({preference.low:.0%} to {preference.high:.0%}) "
        "are nearer to a training than to a held-out image; of new images 50 % are, of copies more.",
        "That leaves open whether they were copied: use more images, and look at those nearest to a training image."
        if unclear
        else "Copying would show in that share. Images that lack detail or variety lie so: see recall, coverage and "
        "the Vendi score.",
        code="near-without-copying",
    )


def _uncontrolled(found: Estimate) -> Finding:
    return Finding(
        "warning",
        "Generated images are nearer to training images than those are to each other",
        f"Authenticity is {found.value:.1%} ({found.low:.1%} to {found.high:.1%}).",
        "They are copies, or have no detail: held-out images, with which copies can be told, would show which.",
        code="near-without-control",
    )


def _nearer(values: Values) -> list[str]:
    """In words what says that fakes are nearer to training images than held-out images are."""
    found, control = _of(values, "authenticity"), _of(values, "authenticity_held_out")
    share, z = _of(values, "copied_share"), _of(values, "copying_z")
    said = []
    if found.high < control.low - LESS:
        said.append(f"authenticity is {found.value:.1%}, that of held-out images {control.value:.1%}")
    if z.high < FAR:
        said.append(f"the data-copying test has z = {z.value:.1f}")
    if share.low > COPIED:
        said.append(f"{share.value:.0%} are nearer to a training image than 99 % of held-out ones")
    return said


def _of(values: Values, word: str) -> Estimate:
    """The estimate of a word; NaN, which no bound is passed with, where it is not there."""
    return values.get(word, Estimate(math.nan, math.nan, math.nan))
