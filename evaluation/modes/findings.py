"""Findings on a generator's class histogram: classes that are missing, under- or over-represented."""

from collections.abc import Sequence
from typing import Literal

import torch
from scipy import stats
from torch import Tensor

from evaluation.features.features import Features
from evaluation.modes.modes import Modes, modes
from evaluation.record.findings import Finding
from evaluation.statistics.intervals import CONFIDENCE, wilson

FEWEST_EXPECTED = 10
"""Expected number of fakes of a class, by its share of the reals, from which its absence is a finding."""
FACTOR = 1.5
"""How far a class's share must be off, either way, to be worth a remark."""
MOST_NAMED = 20


def mode_findings(real: Features, fake: Features, *, classes: Sequence[str] = ()) -> list[Finding]:
    """Judge the classes of fakes as one classifier sees them; `classes` are names for its class numbers.

    Nothing is found with Inception, whose classes are not those of the data, or with an extractor that knows none.
    """
    if not fake.counts_classes:
        return []
    found = modes(real, fake)
    ratio, significant = share_ratios(found), unequal_classes(found)
    present = found.fake_counts > 0
    remarks = [
        _missed(found, len(real), len(fake), classes),
        _unequal("under", significant & present & (ratio <= 1 / FACTOR), ratio, found, classes),
        _unequal("over", significant & (ratio >= FACTOR), ratio, found, classes),
    ]
    return [remark for remark in remarks if remark is not None]


def share_ratios(found: Modes) -> Tensor:
    """Share of each class among fakes over its share among reals: (C,) float64, infinite or NaN without a real one."""
    shares = [counts.double() / counts.sum().clamp(min=1) for counts in (found.fake_counts, found.real_counts)]
    return shares[0] / shares[1]


def class_p_values(found: Modes) -> Tensor:
    """Two-sided p-value for each class, that it is as frequent among fakes as among reals: (C,) float64.

    Twice the smaller tail of Fisher's exact test, so valid at any count.
    """
    fake, real = found.fake_counts.numpy(), found.real_counts.numpy()
    law = stats.hypergeom(fake.sum() + real.sum(), fake + real, fake.sum())
    tails = torch.from_numpy(law.cdf(fake)), torch.from_numpy(law.sf(fake - 1))
    return (2 * torch.minimum(*tails)).clamp(max=1)


def unequal_classes(found: Modes) -> Tensor:
    """Which classes differ in frequency, at 5 % for all together (Holm, 1979): (C,) bool.

    Classes that nobody has do not count.
    """
    values = class_p_values(found)
    asked = (found.real_counts + found.fake_counts > 0).nonzero().flatten()
    order = asked[values[asked].argsort(stable=True)]
    passed = values[order] <= (1 - CONFIDENCE) / torch.arange(len(order), 0, -1)
    unequal = torch.zeros(len(values), dtype=torch.bool)
    unequal[order[passed.cumprod(dim=0).bool()]] = True
    return unequal


def _missed(found: Modes, num_real: int, num_fake: int, classes: Sequence[str]) -> Finding | None:
    due = found.real_counts.double() / num_real * num_fake
    missed = [number for number in found.missed if due[number] >= FEWEST_EXPECTED]
    if not missed:
        return None
    return Finding(
        "warning",
        "Classes are never generated",
        f"{len(missed)} of {found.wanted} classes are missing among {num_fake} images: {_names(missed, classes)}. "
        f"Each has a share below {wilson(0, num_fake).high:.2g} (Wilson, 95 %).",
        "The generator has dropped modes. Train longer, use larger batches, another loss, or class conditions.",
        code="missing-classes",
    )


def _unequal(
    kind: Literal["over", "under"], which: Tensor, ratio: Tensor, found: Modes, classes: Sequence[str]
) -> Finding | None:
    numbers = sorted(which.nonzero().flatten().tolist(), key=lambda number: float(ratio[number]))
    if not numbers:
        return None
    often = "too often" if kind == "over" else "too seldom"
    texts = [f"{_name(number, classes)} ({_times(float(ratio[number]))})" for number in _ordered(kind, numbers)]
    return Finding(
        "warning",
        f"Classes are generated {often}",
        f"{len(numbers)} of {found.wanted} classes: {_listed(texts)} of the real share; Fisher's exact test, Holm's "
        f"correction for the number of classes, and a factor of {FACTOR:g} at least.",
        "Draw more of the latents, train longer, or use class conditions; weigh the classes before training on these.",
        code=f"{kind}-represented-classes",
    )


def _ordered(kind: str, numbers: list[int]) -> list[int]:
    """The worst first."""
    return numbers[::-1] if kind == "over" else numbers


def _times(ratio: float) -> str:
    return f"{ratio:.2g} times" if ratio < float("inf") else "any number of times"


def _name(number: int, classes: Sequence[str]) -> str:
    return classes[number] if number < len(classes) else str(number)


def _names(numbers: Sequence[int], classes: Sequence[str]) -> str:
    return _listed([_name(number, classes) for number in numbers])


def _listed(texts: Sequence[str]) -> str:
    more = len(texts) - MOST_NAMED
    return ", ".join(texts[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
