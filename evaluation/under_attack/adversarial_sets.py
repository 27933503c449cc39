"""Adversarial sets on disk: the adversarial and clean images of an attack with labels and predictions.

Four formats. `png`: a folder of pictures, one folder a class, with a table `metadata.csv`. `npz`: floats as they were
attacked, with all that is known about them. `torchattacks`: what `torchattacks.attack.Attack.load` reads. `autoattack`:
what the evaluation script of AutoAttack writes. All but the last can be read as data (`--data`).

Whatever the number of images, only one batch of them is in memory: batches are written to a scratch file as they come,
and the set is put together from it. It appears whole, under its name, or not at all.
"""

import csv
import json
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from advgan.data.class_folders import class_folders
from advgan.data.reading.array_files import check_growth
from advgan.harmless import cell, file_cell
from advgan.intake.json_text import parse_json
from advgan.pictures import to_picture
from advgan.ranges import to_bytes, to_unit
from advgan.storage.atomic import filling, replacing, streaming, temporarily
from advgan.storage.contents import write_contents
from attacks import L2, LINF
from evaluation.under_attack.outcomes import Outcome

_BLOCK = 1 << 24  # bytes copied at once


class Batch(NamedTuple):
    """Some of the images of a set, in order."""

    indices: Tensor
    """(N,) their numbers in the data set."""
    labels: Tensor
    """(N,) true classes."""
    clean: Tensor
    """(N, C, H, W) float in [0, 1]."""
    adversarial: Tensor
    """(N, C, H, W) float in [0, 1]."""
    before: Tensor
    """(N,) int64 predicted classes of the clean images."""
    after: Tensor
    """(N,) int64 predicted classes of the adversarial images."""
    after_8bit: Tensor
    """(N,) int64 predicted classes of the adversarial images rounded to 8 bits."""


def outcome_batches(
    images: Tensor, outcome: Outcome, *, indices: Tensor | None = None, batch_size: int = 256
) -> Iterator[Batch]:
    """Cut an attack's outcome on (N, C, H, W) images into batches, with the images that were not attacked."""
    numbers = torch.arange(len(images)) if indices is None else indices
    after, after_8bit = outcome.logits.argmax(dim=1), outcome.logits_8bit.argmax(dim=1)
    for rows in torch.arange(len(images)).split(batch_size):
        yield Batch(
            indices=numbers[rows],
            labels=outcome.clean.labels[rows],
            clean=images[rows].cpu(),
            adversarial=outcome.adversarial[rows],
            before=outcome.clean.predictions[rows],
            after=after[rows],
            after_8bit=after_8bit[rows],
        )


def save_adversarial_set(
    path: Path, batches: Iterable[Batch], about: Mapping[str, Any], *, form: str = "npz", classes: Sequence[str] = ()
) -> Path:
    """Write a set in the format `form` (a name of FORMATS), and return its path.

    `about` is plain data for the reader: the attack, its eps, the seed, the digests of the model and of the data; the
    version of this program is added. `classes` are the names of the classes, by default their numbers. Raises
    ValueError where there are no images, or something is at `path` already, before any batch is made.
    """
    if form not in FORMATS:
        raise ValueError(f"unknown format {form!r}: choose from {', '.join(FORMATS)}")
    if path.exists():
        raise ValueError(f"{path} exists already; choose another name or delete it")
    about = {"version": metadata.version("advgan"), "format": form, **about}
    FORMATS[form](path, batches, about, tuple(classes))
    return path


