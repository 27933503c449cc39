"""Precision, recall, density and coverage as rows of a table."""

from collections.abc import Collection

from evaluation.features.seen import Row, Seen
from evaluation.neighbourhoods.precision_recall import (
    DENSITY_NEIGHBOURS,
    MANIFOLD_NEIGHBOURS,
    null_coverage,
    precision_recall,
)

NEIGHBOUR_METRICS = {
    "precision": "share of fakes near real images",
    "recall": "share of real images near fakes",
    "density": "how many real images each fake is near to, 1 for a perfect generator",
    "coverage": "share of real images with a fake near by",
}
_INTERVAL = "95 % interval about the expectation at these sizes, both sets being random"


def neighbour_rows(seen: Seen, wanted: Collection[str]) -> list[Row]:
    """Rows of the words of NEIGHBOUR_METRICS; the four are made in one pass over the distances."""
    if NEIGHBOUR_METRICS.keys().isdisjoint(wanted):
        return []
    real, fake = seen.real.features.values, seen.fake.features.values
    found = precision_recall(real, fake, seed=seen.seed)
    expected = null_coverage(len(real), len(fake))
    manifold, ball = f"closed balls, k = {MANIFOLD_NEIGHBOURS}", f"closed balls, k = {DENSITY_NEIGHBOURS}"
    words = {
        "precision": manifold,
        "recall": manifold,
        "density": f"{ball}, 1 for a perfect generator",
        "coverage": f"{ball}, {expected:.4f} for a perfect generator",
    }
    return [(word, found[word], len(fake), f"{text}; {_INTERVAL}") for word, text in words.items() if word in wanted]
