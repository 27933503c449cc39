"""Which images a classifier had right, one by one: what lets two runs be compared on the images that they share."""

import csv
import io
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from advgan.storage.atomic import write_atomically
from advgan.storage.contents import checked

FILE = "answers.csv"
_IMAGE = "image"

Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Answers:
    """By metric and setting, for each image whether it counts: the score of that name is their mean."""

    images: tuple[str, ...]
    """(N,) names of the images by their content, so that two runs find those that both saw; none twice."""
    flags: Mapping[tuple[str, str], Flags]
    """(N,) each."""

    def save(self, folder: Path) -> Path:
        """Write `answers.csv`: an image a row, a column for each metric and setting, 1 where the image counts."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow([_IMAGE, *(f"{metric} {setting}" for metric, setting in self.flags)])
        columns = [flags.astype(int).tolist() for flags in self.flags.values()]
        writer.writerows(zip(self.images, *columns, strict=True))
        return write_atomically(folder / FILE, text.getvalue())

    @classmethod
    def load(cls, folder: Path) -> "Answers | None":
        """Read what `save` wrote; None where a run has none, or what is there is no such table.

        Raises ValueError where it was changed since.
        """
        file = checked(folder, FILE)
        try:
            text = file.read_text(encoding="utf-8")
            first, *rows = csv.reader(io.StringIO(text))
            values = np.array([row[1:] for row in rows]).reshape(len(rows), len(first) - 1)
        except (OSError, ValueError, csv.Error):
            return None
        names = [tuple(name.split(" ", 1)) for name in first[1:]]
        if first[:1] != [_IMAGE] or any(len(name) != 2 for name in names) or not np.isin(values, ["0", "1"]).all():
            return None
        flags = {(name[0], name[1]): values[:, place] == "1" for place, name in enumerate(names)}
        return cls(tuple(row[0] for row in rows), flags)


def numbered(names: Iterable[str]) -> tuple[str, ...]:
    """The same names, those that came before with their number: two images of one content are two images."""
    seen: Counter[str] = Counter()
    found = []
    for name in names:
        seen[name] += 1
        found.append(name if seen[name] == 1 else f"{name}-{seen[name]}")
    return tuple(found)
