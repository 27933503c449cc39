"""A verb of the command line as a test calls it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple


class Ended(NamedTuple):
    """How a verb ended."""

    code: int
    scores: list[dict[str, Any]]
    words: str
    """What stood on stderr."""
    run: Path | None

    def values(self) -> dict[tuple[str, str, str], float]:
        """The scores by subject, setting and metric."""
        return {(row["subject"], row["setting"], row["metric"]): row["value"] for row in self.scores}


Advgan = Callable[..., Ended]
