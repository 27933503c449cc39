"""Findings on the images themselves: JPEG files, rounding to 8 bits, duplicates, images in two sets."""

from collections import Counter
from collections.abc import Sequence
from hashlib import blake2b

from torch import Tensor

from evaluation.features.seen import Sample
from evaluation.inputs.source import Source
from evaluation.inputs.statistics import Statistics, statistics_findings
from evaluation.record.findings import Finding

MANY_REPEATS = 0.01
"""Share of repeated images from which a set is suspected."""


def input_findings(
    sources: Sequence[Source | Statistics], real: Sample, fake: Sample, held_out: Sample | None = None
) -> list[Finding]:
    """Judge the sources, and the sets that they gave; repeats need the sets' `images`, else they are not looked for."""
    found = [finding for source in sources for finding in source_findings(source)]
    found += _unequal(real, fake)
    prints = {
        role: fingerprints(each.images)
        for role, each in (("real", real), ("generated", fake), ("held-out", held_out))
        if each is not None and each.images is not None
    }
    for role, known in prints.items():
        found += _repeated(role, known)
    found += _shared(prints, "real", "generated", code="copied-images")
    found += _shared(prints, "held-out", "generated", code="held-out-copied")
    found += _shared(prints, "real", "held-out", code="train-test-leakage")
    return found


def source_findings(source: Source | Statistics) -> list[Finding]:
    """What a source shows by itself."""
    if isinstance(source, Statistics):
        return statistics_findings(source)
    return [*_lossy(source), *_rounded(source), *_unmatched(source)]


def fingerprints(images: Tensor) -> list[bytes]:
    """A hash of the bytes of each image: equal for identical images, and in practice for no others."""
    rows = images.contiguous().cpu().numpy()
    return [blake2b(row.tobytes(), digest_size=16).digest() for row in rows]


def num_repeated(prints: Sequence[bytes]) -> int:
    """Images that are byte for byte the same as an earlier one."""
    return len(prints) - len(set(prints))


def num_shared(first: Sequence[bytes], second: Sequence[bytes]) -> int:
    """Images of the second set that are byte for byte in the first."""
    known = set(first)
    return sum(count for print_, count in Counter(second).items() if print_ in known)


def _lossy(source: Source) -> list[Finding]:
    if source.lossy == 0:
        return []
    return [
        Finding(
            "warning",
            "JPEG images",
            f"{source.lossy:,} files of {source.name} are JPEG: its artefacts are in the features, and move every "
            "distance to images that were not saved so.",
            "Save generated images as PNG, and compare sets that were saved in the same way.",
            code="jpeg-images",
        )
    ]


def _rounded(source: Source) -> list[Finding]:
    lost = source.rounding
    if lost is None or lost.share == 0:
        return []
    return [
        Finding(
            "info",
            "Floats were rounded to 8 bits",
            f"{lost.share:.1%} of the values of {source.name} lay between grey levels: {lost.before:,} different "
            f"values in its first images became {lost.after:,}.",
            "This is what a file would hold, and what real images are; the scores are those of the saved images.",
            code="rounded-images",
        )
    ]


def _unmatched(source: Source) -> list[Finding]:
    if not source.unmatched:
        return []
    return [
        Finding(
            "info",
            "Classes of another data set",
            f"{source.name} has the class {source.unmatched[0]}"
            + (f" and {len(source.unmatched) - 1} more" if len(source.unmatched) > 1 else "")
            + ", which the data do not know: its labels were left out, and no score by class was made, nor any of a "
            "discriminator that is told them.",
            "Name its class folders as those of the data.",
            code="unknown-classes",
        )
    ]


def _unequal(real: Sample, fake: Sample) -> list[Finding]:
    if len(real) == len(fake):
        return []
    return [
        Finding(
            "info",
            "Unequal numbers of images",
            f"{len(real):,} real against {len(fake):,} generated: biased scores (FID, precision, recall, coverage) "
            "depend on both numbers.",
            "Compare with results at the same two numbers only.",
            code="unequal-counts",
        )
    ]


def _repeated(role: str, prints: Sequence[bytes]) -> list[Finding]:
    count = num_repeated(prints)
    if count == 0:
        return []
    many = count >= MANY_REPEATS * len(prints)
    return [
        Finding(
            "warning" if many else "info",
            f"Repeated {role} images",
            f"{count:,} of {len(prints):,} {role} images are byte for byte the same as an earlier one.",
            "A generator that repeats itself has collapsed; real images that repeat make neighbourhoods of radius 0: "
            "leave the repeats out.",
            code=f"repeated-{role}",
        )
    ]


def _shared(prints: dict[str, list[bytes]], first: str, second: str, *, code: str) -> list[Finding]:
    if first not in prints or second not in prints:
        return []
    count = num_shared(prints[first], prints[second])
    if count == 0:
        return []
    return [
        Finding(
            "warning",
            f"The same images in the {first} and the {second} set",
            f"{count:,} of {len(prints[second]):,} {second} images are byte for byte among the {first} ones.",
            "Distances between sets that share images are too small: look for a split gone wrong, or a generator "
            "that copies.",
            code=code,
        )
    ]
