"""Points of known modes: how many modes a generator draws, how well, and how evenly (PacGAN's protocol).

Lin et al. (2018): a point is of high quality within 3 standard deviations of the nearest mode, a mode is captured by
one such point among 2,500, and the reverse KL divergence compares the modes of high-quality points with equal shares.
"""

from collections.abc import Collection

import torch
from torch import Tensor

from advgan.data.points import POINTS
from evaluation.features.features import Extractor, Features
from evaluation.features.seen import Row, Sample, Seen
from evaluation.record.scores import Score, score_rows
from evaluation.statistics.histograms import equal_shares_estimate
from evaluation.statistics.intervals import UNKNOWN, Estimate, rate
from evaluation.statistics.occupancy import covered_interval

DEVIATIONS = 3.0
"""The distance that counts as high quality: 98.9 % of true points in the plane lie within, 99.7 % on a line."""


MODE_METRICS = {
    "modes_captured": "of points or stacked digits: modes that are generated at all",
    "reverse_kl": "the same: divergence of the generated modes from equal shares",
    "high_quality": "of points: share within 3 standard deviations of a mode",
}


def points_extractor(name: str) -> Extractor:
    """See points of `POINTS` by their own coordinates, and the class that is their mode.

    A point of high quality has probability 1 of its nearest mode, any other the same of each (and a half of a single
    mode): so it is sure of none.
    """
    known = POINTS[name]

    def look(images: Tensor) -> tuple[Tensor, Tensor]:
        points = known.points(images.cpu())
        distance, nearest = known.distances(points).min(dim=1)
        near = torch.nn.functional.one_hot(nearest, len(known.means)).double()
        return points, torch.where((distance < DEVIATIONS)[:, None], near, 1 / max(2, len(known.means)))

    protocol = f"coordinates of {name}; of high quality within {DEVIATIONS:g} standard deviations of a mode"
    return Extractor("points", f"{name}-{len(known.means)}", look, protocol, rounds=False, confidence=0.9)


def mode_counts(seen: Features) -> Tensor:
    """Images of each mode, those left out that the extractor is not sure of: (K,) int64."""
    return seen.classes[seen.sure].bincount(minlength=seen.probabilities.shape[1]).cpu()


def modes_captured(seen: Features) -> int:
    """Number of modes with an image at least."""
    return int((mode_counts(seen) > 0).sum())


def captured_estimate(seen: Features) -> Estimate:
    """The same with an interval about its expectation for so many images."""
    counts = mode_counts(seen)
    return Estimate(modes_captured(seen), *(covered_interval(counts) if counts.sum() else UNKNOWN))


def high_quality(seen: Features) -> Estimate:
    """Share of points near a mode, with its Wilson interval."""
    return rate(seen.sure)


def reverse_kl(seen: Features, *, seed: int = 0) -> Estimate:
    """KL(generated || equal shares) over the K modes in nats: sum_k p_k log(K p_k), from 0 to log K.

    p_k is the share of mode k among the images that are sure of one. Its expectation for a perfect generator is about
    (K - 1) / 2M with M images. The interval is about the expectation for so many images; NaN where no image is sure.
    """
    return equal_shares_estimate(mode_counts(seen), seed=seed).estimate


def captured_rows(seen: Seen, wanted: Collection[str]) -> list[Row]:
    """What PacGAN reports of points or of stacked digits: rows of the words of MODE_METRICS."""
    fake = seen.fake.features
    num_modes, about = fake.probabilities.shape[1], "95 % interval about the expectation at this size"
    rows: list[tuple[str, Estimate, str]] = []
    if "modes_captured" in wanted:
        rows.append(("modes_captured", captured_estimate(fake), f"of {num_modes}, by one image at least; {about}"))
    if "reverse_kl" in wanted:
        counts = mode_counts(fake)
        if not counts.sum():
            raise ValueError(f"none of the {len(fake)} generated images is of a mode")
        found = equal_shares_estimate(counts, seed=seen.seed)
        text = f"KL(fake || equal shares) in nats, {found.null:.2g} for a perfect generator; {about}"
        rows.append(("reverse_kl", found.estimate, text))
    if "high_quality" in wanted and fake.confidence:
        near = f"share within {DEVIATIONS:g} standard deviations of a mode; Wilson interval"
        rows.append(("high_quality", high_quality(fake), near))
    return [(metric, estimate, len(fake), protocol) for metric, estimate, protocol in rows]


def mode_scores(fake: Features, *, subject: str = "", data: str = "", seed: int = 0) -> list[Score]:
    """The rows of `captured_rows`, all of them, as scores."""
    sample = Sample(features=fake)
    found = captured_rows(Seen(real=sample, fake=sample, seed=seed), MODE_METRICS)
    rows = [
        (metric, estimate, samples, f"{protocol}; {fake.protocol}") for metric, estimate, samples, protocol in found
    ]
    return score_rows(rows, subject=subject, data=data, setting=fake.extractor, seed=seed)
