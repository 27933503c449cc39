"""Files that claim to hold more than they may are refused before they fill the memory or the disk."""

import gzip
import io
import os
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

import cli
from advgan.config import DataConfig
from advgan.data import load_data, load_images
from advgan.intake.limits import LIMITS, growth_within, limit, raised, within

MEGABYTE = 10**6


def picture(side: int = 8) -> bytes:
    file = io.BytesIO()
    Image.new("L", (side, side)).save(file, "PNG")
    return file.getvalue()


def zip_of_zeros(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("a/0.png", "b/0.png"):
            archive.writestr(name, picture() + bytes(MEGABYTE))


def tar_of_zeros(path: Path) -> None:
    with gzip.open(path, "wb") as packed, tarfile.open(fileobj=packed, mode="w") as archive:
        for name in ("a/0.png", "b/0.png"):
            member = tarfile.TarInfo(name)
            member.size = MEGABYTE
            archive.addfile(member, io.BytesIO(bytes(MEGABYTE)))


def sparse_tar(path: Path) -> None:
    """A file that says of itself that it is mostly a hole."""
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as archive:
        member = tarfile.TarInfo("a/0.png")
        member.pax_headers = {"GNU.sparse.map": "0,8", "GNU.sparse.size": str(9 * MEGABYTE)}
        member.size = 8
        archive.addfile(member, io.BytesIO(bytes(8)))


def folder_of_a_large_file(path: Path) -> None:
    (path / "a").mkdir(parents=True)
    (path / "a" / "0.png").write_bytes(picture() + bytes(MEGABYTE))


def folder_of_a_large_picture(path: Path) -> None:
    (path / "a").mkdir(parents=True)
    (path / "a" / "0.png").write_bytes(picture(600))


def folder_of_a_large_table(path: Path) -> None:
    path.mkdir()
    (path / "0.png").write_bytes(picture())
    (path / "labels.csv").write_bytes(b"file,label\n" * 50_000)


def npz_of_zeros(path: Path) -> None:
    np.savez_compressed(path, images=np.zeros((100, 100, 100), np.uint8), labels=np.zeros(100, np.int64))


def pt_of_zeros(path: Path) -> None:
    torch.save({"images": torch.zeros(100, 100, 100, dtype=torch.uint8), "labels": torch.zeros(100).long()}, path)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)


BOMBS: dict[str, tuple[str, Callable[[Path], None], str]] = {
    "a member of a zip": ("x.zip", zip_of_zeros, "file"),
    "a zip": ("x.zip", zip_of_zeros, "total"),
    "many members of a zip": ("x.zip", zip_of_zeros, "members"),
    "a member of a tar": ("x.tar.gz", tar_of_zeros, "file"),
    "a tar": ("x.tar.gz", tar_of_zeros, "total"),
    "many members of a tar": ("x.tgz", tar_of_zeros, "members"),
    "a file with holes": ("x.tar", sparse_tar, "file"),
    "a tar with holes": ("x.tar", sparse_tar, "total"),
    "a file": ("x", folder_of_a_large_file, "file"),
    "a picture": ("x", folder_of_a_large_picture, "pixels"),
    "a table": ("x", folder_of_a_large_table, "file"),
    "a folder": ("x", folder_of_a_large_table, "members"),
    "arrays": ("x.npz", npz_of_zeros, "total"),
    "tensors": ("x.pt", pt_of_zeros, "total"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_what_is_beyond_a_limit_is_refused_with_the_option_that_raises_it(tmp_path: Path, name: str) -> None:
    file, make, limited = BOMBS[name]
    make(tmp_path / file)
    low = 1 if limited == "members" else 200_000
    with raised([f"{limited}={low}"]), pytest.raises(ValueError, match=rf"x.* has more than .*--limit {limited}="):
        load_images(DataConfig(source=str(tmp_path / file)), cache=tmp_path / "cache")
    assert not list((tmp_path / "cache").rglob("*.npy"))


def test_a_tensor_that_repeats_one_number_is_refused(tmp_path: Path) -> None:
    images = torch.zeros(1, 1, 1, 1).expand(10**6, 3, 224, 224)
    torch.save({"images": images, "labels": torch.zeros(1).long().expand(10**6)}, tmp_path / "x.pt")
    with pytest.raises(ValueError, match=r"images cannot be read as numbers \(it repeats the few numbers"):
        load_data(DataConfig(source=str(tmp_path / "x.pt")), cache=tmp_path / "cache")


def test_a_picture_of_any_size_is_read_where_the_limit_says_so(tmp_path: Path) -> None:
    (tmp_path / "x" / "a").mkdir(parents=True)
    (tmp_path / "x" / "b").mkdir()
    for number in range(10):
        (tmp_path / "x" / "ab"[number % 2] / f"{number}.pgm").write_bytes(b"P5 10 10 255\n" + bytes(100))
    config = DataConfig(source=str(tmp_path / "x"))
    with raised(["pixels=50"]), pytest.raises(ValueError, match="--limit pixels=100 "):
        load_data(config, cache=tmp_path / "cache")
    with raised(["pixels=50", "pixels=100"]):
        assert load_data(config, cache=tmp_path / "cache").size == 10


def test_growth_counts_only_above_a_gigabyte() -> None:
    growth_within(10**9, 1, what="it")
    growth_within(150 * 10**9, 149 * 10**9, what="it")
    with pytest.raises(ValueError, match="--limit ratio="):
        growth_within(66 * 10**8, 3 * MEGABYTE, what="it")
    with pytest.raises(ValueError, match="--limit total="):
        growth_within(10**12, 10**12, what="it")


def test_limits_are_set_for_the_block_and_over_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADVGAN_LIMIT", "file=3k, depth=5")
    with raised(["file=2M"]):
        assert (limit("file"), limit("depth"), limit("yaml")) == (2 * MEGABYTE, 5, LIMITS["yaml"].amount)
    assert os.environ["ADVGAN_LIMIT"] == "file=3k, depth=5"
    assert limit("file") == 3000
    within("file", 3000, what="it")


@pytest.mark.parametrize("wrong", ["files=3", "file", "file=", "file=-3", "file=1e9", "file=0", f"file={10**19}"])
def test_what_is_no_limit_is_refused(wrong: str) -> None:
    result = CliRunner().invoke(cli.cli, ["fit", "--dry-run", "--limit", wrong])
    assert isinstance(result.exception, ValueError)
    assert f"--limit {wrong}" in str(result.exception)
