"""The looks at a GAN's training up to one of them, and what alarms ask of them."""

from collections.abc import Sequence
from typing import Any, NamedTuple

Row = dict[str, Any]

LASTING = 3
"""Looks on end for what may pass by itself."""
CERTAIN = 2
"""Looks on end for what no healthy training shows once."""
LEARNING = 20_000
"""Images that the discriminator sees before a want of variety counts: an untrained generator draws one grey image."""


class History(NamedTuple):
    """All looks up to one, oldest first, and the loss that is played."""

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
        """Whether each of the last looks brought the best distance so far.

        So does a generator that learns slowly, as the presets of WGAN do at one step for five of the critic's; one that
        has collapsed goes round instead, or stands.
        """
        distances = [row["distance"] for row in self.looks]
        late = range(max(1, len(distances) - LASTING), len(distances))
        return all(distances[look] < min(distances[:look]) for look in late)


def by_one_judge(rows: Sequence[Row], judge: str | None = None) -> list[Row]:
    """The looks among the rows of a log that were judged by `judge`, or else by the judge of the last look.

    Distances and classes that two networks see are not of one scale: a run that goes on beside another judge begins its
    comparisons anew. Logs of before judges were named in them agree with each other alone.
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
