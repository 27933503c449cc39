"""Scores as a CSV file, one number a row, for pandas and spreadsheets."""

from collections.abc import Sequence
from pathlib import Path

from advgan.harmless import cell
from advgan.storage.atomic import write_atomically
from evaluation.record.scores import Score, table


def write_scores(path: Path, scores: Sequence[Score]) -> Path:
    """Write the tidy table of `evaluation.table` atomically: unknown intervals are empty, no text is a formula."""
    return write_atomically(path, table(scores).map(cell).to_csv(index=False))
