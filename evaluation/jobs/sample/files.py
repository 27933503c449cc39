"""The files that `advgan sample` writes: PNG folders, one .npz and a grid."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from advgan.data.class_folders import class_folders
from advgan.pictures import to_picture
from advgan.ranges import to_bytes
from advgan.storage.atomic import filling, replacing, write_atomically
from advgan.storage.contents import write_contents
from evaluation.record.findings import Finding
from evaluation.record.scores import Score
from evaluation.report.panels import Panel
from evaluation.report.pictures import image_grid

GRID_ROWS = 24


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """Images with their file names, labels and the texts of the report."""

    images: Tensor
    """(N, C, H, W) in [0, 1], on the CPU, row by row of the grid."""
    names: Sequence[str]
    """A file name without its ending for each image, such as `7/000003`."""
    labels: Tensor | None
    """(N,) classes, where the generator draws chosen ones."""
    columns: int
    """Of the grid."""
    verdict: str
    caption: str = ""
    header: tuple[tuple[str, str], ...] = ()
    scores: tuple[Score, ...] = ()
    findings: tuple[Finding, ...] = ()
    panels: tuple[Panel, ...] = ()


def write_drawing(folder: Path, drawing: Drawing) -> list[Path]:
    """Write images/<name>.png, samples/grid.png and, under its customary name, samples_<N>x<H>x<W>x<C>.npz.

    Returns what it wrote, the folder of pictures as one.

    Points are no pictures: they stay float, in the .npz alone.
    """
    are_points = drawing.images.shape[2:] == (1, 1)
    pictures = [] if are_points else [folder / "images"]
    for place in pictures:
        write_images(place, drawing.images, drawing.names)
    arrays = _write_arrays(folder, drawing.images if are_points else to_bytes(drawing.images), drawing.labels)
    shown = drawing.images[: drawing.columns * GRID_ROWS]
    grid = folder / "samples" / "grid.png"
    write_atomically(grid, image_grid(shown, columns=drawing.columns))
    return [*pictures, arrays, grid]


def write_images(folder: Path, images: Tensor, names: Sequence[str]) -> None:
    """Write a PNG each, in folders where names have them; the folder appears whole or not at all."""
    with filling(folder) as temporary:
        for pixels, name in zip(to_bytes(images), names, strict=True):
            file = temporary / f"{name}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            to_picture(pixels).save(file)
        write_contents(temporary)


def sample_names(indices: Tensor, labels: Tensor | None, classes: Sequence[str]) -> list[str]:
    """`<folder of the class>/<index>` where there are classes, else `<index>`."""
    folders = class_folders(classes)
    places = [""] * len(indices) if labels is None else [f"{folders[label]}/" for label in labels]
    return [f"{place}{int(index):06d}" for place, index in zip(places, indices, strict=True)]


def table_names(rows: int, columns: int) -> list[str]:
    """`<row>-<column>` of the grid."""
    return [f"{row:03d}-{column:03d}" for row in range(rows) for column in range(columns)]


def _write_arrays(folder: Path, pixels: Tensor, labels: Tensor | None) -> Path:
    """`arr_0` images NHWC and `arr_1` labels, as guided-diffusion's evaluator reads them."""
    images = pixels.permute(0, 2, 3, 1).numpy()
    file = folder / f"samples_{'x'.join(map(str, images.shape))}.npz"
    with replacing(file) as temporary:
        if labels is None:
            np.savez_compressed(temporary, arr_0=images)
        else:
            np.savez_compressed(temporary, arr_0=images, arr_1=labels.to(torch.int64).cpu().numpy())
    return file
