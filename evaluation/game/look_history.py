"""The periodic evaluations (looks) in a GAN's training log, and what its alarms need from them."""

from collections.abc import Sequence
from typing import Any, NamedTuple

Row = dict[str, Any]

LASTING = 3
"""Consecutive looks before an alarm about what may be temporary."""
CERTAIN = 2
"""Consecutive looks before an alarm about what healthy training does not show."""
LEARNING = 20_000
"""Real images seen by the discriminator before low diversity counts: an untrained generator draws one grey image."""


class History(NamedTuple):
    """The looks of a training so far, oldest first, and its adversarial loss (a name of LOSSES)."""

    looks: Sequence[Row]
    loss: str

    @property
    def late(self) -> "History":
        """Only the looks after the first `LEARNING` images."""
        return History([row for row in self.looks if row["images_seen"] >= LEARNING], self.loss)

    def last(self, count: int, *path: str) -> list[float] | None:
        """A value in the last looks; None where there are not as many, or one lacks it."""
        if len(self.looks) < count:
            return None
        values = [value_of(row, path) for row in self.looks[-count:]]
        known = [value for value in values if value is not None]
        return known if len(known) == count else None

    @property
    def nears(self) -> bool:
        """Whether each of the last `LASTING` looks has the smallest distance so far: training still improves.

        A slow generator does so too, as in the WGAN presets with one step for five of the critic's; a collapsed one
        oscillates or stagnates.
        """
        distances = [row["distance"] for row in self.looks]
        late = range(max(1, len(distances) - LASTING), len(distances))
        return all(distances[look] < min(distances[:look]) for look in late)


def by_one_judge(rows: Sequence[Row], judge: str | None = None) -> list[Row]:
    """The looks among the rows of a log that used the extractor `judge`, by default that of the last look.

    Distances and classes of two extractors are not comparable, so a run continued with another one starts its
    comparisons anew. Rows of older logs, which do not name the extractor, are compared among themselves only.
    """
    looks = [row for row in rows if "distance" in row]
    wanted = looks[-1].get("judge") if looks and judge is None else judge
    return [row for row in looks if row.get("judge") == wanted]


def value_of(row: Row, path: Sequence[str]) -> float | None:
    """The number at a path of keys; None where the row lacks it."""
    found: Any = row
    for name in path:
        found = found.get(name) if isinstance(found, dict) else None
    return None if found is None else float(found)
