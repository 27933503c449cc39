"""Pipes, devices and files of the kernel never hang a command: they are refused, or left out, by name."""

import os
import shutil
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from advgan.config import DataConfig
from advgan.config.resolve import resolve
from advgan.data import load_data
from advgan.intake.regular import at_home, regular
from advgan.storage.documents import read_document
from evaluation.inputs.image_files import read_image_files
from evaluation.inputs.opening import open_source

PER_CLASS = 10


def bound(path: Path) -> None:
    held = socket.socket(socket.AF_UNIX)
    here = Path.cwd()
    os.chdir(path.parent)  # names of sockets are short
    try:
        held.bind(path.name)
    finally:
        os.chdir(here)
        held.close()


ODD: dict[str, tuple[Callable[[Path], None], str]] = {
    "a pipe": (os.mkfifo, "is a pipe"),
    "a socket": (bound, "is a socket"),
    "a device": (lambda path: path.symlink_to("/dev/zero"), "is a device"),
    "a file of the kernel": (lambda path: path.symlink_to("/proc/self/environ"), "is a file of the kernel"),
}
pytestmark = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="only Linux has all of them")


@pytest.fixture
def classes(tmp_path: Path) -> Path:
    root = tmp_path / "images"
    for kind in "ab":
        (root / kind).mkdir(parents=True)
        for number in range(PER_CLASS):
            Image.new("L", (8, 8), number).save(root / kind / f"{number}.png")
    return root


@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize("suffix", [".npz", ".npy", ".pt", ".zip", ".tar", ".tar.gz", ".parquet", ".png", ""])
def test_as_data(tmp_path: Path, name: str, suffix: str) -> None:
    make, words = ODD[name]
    source = tmp_path / f"x{suffix}"
    make(source)
    with pytest.raises(ValueError, match=f"x{suffix} {words}, and only files of a disk are read"):
        load_data(DataConfig(source=str(source)), cache=tmp_path / "cache")
    with pytest.raises(ValueError, match=f"x{suffix} {words}, and only files of a disk are read"):
        open_source(str(source), num_samples=4)


@pytest.mark.parametrize("name", ODD)
def test_as_configuration_and_document(tmp_path: Path, name: str) -> None:
    make, words = ODD[name]
    make(tmp_path / "x")
    with pytest.raises(ValueError, match=f"x {words}"):
        resolve(DataConfig, file=tmp_path / "x")
    with pytest.raises(ValueError, match=f"x {words}"):
        read_document(tmp_path / "x")


@pytest.mark.parametrize("name", ODD)
def test_among_images(tmp_path: Path, classes: Path, name: str) -> None:
    make, words = ODD[name]
    make(classes / "a" / "odd.png")
    with pytest.raises(ValueError, match=rf"1 of 21 images cannot be read, first: a/odd\.png \({words}"):
        load_data(DataConfig(source=str(classes)), cache=tmp_path / "cache")
    found = load_data(DataConfig(source=str(classes), skip_bad=True), cache=tmp_path / "cache")
    assert found.skipped == (f"a/odd.png ({words}, and only files of a disk are read)",)


@pytest.mark.parametrize("name", ["a pipe", "a device"])
def test_as_a_table(tmp_path: Path, classes: Path, name: str) -> None:
    make, words = ODD[name]
    make(classes / "a" / "labels.csv")
    with pytest.raises(ValueError, match=rf"the table labels\.csv cannot be read \(.*{words}"):
        load_data(DataConfig(source=str(classes / "a")), cache=tmp_path / "cache")


def test_a_folder_called_like_an_image_is_a_folder(tmp_path: Path, classes: Path) -> None:
    (classes / "b").rename(classes / "b.png")
    assert load_data(DataConfig(source=str(classes)), cache=tmp_path / "cache").classes == ("a", "b.png")
    with pytest.raises(ValueError, match="is a folder"):
        regular(classes / "b.png")


def test_a_home_that_nobody_has_is_a_path(tmp_path: Path) -> None:
    assert at_home("~nobody-of-that-name/x") == Path("~nobody-of-that-name/x")
    with pytest.raises(ValueError, match="no data at ~nobody-of-that-name/x"):
        load_data(DataConfig(source="~nobody-of-that-name/x"), cache=tmp_path / "cache")


def rewritten_unnoticed(file: Path, content: bytes) -> None:
    """Other content of the same size under the same time of change."""
    before = file.stat()
    assert before.st_size == len(content)
    file.write_bytes(content)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_an_image_edited_with_size_and_time_kept_is_read_again(tmp_path: Path, classes: Path) -> None:
    file = classes / "a" / "0.pgm"
    file.write_bytes(b"P5 8 8 255\n" + bytes(64))
    for read in (
        lambda: load_data(DataConfig(source=str(classes)), cache=tmp_path / "cache").digest,
        lambda: read_image_files(classes, DataConfig(source=""), cache=tmp_path / "cache").images.images.sum().item(),
    ):
        file.write_bytes(b"P5 8 8 255\n" + bytes(64))
        first = read()
        rewritten_unnoticed(file, b"P5 8 8 255\n" + b"\xff" * 64)
        assert read() != first


def test_an_archive_edited_with_size_and_time_kept_is_read_again(tmp_path: Path, classes: Path) -> None:
    digests = []
    archive = tmp_path / "x.tar"
    for grey in (b"\x00", b"\xff"):
        (classes / "a" / "0.pgm").write_bytes(b"P5 8 8 255\n" + grey * 64)
        packed = Path(shutil.make_archive(str(tmp_path / "new"), "tar", classes))
        if archive.exists():
            rewritten_unnoticed(archive, packed.read_bytes())
        else:
            packed.rename(archive)
        digests.append(load_data(DataConfig(source=str(archive)), cache=tmp_path / "cache").digest)
    assert digests[0] != digests[1]


def test_a_parquet_file_edited_with_size_and_time_kept_is_read_again(tmp_path: Path) -> None:
    pytest.importorskip("datasets")
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    digests = []
    for grey in (0, 255):
        pictures = [{"bytes": b"P5 8 8 255\n" + bytes([grey, number] * 32), "path": "x"} for number in range(20)]
        columns = pyarrow.table({"image": pictures, "label": [0, 1] * 10})
        parquet.write_table(columns, tmp_path / "new.parquet", compression="none")
        file = tmp_path / "x.parquet"
        if file.exists():
            rewritten_unnoticed(file, (tmp_path / "new.parquet").read_bytes())
        else:
            shutil.copy(tmp_path / "new.parquet", file)
        digests.append(load_data(DataConfig(source=str(file)), cache=tmp_path / "cache").digest)
    assert digests[0] != digests[1]
