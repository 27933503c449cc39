"""Precision, recall, density and coverage, as rows of a table."""

from collections.abc import Collection

from evaluation.precision_recall import DENSITY_NEIGHBOURS, MANIFOLD_NEIGHBOURS, null_coverage, precision_recall
from evaluation.seen import Row, Seen

NEIGHBOUR_METRICS = {
    "precision": "share of fakes near real images",
    "recall": "share of real images near fakes",
    "density": "how many real images each fake is near to, 1 for a perfect generator",
    "coverage": "share of real images with a fake near by",
}
_INTERVAL = "design effect from 64 half-splits, about the expectation at these sample sizes, over new real and fake"


def neighbour_rows(seen: Seen, wanted: Collection[str]) -> list[Row]:
    """Rows of the words of NEIGHBOUR_METRICS, at one pass over the distances. ValueError for fewer than 6 samples."""
    words = [word for word in NEIGHBOUR_METRICS if word in wanted]
    if not words:
        return []
    found = precision_recall(seen.real.features.values, seen.fake.features.values, seed=seen.seed)
    protocols = _protocols(len(seen.real), len(seen.fake))
    return [(word, found[word], len(seen.fake), protocols[word]) for word in words]


def _protocols(num_real: int, num_fake: int) -> dict[str, str]:
    manifold, density = (f"closed balls, k = {k}" for k in (MANIFOLD_NEIGHBOURS, DENSITY_NEIGHBOURS))
    expected = null_coverage(num_real, num_fake)
    return {
        "precision": f"{manifold}, share of {num_fake} fakes; Wilson interval, {_INTERVAL}",
        "recall": f"{manifold}, share of {num_real} reals; Wilson interval, {_INTERVAL}",
        "density": f"{density}, mean of {num_fake} fakes, 1 for a perfect generator; score interval, {_INTERVAL}",
        "coverage": f"{density}, share of {num_real} reals, {expected:.4f} for a perfect generator; "
        f"Wilson interval, {_INTERVAL}",
    }