def load_adversarial_set(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read an `npz` set: tensors by name, images as (N, C, H, W) float32, and its metadata."""
    check_growth(path)
    with np.load(path, allow_pickle=False) as file:
        if "metadata" not in file or "clean_images" not in file:
            raise ValueError(f"{path} is no adversarial set (it lacks metadata or clean_images)")
        about = parse_json(str(file["metadata"]))
        tensors = {name: torch.from_numpy(file[name]) for name in file.files if name not in ("metadata", "classes")}
    for name in ("images", "clean_images"):
        tensors[name] = tensors[name].permute(0, 3, 1, 2)
    return tensors, about


# The formats.


def _save_png(path: Path, batches: Iterable[Batch], about: Mapping[str, Any], classes: tuple[str, ...]) -> None:
    """Pictures rounded to 8 bits, as <class>/<index>.png, with a row each in `metadata.csv`."""
    folders = class_folders(classes)
    with filling(path) as temporary:
        (temporary / "metadata.json").write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
        with (temporary / "metadata.csv").open("w", newline="", encoding="utf-8") as file:
            table = csv.writer(file, lineterminator="\n")
            table.writerow(("file", *_COLUMNS, *map(cell, about)))
            for batch in _some(batches):
                pixels = to_bytes(batch.adversarial.cpu())
                for picture, row in zip(pixels, _rows(batch), strict=True):
                    label = int(row[1])
                    name = f"{folders[label] if label < len(folders) else label}/{row[0]:06d}.png"
                    (temporary / name).parent.mkdir(exist_ok=True)
                    to_picture(picture).save(temporary / name)
                    table.writerow((file_cell(name), *map(cell, (*row, *about.values()))))
        write_contents(temporary)


def _save_npz(path: Path, batches: Iterable[Batch], about: Mapping[str, Any], classes: tuple[str, ...]) -> None:
    """`images` and `clean_images` (N,H,W,C) float32, labels and answers, and `metadata` as JSON."""
    with (
        _scratch(path.parent, batches) as spool,
        replacing(path) as temporary,
        zipfile.ZipFile(temporary, "w", allowZip64=True) as archive,
    ):
        for name in ("images", "clean_images"):
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                spool.write_npy(member, name)
        small = {**spool.columns, "metadata": np.array(json.dumps(dict(about)))}
        if classes:
            small["classes"] = np.array(classes)
        for name, values in small.items():
            with archive.open(f"{name}.npy", "w") as member:
                np.lib.format.write_array(member, values, allow_pickle=False)


def _save_torchattacks(
    path: Path, batches: Iterable[Batch], about: Mapping[str, Any], classes: tuple[str, ...]
) -> None:
    """Its dictionary, as floats, with the answers and the clean images."""
    with _scratch(path.parent, batches) as spool, streaming(path) as stream:
        content = {
            "adv_inputs": spool.mapped("images"),
            "clean_inputs": spool.mapped("clean_images"),
            "labels": torch.from_numpy(spool.columns["labels"]),
            "preds": torch.from_numpy(spool.columns["predictions_after"]),
            "save_type": "float",
            "metadata": json.dumps(dict(about)),
        }
        torch.save(content, stream)


def _save_autoattack(path: Path, batches: Iterable[Batch], about: Mapping[str, Any], classes: tuple[str, ...]) -> None:
    """The one tensor under `adv_complete`; labels are those of the data, in its order."""
    with _scratch(path.parent, batches) as spool, streaming(path) as stream:
        torch.save({"adv_complete": spool.mapped("images")}, stream)


Save = Callable[[Path, Iterable[Batch], Mapping[str, Any], tuple[str, ...]], None]

FORMATS: dict[str, Save] = {
    "png": _save_png,
    "npz": _save_npz,
    "torchattacks": _save_torchattacks,
    "autoattack": _save_autoattack,
}


# What they share.

_COLUMNS = (
    "index",
    "label",
    "prediction_before",
    "prediction_after",
    "prediction_after_8bit",
    "linf",
    "l2",
    "linf_8bit",
    "l2_8bit",
)


def _rows(batch: Batch) -> list[tuple[Any, ...]]:
    """A row of the table for each image."""
    delta = batch.adversarial.cpu() - batch.clean.cpu()
    rounded = to_unit(to_bytes(batch.adversarial.cpu())) - batch.clean.cpu()
    answers = (batch.indices, batch.labels, batch.before, batch.after, batch.after_8bit)
    sizes = [norm.size(change) for change in (delta, rounded) for norm in (LINF, L2)]
    columns = [*(answer.tolist() for answer in answers), *([f"{value:.6g}" for value in size] for size in sizes)]
    return list(zip(*columns, strict=True))


def _some(batches: Iterable[Batch]) -> Iterator[Batch]:
    """The batches that are not empty; ValueError if none is."""
    count = 0
    for batch in batches:
        count += len(batch.labels)
        if len(batch.labels):
            yield batch
    if count == 0:
        raise ValueError("there are no adversarial images to save")


class _Spool:
    """The images of a set as raw float32 files (N, C, H, W), and its small columns in memory."""

    def __init__(self, folder: Path, batches: Iterable[Batch]) -> None:
        self.folder = folder
        self.shape: tuple[int, ...] = ()
        parts: list[tuple[npt.NDArray[Any], ...]] = []
        with (folder / "images").open("wb") as adversarial, (folder / "clean_images").open("wb") as clean:
            for batch in _some(batches):
                adversarial.write(_raw(batch.adversarial))
                clean.write(_raw(batch.clean))
                self.shape = tuple(batch.adversarial.shape[1:])
                answers = (batch.labels, batch.indices, batch.before, batch.after, batch.after_8bit)
                parts.append(tuple(answer.cpu().to(torch.int64).numpy() for answer in answers))
        names = ("labels", "indices", "predictions_before", "predictions_after", "predictions_after_8bit")
        self.columns = {name: np.concatenate(part) for name, part in zip(names, zip(*parts, strict=True), strict=True)}
        self.shape = (len(self.columns["labels"]), *self.shape)

    def mapped(self, name: str) -> Tensor:
        """The images as a tensor that lies in the file."""
        path, count = str(self.folder / name), int(np.prod(self.shape))
        return torch.from_file(path, shared=False, size=count, dtype=torch.float32).reshape(self.shape)

    def write_npy(self, member: IO[bytes], name: str) -> None:
        """Write the images as a `.npy` of shape (N, H, W, C), a block at a time."""
        count, channels, height, width = self.shape
        header = {"descr": "<f4", "fortran_order": False, "shape": (count, height, width, channels)}
        np.lib.format.write_array_header_1_0(member, header)
        for block in self.mapped(name).split(max(1, _BLOCK // (4 * channels * height * width))):
            member.write(_raw(block.permute(0, 2, 3, 1)))


@contextmanager
def _scratch(parent: Path, batches: Iterable[Batch]) -> Iterator[_Spool]:
    """Spool the batches into a folder that is gone after the block."""
    parent.mkdir(parents=True, exist_ok=True)
    with temporarily(parent / "adversarial-set") as folder:
        folder.mkdir()
        yield _Spool(folder, batches)


def _raw(images: Tensor) -> bytes:
    return images.detach().cpu().contiguous().numpy().astype("<f4", copy=False).tobytes()
