"""Write a run's log for TensorBoard: scalars and the sample grid."""

import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image


class Board:
    """Writes the rows of a run's log for TensorBoard.

    Raises ValueError where TensorBoard is not installed. After `step`, what an interrupted run wrote is dropped.
    """

    def __init__(self, folder: Path, *, step: int) -> None:
        self.writer = _writer_class()(str(folder), purge_step=step + 1)

    def write(self, row: Mapping[str, Any], grid: bytes | None = None) -> None:
        """One row, and the sample grid (PNG) of an evaluation."""
        for name, value in scalars(row):
            self.writer.add_scalar(name, value, row["step"])
        if grid is not None:
            pixels = np.asarray(Image.open(io.BytesIO(grid)).convert("RGB"))
            self.writer.add_image("samples", pixels, row["step"], dataformats="HWC")

    def close(self) -> None:
        """Flush to the disk."""
        self.writer.close()


def check_tensorboard() -> None:
    """Raise ValueError where TensorBoard is not installed."""
    _writer_class()


def scalars(row: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    """The numbers of a row, groups named with a slash; lists and words are left out."""
    for name, value in row.items():
        if isinstance(value, Mapping):
            yield from scalars(value, f"{prefix}{name}/")
        elif isinstance(value, (int, float)) and name != "step":
            yield f"{prefix}{name}", float(value)


def _writer_class() -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise ValueError(
            "tensorboard true needs the extra: pip install 'advgan[tensorboard]', or leave it out (log.jsonl has all)"
        ) from None
    return SummaryWriter
