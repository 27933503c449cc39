"""PNG pictures for a report: grids of images, and what an attack did to single ones."""

import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from PIL import Image
from torch import Tensor

from advgan.ranges import to_bytes
from advgan.storage.atomic import write_atomically
from evaluation.report.panels import ImagePanel, Picture
from evaluation.report.scatter import scatter
from evaluation.report.text import format_rate

_TILE = 192  # pixels that a single image is at least enlarged to
_GRID = 640  # the same for a whole grid
_GAP = 1  # pixels of the small images between those of a grid
SHOWN = 80
"""Images of a grid that stands for a generator."""


class Prediction(NamedTuple):
    """What a classifier says of one image: the name of the class and its probability."""

    label: str
    confidence: float


def image_grid(images: Tensor, *, columns: int = 0, scale: int = 0) -> bytes:
    """Lay images out in rows, as PNG.

    `images` are float (N, C, H, W) in [0, 1] with 1 or 3 channels; the grid is square unless `columns` says otherwise.
    Every pixel becomes `scale` x `scale` pixels (0: as many as make small images large enough to see), so that 8x8
    digits stay crisp. The gaps are transparent. Points (N, D, 1, 1) become one scatter plot. Raises ValueError
    where there is no image or their shape is another.
    """
    if images.shape[2:] == (1, 1) and len(images):
        return _png(scatter(images), scale or 2)
    _check(images)
    count, _, height, width = images.shape
    columns = min(count, columns or math.ceil(math.sqrt(count)))
    rows = math.ceil(count / columns)
    sheet = torch.zeros(4, rows * (height + _GAP) - _GAP, columns * (width + _GAP) - _GAP, dtype=torch.uint8)
    for place, image in enumerate(to_bytes(images.detach().cpu())):
        top, left = place // columns * (height + _GAP), place % columns * (width + _GAP)
        sheet[:3, top : top + height, left : left + width] = image.expand(3, -1, -1)
        sheet[3, top : top + height, left : left + width] = 255
    return _png(sheet, scale or max(1, round(_GRID / sheet.shape[2])))


def tile(image: Tensor, *, scale: int = 0) -> bytes:
    """One image (C, H, W) in [0, 1] as PNG, enlarged like those of `image_grid`."""
    _check(image[None])
    pixels = to_bytes(image.detach().cpu())
    return _png(pixels, scale or max(1, math.ceil(_TILE / pixels.shape[2])))


def grids_panel(
    run_folder: Path,
    groups: Mapping[str, Tensor],
    *,
    title: str,
    name: str,
    caption: str = "",
    section: str = "",
    columns: int = 0,
) -> ImagePanel:
    """Write one grid a group, such as real beside generated, and give the panel that shows them beside each other.

    The files are `samples/<name>-<number>.png` in the run folder.
    """
    items = []
    for number, (group, images) in enumerate(groups.items()):
        file = f"samples/{name}-{number}.png"
        write_atomically(run_folder / file, image_grid(images, columns=columns))
        items.append(Picture(file, group))
    return ImagePanel(title=title, caption=caption, section=section, items=tuple(items), layout="wide")


def triplets_panel(
    run_folder: Path,
    clean: Tensor,
    adversarial: Tensor,
    *,
    truth: Sequence[str],
    before: Sequence[Prediction],
    after: Sequence[Prediction],
    title: str,
    name: str,
    caption: str = "",
    section: str = "",
) -> ImagePanel:
    """Write clean image, perturbation and adversarial image of each sample, and give the panel that shows them.

    The perturbation is signed around grey; one factor, printed below it, enlarges all of them alike, so that they can
    be compared. `truth` are the names of the true classes. The files are `samples/<name>-<sample>-<part>.png`.
    """
    assert clean.shape == adversarial.shape
    assert len(clean) == len(truth) == len(before) == len(after)
    perturbations = adversarial.detach().cpu() - clean.detach().cpu()
    factor = perturbation_factor(perturbations)
    items = []
    for number, change in enumerate(perturbations):
        size = f"{change.abs().max().item():.3g}"
        parts = {
            "clean": (clean[number], f"true class {truth[number]}\nseen as {_seen(before[number])}"),
            "perturbation": (0.5 + change * factor, f"change × {factor:g}\nat most {size}"),
            "adversarial": (adversarial[number], f"attacked\nseen as {_seen(after[number])}"),
        }
        for part, (image, text) in parts.items():
            file = f"samples/{name}-{number}-{part}.png"
            write_atomically(run_folder / file, tile(image))
            items.append(Picture(file, text))
    return ImagePanel(title=title, caption=caption, section=section, items=tuple(items), layout="triplets")


def perturbation_factor(perturbations: Tensor) -> float:
    """The largest factor of two digits that keeps 0.5 + factor * perturbation in [0, 1]; 1 where nothing changed."""
    largest = perturbations.abs().max().item() if perturbations.numel() else 0.0
    if largest == 0:
        return 1.0
    exact = 0.5 / largest
    unit = 10.0 ** (math.floor(math.log10(exact)) - 1)
    return float(f"{math.floor(exact / unit + 1e-4) * unit:.2g}")


def _seen(prediction: Prediction) -> str:
    return f"{prediction.label}\n{format_rate(prediction.confidence)} sure"


def _check(images: Tensor) -> None:
    if images.ndim != 4 or not len(images) or images.shape[1] not in (1, 3):
        raise ValueError(f"a picture needs images (N, 1 or 3, H, W), these have shape {tuple(images.shape)}")


def _png(pixels: Tensor, scale: int) -> bytes:
    """Enlarge (C, H, W) uint8 by repeating each pixel, and compress."""
    large = pixels.repeat_interleave(scale, 1).repeat_interleave(scale, 2).permute(1, 2, 0).contiguous()
    image = Image.fromarray(large.squeeze(-1).numpy())
    file = io.BytesIO()
    image.save(file, format="PNG", optimize=True)
    return file.getvalue()


def grid_columns(num_classes: int) -> int:
    """One column a class, in which a conditional generator draws them by default, where that is a readable width."""
    return num_classes if 2 <= num_classes <= 16 else 10
