"""Findings on distances below their floor: the expectation for a perfect generator at these sample sizes."""

from collections.abc import Sequence

from evaluation.features.features import metric_name
from evaluation.features.seen import Row, Seen
from evaluation.record.findings import Finding
from evaluation.statistics.intervals import Estimate


def below_floor_findings(seen: Seen, rows: Sequence[Row]) -> list[Finding]:
    """Warn of each distance whose whole interval lies below its floor (0 for unbiased distances)."""
    real = seen.real.features
    known = {metric: (estimate, samples) for metric, estimate, samples, _ in rows}
    told = []
    floor, num_fake = known.get(metric_name("fid_floor", real), (None, 0))
    unseen_floor, _ = known.get(metric_name("fid_unseen_floor", real), (None, 0))
    for word in ("fid", "fid_real", "fid_unseen", "fid_infinity", "kid", "cmmd"):
        name = metric_name(word, real) if word != "cmmd" else word
        if name not in known:
            continue
        distance, samples = known[name]
        at_size = _floor_at(floor, len(real), num_fake, samples)
        least = {"fid": at_size, "fid_real": at_size, "fid_unseen": unseen_floor}.get(word, Estimate(0, 0, 0))
        top = distance.value if distance.value == 0 else distance.high  # of the same images there is no interval
        if least is not None and top < least.low:
            told.append(
                f"{name} is {distance.value:.4g} [{distance.low:.4g}, {distance.high:.4g}] over {least.value:.4g}"
            )
    if not told:
        return []
    return [
        Finding(
            "warning",
            "A distance is below what a perfect generator would score",
            f"{'; '.join(told)}. By chance that happens to fewer than 1 in 40.",
            "The images are no independent draws: a generator that fits the accidents of a small training set, or "
            f"copies it, lies nearer to it than new real images do. {_instead(seen, rows)}, and look for copies and "
            "for one set made from the other.",
            code="below-the-floor",
        )
    ]


def _instead(seen: Seen, rows: Sequence[Row]) -> str:
    """What to quote in its place."""
    name = metric_name("fid_unseen", seen.real.features)
    found = next((estimate for metric, estimate, *_ in rows if metric == name), None)
    if found is None:
        return "Hold it against held-out images (--reference)"
    return f"Quote {name}, the distance to held-out images, which is {found.value:.4g}"


def _floor_at(floor: Estimate | None, num_real: int, num_fake: int, samples: int) -> Estimate | None:
    """Rescale the floor to `samples` images in place of the generated ones, in proportion to 1/N + 1/M."""
    if floor is None:
        return None
    growth = (1 / num_real + 1 / samples) / (1 / num_real + 1 / num_fake)
    return Estimate(*(part * growth for part in floor))
