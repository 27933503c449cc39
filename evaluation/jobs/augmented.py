"""Augmented training sets on disk: PNG class folders with metadata.csv, and the same images as floats in an .npz.

The PNGs hold what a network trained on files will see; the floats hold the perturbations exactly, since rounding to
8 bits changes them. `metadata.csv` is the form that the imagefolder reader of Hugging Face `datasets` takes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from advgan.config import DataConfig
from advgan.data import Data, ImageSet, load_extra
from advgan.data.class_folders import class_folders
from advgan.data.class_names import matched_numbers
from advgan.data.reading.files import Files
from advgan.data.reading.folder import list_folder
from advgan.data.reading.pixels import read_pixels
from advgan.harmless import cell, file_cell, from_cell, printable
from advgan.pictures import to_picture
from advgan.ranges import to_bytes
from advgan.storage.atomic import filling
from advgan.storage.contents import checked, write_contents
from evaluation.jobs.suites import in_file_names

METADATA, FLOATS = "metadata.csv", "images.npz"
REAL = "real"


@dataclass(frozen=True, kw_only=True)
class Part:
    """Images of one source, and a row of metadata for each (without `file_name`, which `write_augmented` adds).

    `images` are float (N,C,H,W) in [0, 1]. `rows` needs the columns `label`, `source` and `index`.
    """

    name: str
    images: Tensor
    rows: pd.DataFrame


def write_augmented(folder: Path, parts: Sequence[Part], classes: Sequence[str]) -> None:
    """Write all parts as one set; the folder appears whole or not at all. `label` holds class numbers in the rows."""
    with filling(folder) as temporary:
        frames = [_write_part(temporary, part, classes) for part in parts]
        pd.concat(frames, ignore_index=True).map(cell).to_csv(temporary / METADATA, index=False)
        images = torch.cat([part.images for part in parts]).permute(0, 2, 3, 1).float().numpy()
        labels = np.concatenate([part.rows["label"].to_numpy() for part in parts])
        np.savez_compressed(temporary / FLOATS, images=images, labels=labels, classes=np.array(classes))
        write_contents(temporary)


def _write_part(folder: Path, part: Part, classes: Sequence[str]) -> pd.DataFrame:
    names, folders = [], class_folders(classes)
    for pixels, label, index in zip(to_bytes(part.images), part.rows["label"], part.rows["index"], strict=True):
        name = f"{folders[label]}/{in_file_names(part.name)}-{index:06d}.png"
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        to_picture(pixels).save(folder / name)
        names.append(file_cell(name))
    rows = part.rows.assign(label=[classes[label] for label in part.rows["label"]])
    rows.insert(0, "file_name", names)
    return rows


def read_extra(folder: Path, data: Data) -> ImageSet:
    """Read images to learn from beside the training split: an augmented set, or any image source with the same classes.

    Of an augmented set its real images are left out, since the training split holds them already. Raises ValueError
    where classes, size or channels do not fit `data`.
    """
    if not (folder / METADATA).is_file():
        wanted = {"source": str(folder), "resize": data.size, "channels": data.channels}
        return load_extra(DataConfig.model_validate(wanted), like=data.train)
    rows = _read_metadata(folder)
    rows = rows[rows["source"] != REAL]
    if rows.empty:
        raise ValueError(f"--extra {folder}: holds no adversarial or generated images, only real ones")
    files = list_folder(folder)[0]
    known = {*files.images}
    images = torch.stack([_read_picture(files, known, name, data) for name in rows["file_name"]])
    names = sorted(set(rows["label"]), key=lambda name: (len(name), name) if name.isdecimal() else (0, name))
    numbers = matched_numbers(names, data.classes, what=f"--extra {folder}", of=data.name)
    number_of = dict(zip(names, numbers, strict=True))
    labels = torch.tensor([number_of[label] for label in rows["label"]])
    return ImageSet(images, labels, data.classes, folder.name)


def _read_metadata(folder: Path) -> pd.DataFrame:
    checked(folder, METADATA)
    try:
        rows = pd.read_csv(folder / METADATA, dtype={"label": str, "file_name": str}, keep_default_na=False)
    except (ValueError, OSError) as error:
        raise ValueError(f"--extra {folder}: cannot read {METADATA} ({' '.join(str(error).split())})") from None
    missing = {"file_name", "label", "source"} - set(rows.columns)
    if missing:
        raise ValueError(f"--extra {folder}: {METADATA} lacks the column {', '.join(sorted(missing))}")
    return rows.assign(
        label=rows["label"].map(from_cell), file_name=rows["file_name"].map(lambda name: name.removeprefix("./"))
    )


def _read_picture(files: Files, known: set[str], name: str, data: Data) -> Tensor:
    """An image of the folder (C, H, W); a name that leads out of it is not among those that it lists."""
    where = f"--extra {files.name}: {printable(name)}, which {METADATA} names,"
    if name not in known:
        raise ValueError(f"{where} is no image in that folder: write the set again with advgan augment")
    file = files.open(name)
    try:
        pixels = read_pixels(file, size=None, channels=None)
    except ValueError as error:
        raise ValueError(f"{where} cannot be read: it {printable(str(error))}") from None
    channels, height, width = pixels.shape
    if (height, width, channels) != (data.size, data.size, data.channels):
        raise ValueError(
            f"{where} is {width}x{height} with {channels} channels, "
            f"the data is {data.size}x{data.size} with {data.channels}"
        )
    return torch.from_numpy(pixels.copy())
