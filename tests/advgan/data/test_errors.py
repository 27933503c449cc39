"""Every malformed input gives one clear line, and changes nothing on disk."""

import gzip
import io
import os
import pickle
import re
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from advgan.config import DataConfig
from advgan.data import load_data


def picture(value: int = 0, *, mode: str = "L", size: tuple[int, int] = (8, 8)) -> Image.Image:
    pixels = np.add.outer(np.arange(size[1]) * 7, np.arange(size[0]) * 3 + value).astype(np.uint8)
    return Image.fromarray(pixels).convert(mode)


def write_classes(root: Path, *classes: str, count: int = 5, size: tuple[int, int] = (8, 8)) -> Path:
    for kind in classes or ("cat", "dog"):
        (root / kind).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            picture(number, size=size).save(root / kind / f"{number}.png")
    return root


def images(count: int = 20, dtype: type = np.uint8) -> np.ndarray:
    return np.zeros((count, 8, 8), dtype)


def labels(count: int = 20) -> np.ndarray:
    return np.arange(count) % 2


def npz(root: Path, **arrays: object) -> str:
    np.savez(root / "set.npz", **arrays)
    return "set.npz"


def pt(root: Path, content: object) -> str:
    torch.save(content, root / "set.pt")
    return "set.pt"


# Folders


def truncated_image(root: Path) -> str:
    path = write_classes(root) / "cat/1.png"
    Image.effect_noise((8, 8), 50).resize((64, 64)).save(path)
    path.write_bytes(path.read_bytes()[:-700])
    return "."


def text_as_image(root: Path) -> str:
    (write_classes(root) / "dog/note.jpg").write_text("not an image")
    return "."


def empty_image(root: Path) -> str:
    (write_classes(root) / "dog/9.png").touch()
    return "."


def dangling_link(root: Path) -> str:
    (write_classes(root) / "dog/9.png").symlink_to("nowhere.png")
    return "."


def all_images_unreadable(root: Path) -> str:
    for path in write_classes(root).glob("*/*.png"):
        path.write_bytes(b"\x89PNG\r\n\x1a\n")
    return "."


def one_class_unreadable(root: Path) -> str:
    for path in (write_classes(root) / "dog").iterdir():
        path.write_bytes(b"nothing")
    return "."


def mixed_sizes(root: Path) -> str:
    picture(size=(16, 16)).save(write_classes(root) / "dog/1.png")
    return "."


def mixed_modes(root: Path) -> str:
    picture(mode="RGB").save(write_classes(root) / "dog/1.png")
    return "."


def oblong_images(root: Path) -> str:
    write_classes(root, size=(12, 8))
    return "."


def empty_class_folder(root: Path) -> str:
    (write_classes(root) / "emu").mkdir()
    return "."


def class_folder_without_images(root: Path) -> str:
    (write_classes(root) / "emu").mkdir()
    (root / "emu/readme.txt").write_text("soon")
    return "."


def one_class(root: Path) -> str:
    write_classes(root / "animals", "cat")
    return "animals"


def no_images(root: Path) -> str:
    (root / "notes.txt").write_text("")
    return "."


def images_without_classes(root: Path) -> str:
    picture().save(root / "1.png")
    return "."


def splits_without_classes(root: Path) -> str:
    write_classes(root, "train", "test")
    return "."


def only_test(root: Path) -> str:
    write_classes(root / "test")
    return "."


def empty_test(root: Path) -> str:
    write_classes(root / "train")
    (root / "test").mkdir()
    return "."


def two_validations(root: Path) -> str:
    for split in ("train", "test", "val", "validation"):
        write_classes(root / split)
    return "."


def another_class_in_test(root: Path) -> str:
    write_classes(root / "train")
    write_classes(root / "test", "cat", "emu")
    return "."


def empty_class_in_test(root: Path) -> str:
    write_classes(root / "train")
    (write_classes(root / "test", "cat") / "dog").mkdir()
    return "."


def too_few_images(root: Path) -> str:
    write_classes(root, count=1)
    return "."


def too_few_readable_images(root: Path) -> str:
    (write_classes(root, count=2) / "dog/0.png").write_text("nothing")
    return "."


def animated_gif(root: Path) -> str:
    picture().save(write_classes(root) / "cat/9.gif", save_all=True, append_images=[picture(90), picture(180)])
    return "."


def animated_png(root: Path) -> str:
    picture().save(write_classes(root) / "cat/9.png", save_all=True, append_images=[picture(90)])
    return "."


def pages_of_tiff(root: Path) -> str:
    picture().save(write_classes(root) / "cat/9.tif", save_all=True, append_images=[picture(90)])
    return "."


def sixteen_bit_grey(root: Path) -> str:
    Image.fromarray(np.full((8, 8), 40_000, np.uint16)).save(write_classes(root) / "cat/9.png")
    return "."


def sixteen_bit_colour(root: Path) -> str:
    pixels = np.full((8, 8, 3), 40_000, ">u2").tobytes()
    (write_classes(root) / "cat/9.ppm").write_bytes(b"P6 8 8 65535\n" + pixels)
    return "."


def float_image(root: Path) -> str:
    Image.fromarray(np.zeros((8, 8), np.float32)).save(write_classes(root) / "cat/9.tif")
    return "."


def newline_in_a_name(root: Path) -> str:
    (write_classes(root) / "cat/a\nb.png").write_text("nothing")
    return "."


def class_with_a_newline(root: Path) -> str:
    write_classes(root, "cat", "a\nb")
    return "."


# Archives


def damaged_zip(root: Path) -> str:
    (root / "set.zip").write_bytes(b"PK\x03\x04 and then nothing")
    return "set.zip"


def zip_with_a_damaged_member(root: Path) -> str:
    path = root / "set.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(12):
            content = io.BytesIO()
            picture(number).save(content, "BMP")
            archive.writestr(f"{'cat' if number % 2 else 'dog'}/{number}.bmp", content.getvalue())
    whole = bytearray(path.read_bytes())
    whole[whole.index(b"cat/3.bmp") + 200] ^= 255
    path.write_bytes(whole)
    return "set.zip"


def encrypted_zip(root: Path) -> str:
    with zipfile.ZipFile(root / "set.zip", "w") as archive:
        archive.writestr("cat/1.png", b"secret")
    whole = bytearray((root / "set.zip").read_bytes())
    whole[whole.index(b"PK\x01\x02") + 8] |= 1
    (root / "set.zip").write_bytes(whole)
    return "set.zip"


def zip_that_climbs_out(root: Path) -> str:
    with zipfile.ZipFile(root / "set.zip", "w") as archive:
        archive.writestr("../../cat/1.png", b"")
    return "set.zip"


def tar_that_climbs_out(root: Path) -> str:
    with tarfile.open(root / "set.tar.gz", "w:gz") as archive:
        archive.addfile(tarfile.TarInfo("/etc/cat/1.png"))
    return "set.tar.gz"


def truncated_tar(root: Path) -> str:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        member = tarfile.TarInfo("cat/1.png")
        member.size = 3000
        archive.addfile(member, io.BytesIO(os.urandom(3000)))
    (root / "set.tgz").write_bytes(gzip.compress(content.getvalue())[:1000])
    return "set.tgz"


def tar_with_a_damaged_header(root: Path) -> str:
    with tarfile.open(root / "set.tar", "w") as archive:
        for number in range(3):
            member = tarfile.TarInfo(f"cat/{number}.png")
            member.size = 512
            archive.addfile(member, io.BytesIO(bytes(512)))
    whole = bytearray((root / "set.tar").read_bytes())
    whole[1024 + 148 : 1024 + 156] = b"garbage!"  # the checksum of the second member
    (root / "set.tar").write_bytes(whole)
    return "set.tar"


def tar_that_is_none(root: Path) -> str:
    (root / "set.tar").write_bytes(b"x" * 2000)
    return "set.tar"


def empty_archive(root: Path) -> str:
    (root / "set.tar.gz").touch()
    return "set.tar.gz"


def zip_without_images(root: Path) -> str:
    with zipfile.ZipFile(root / "set.zip", "w") as archive:
        archive.writestr("readme.txt", "nothing")
    return "set.zip"


# Arrays


class Hostile:
    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return Path.touch, (Path("harm-was-done"),)


def hostile_pt(root: Path) -> str:
    return pt(root, {"images": torch.zeros(20, 8, 8), "labels": Hostile()})


def hostile_pickle(root: Path) -> str:
    (root / "set.pt").write_bytes(pickle.dumps(Hostile()))
    return "set.pt"


def hostile_npz(root: Path) -> str:
    return npz(root, images=images(), labels=np.array([Hostile()], dtype=object))


def damaged_npz(root: Path) -> str:
    npz(root, images=images(), labels=labels())
    content = (root / "set.npz").read_bytes()
    (root / "set.npz").write_bytes(content[: len(content) // 2])
    return "set.npz"


def npy_named_npz(root: Path) -> str:
    np.save(root / "set.npy", images())
    os.rename(root / "set.npy", root / "set.npz")
    return "set.npz"


def touch(root: Path, name: str) -> str:
    (root / name).touch()
    return name


def write(root: Path, name: str, content: bytes) -> str:
    (root / name).write_bytes(content)
    return name


MALFORMED: list[tuple[str, Callable[[Path], str], dict[str, object], list[str]]] = [
    (
        "truncated image",
        truncated_image,
        {},
        ["1 of 10 images cannot be read, first: cat/1.png (", "truncated", "--skip-bad leaves them out"],
    ),
    ("text as image", text_as_image, {}, ["1 of 11 images cannot be read, first: dog/note.jpg (is no image"]),
    ("empty image", empty_image, {}, ["1 of 11 images cannot be read, first: dog/9.png (is empty)"]),
    ("dangling link", dangling_link, {}, ["first: dog/9.png (no such file or directory)"]),
    (
        "all unreadable",
        all_images_unreadable,
        {"skip_bad": True},
        ["10 of 10 images cannot be read", "nothing to learn"],
    ),
    (
        "class unreadable",
        one_class_unreadable,
        {"skip_bad": True},
        ["no image of the class dog can be read", "first: dog/0.png (is no image"],
    ),
    ("mixed sizes", mixed_sizes, {}, ["images differ in size: cat/0.png is 8x8, dog/1.png is 16x16; --resize 8 makes"]),
    (
        "mixed modes",
        mixed_modes,
        {},
        ["grey and colour images are mixed: cat/0.png is grey, dog/1.png is colour", "--channels 3 or --channels 1"],
    ),
    ("oblong", oblong_images, {}, ["must be square, cat/0.png is 12x8; --resize 8 takes the middle square"]),
    ("empty class", empty_class_folder, {}, ["the class folder emu/ holds no images; fill or delete it"]),
    ("class without images", class_folder_without_images, {}, ["the class folder emu/ holds no images"]),
    (
        "one class",
        one_class,
        {},
        ["has one class only (cat); a classifier learns to tell classes apart: give two at least"],
    ),
    ("no images", no_images, {}, ["holds no images (png, jpg"]),
    (
        "no classes",
        images_without_classes,
        {},
        ["1 image lies directly in it, without a label: sort them into class folders, such as cat/"],
    ),
    (
        "no classes in splits",
        splits_without_classes,
        {},
        ["10 images lie directly in test/ and train/, without a label: sort them into class folders, such as test/"],
    ),
    (
        "test without train",
        only_test,
        {},
        ["has a test split but no train split, and there is nothing to learn from: add one"],
    ),
    ("empty test", empty_test, {}, ["test/ holds no class folders"]),
    ("two validation folders", two_validations, {}, ["two folders for one split: val/ and validation/"]),
    ("unknown class in test", another_class_in_test, {}, ["test/ has the class emu, which train/ lacks"]),
    ("empty class in test", empty_class_in_test, {}, ["the class folder test/dog/ holds no images"]),
    ("too few images", too_few_images, {}, ["has too few images (2) to set some aside for validation"]),
    (
        "too few readable",
        too_few_readable_images,
        {"skip_bad": True},
        ["has too few images (3) to set some aside for validation"],
    ),
    ("animated gif", animated_gif, {}, ["1 of 11 images cannot be read, first: cat/9.gif (has 3 frames"]),
    ("animated png", animated_png, {}, ["first: cat/9.png (has 2 frames"]),
    ("tiff with pages", pages_of_tiff, {}, ["first: cat/9.tif (has 2 pages"]),
    ("16-bit grey", sixteen_bit_grey, {}, ["first: cat/9.png (has more than 8 bits a channel; convert it to 8 bits)"]),
    ("16-bit colour", sixteen_bit_colour, {}, ["first: cat/9.ppm (has more than 8 bits a channel"]),
    ("float image", float_image, {}, ["first: cat/9.tif (has more than 8 bits a channel"]),
    ("newline in a name", newline_in_a_name, {}, [r"first: cat/a\nb.png (is no image"]),
    ("newline in a class", class_with_a_newline, {}, [r"'a\nb' cannot be the name of a class"]),
    ("damaged zip", damaged_zip, {}, ["set.zip is damaged or no archive of its kind (File is not a zip file)"]),
    (
        "damaged member",
        zip_with_a_damaged_member,
        {},
        ["1 of 12 images cannot be read, first: cat/3.bmp (is damaged in"],
    ),
    ("encrypted zip", encrypted_zip, {}, ["set.zip is encrypted; unpack it and give the folder"]),
    ("zip climbs out", zip_that_climbs_out, {}, ["'../../cat/1.png', which points outside of the archive; refused"]),
    ("tar climbs out", tar_that_climbs_out, {}, ["'/etc/cat/1.png', which points outside of the archive; refused"]),
    ("truncated tar", truncated_tar, {}, ["set.tgz is damaged or no archive of its kind"]),
    ("damaged tar", tar_with_a_damaged_header, {}, ["set.tar is damaged or no archive of its kind (no valid member"]),
    ("no tar", tar_that_is_none, {}, ["set.tar is damaged or no archive of its kind"]),
    ("empty archive", empty_archive, {}, ["set.tar.gz is empty"]),
    ("zip without images", zip_without_images, {}, ["set.zip holds no images (png, jpg"]),
    (
        "hostile pt",
        hostile_pt,
        {},
        ["set.pt holds more than tensors (Python objects could run code), so it was not loaded"],
    ),
    (
        "hostile pickle",
        hostile_pickle,
        {},
        ["set.pt holds more than tensors (Python objects could run code), so it was not loaded"],
    ),
    ("hostile npz", hostile_npz, {}, ["set.npz: labels holds Python objects, which are refused"]),
    ("damaged npz", damaged_npz, {}, ["set.npz is damaged or no .npz file"]),
    ("npy named npz", npy_named_npz, {}, ["holds a single array; save images and labels together"]),
    ("empty npz", lambda root: touch(root, "set.npz"), {}, ["set.npz is empty"]),
    ("empty pt", lambda root: touch(root, "set.pt"), {}, ["set.pt is empty"]),
    ("text as pt", lambda root: write(root, "set.pt", b"hello"), {}, ["set.pt is damaged or no .pt file"]),
    ("pt is a tensor", lambda root: pt(root, torch.zeros(2)), {}, ["set.pt: images has 1 dimensions"]),
    (
        "pt labels are words",
        lambda root: pt(root, {"images": torch.zeros(20, 1, 8, 8), "labels": ["cat", "dog"] * 10}),
        {},
        ["labels has the type <U3; labels are whole numbers"],
    ),
    (
        "missing keys",
        lambda root: npz(root, pictures=images(), truth=labels()),
        {},
        ["must hold images, with labels or without (or x_train, y_train, x_test and y_test); it holds pictures"],
    ),
    (
        "missing labels",
        lambda root: npz(root, x_train=images(), x_test=images(), y_test=labels()),
        {},
        ["has x_train but no y_train"],
    ),
    ("missing labels", lambda root: npz(root, x_train=images(), x_test=images(), y_test=labels()), {}, ["no y_train"]),
    ("no labels", lambda root: npz(root, images=images()), {}, ["images without labels: save them with it as labels"]),
    (
        "floats beyond 1",
        lambda root: npz(root, images=images(dtype=np.float32) + 200, labels=labels()),
        {},
        ["images runs from 200 to 200, floats must be in [0, 1]; give images / 255"],
    ),
    (
        "signed floats",
        lambda root: npz(root, images=images(dtype=np.float32) - 1, labels=labels()),
        {},
        ["images runs from -1 to -1, floats must be in [0, 1]; give (images + 1) / 2"],
    ),
    (
        "normalised floats",
        lambda root: npz(root, images=images(dtype=np.float32) - 2.5, labels=labels()),
        {},
        ["images runs from -2.5 to -2.5", "undo the normalisation"],
    ),
    (
        "NaN",
        lambda root: npz(root, images=images(dtype=np.float32) * np.nan, labels=labels()),
        {},
        ["images holds NaN"],
    ),
    (
        "infinity",
        lambda root: npz(root, images=images(dtype=np.float32) + np.inf, labels=labels()),
        {},
        ["from inf to inf"],
    ),
    (
        "16-bit array",
        lambda root: npz(root, images=images(dtype=np.uint16), labels=labels()),
        {},
        ["images has the type uint16; images are uint8 in 0..255, or floats in [0, 1]"],
    ),
    (
        "two dimensions",
        lambda root: npz(root, images=np.zeros((20, 64), np.uint8), labels=labels()),
        {},
        ["images has 2 dimensions (20, 64); images are (N,H,W,C)"],
    ),
    (
        "four channels",
        lambda root: npz(root, images=np.zeros((20, 8, 8, 4), np.uint8), labels=labels()),
        {},
        ["images has the shape (20, 8, 8, 4); 1 or 3 channels"],
    ),
    ("no rows", lambda root: npz(root, images=images(0), labels=labels(0)), {}, ["images holds no images"]),
    (
        "oblong array",
        lambda root: npz(root, images=np.zeros((20, 8, 6), np.uint8), labels=labels()),
        {},
        ["images must be square, these are 6x8; --resize 6"],
    ),
    (
        "lengths differ",
        lambda root: npz(root, images=images(), labels=labels(19)),
        {},
        ["images has 20 images but labels has 19 labels"],
    ),
    (
        "sizes differ",
        lambda root: npz(
            root, x_train=images(), y_train=labels(), x_test=np.zeros((4, 9, 9), np.uint8), y_test=labels(4)
        ),
        {},
        ["8x8 images with 1 channel(s) and x_test 9x9"],
    ),
    (
        "negative label",
        lambda root: npz(root, images=images(), labels=labels() - 1),
        {},
        ["labels has the label -1, outside the range; labels are counted from 0"],
    ),
    (
        "labels from 1",
        lambda root: npz(root, images=images(), labels=labels() + 1),
        {},
        ["labels run from 1 to 2, but no image has label 0; number the classes from 0 without gaps"],
    ),
    (
        "label beyond the classes",
        lambda root: npz(root, images=images(), labels=labels() * 2, classes=["cat", "dog"]),
        {},
        ["the label 2 is outside the range, classes names 2"],
    ),
    (
        "float labels",
        lambda root: npz(root, images=images(), labels=labels() / 2),
        {},
        ["labels has the type float64; labels are whole numbers"],
    ),
    (
        "one-hot labels",
        lambda root: npz(root, images=images(), labels=np.eye(2)[labels()]),
        {},
        ["labels has the shape (20, 2); one label an image"],
    ),
    ("one label", lambda root: npz(root, images=images(), labels=labels() * 0), {}, ["has one class only (0)"]),
    (
        "class named like a path",
        lambda root: npz(root, images=images(), labels=labels(), classes=["..", "dog"]),
        {},
        ["'..' cannot be the name of a class"],
    ),
    (
        "class named twice",
        lambda root: npz(root, images=images(), labels=labels(), classes=["dog", "dog"]),
        {},
        ["two classes are both called 'dog'"],
    ),
    (
        "class only in test",
        lambda root: npz(root, x_train=images(), y_train=labels(), x_test=images(), y_test=labels() * 2),
        {},
        ["the training images have none of class 2"],
    ),
    (
        "missing path",
        lambda root: "no/such/folder",
        {},
        ["no data at", "no/such/folder; give a path or one of digits, mnist"],
    ),
    (
        "misspelt path",
        lambda root: write(root, "photos.zip", b"") and "photo.zip",
        {},
        ["did you mean", "photos.zip?)"],
    ),
    ("long path", lambda root: "x" * 4000, {}, ["no data at"]),
    ("another kind of file", lambda root: write(root, "set.csv", b"1,2"), {}, ["set.csv is no source of images"]),
]


def snapshot(root: Path) -> dict[str, bytes | None]:
    return {
        str(path.relative_to(root)): path.read_bytes() if path.is_file() else None for path in sorted(root.rglob("*"))
    }


@pytest.mark.parametrize(
    ("build", "options", "fragments"),
    [row[1:] for row in MALFORMED],
    ids=[row[0].replace(" ", "-") for row in MALFORMED],
)
def test_a_malformed_input_is_one_clear_line_and_changes_nothing(
    build: Callable[[Path], str],
    options: dict[str, object],
    fragments: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "data").mkdir()
    monkeypatch.chdir(tmp_path)
    source = tmp_path / "data" / build(tmp_path / "data")
    before = snapshot(tmp_path)
    with pytest.raises(ValueError) as caught:  # noqa: PT011 (the fragments are checked below)
        load_data(DataConfig(source=str(source), **options), workers=2, cache=tmp_path / "cache")
    message = str(caught.value)
    assert [fragment for fragment in fragments if fragment not in message] == [], message
    assert message.isprintable()
    assert len(message) < 400 + len(str(source))
    assert snapshot(tmp_path) == before


def test_a_misspelt_name_is_answered_with_the_known_one(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no data at fashionmnist \(did you mean fashion-mnist\?\)"):
        load_data(DataConfig(source="fashionmnist"), cache=tmp_path)


def test_skip_bad_leaves_out_what_cannot_be_read_and_says_so(tmp_path: Path) -> None:
    truncated_image(tmp_path / "data")
    (tmp_path / "data/dog/note.jpg").write_text("not an image")
    data = load_data(DataConfig(source=str(tmp_path / "data"), skip_bad=True), cache=tmp_path / "cache")
    assert len(data.train) + len(data.validation) + len(data.test) == 9
    assert [reason.split(" ")[0] for reason in data.skipped] == ["cat/1.png", "dog/note.jpg"]
    assert data.describe()["skipped"] == 2


def test_an_existing_cache_stays_as_it_was_after_a_failure(tmp_path: Path) -> None:
    write_classes(tmp_path / "good")
    load_data(DataConfig(source=str(tmp_path / "good")), cache=tmp_path / "cache")
    before = snapshot(tmp_path / "cache")
    truncated_image(tmp_path / "bad")
    with pytest.raises(ValueError, match="cannot be read"):
        load_data(DataConfig(source=str(tmp_path / "bad")), cache=tmp_path / "cache")
    assert snapshot(tmp_path / "cache") == before


def test_where_the_cache_cannot_be_written_images_are_read_all_the_same_and_it_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    config = DataConfig(source=str(write_classes(tmp_path / "data")))
    found = [load_data(config, cache=cache) for cache in (tmp_path / "file", tmp_path / "cache", tmp_path / "file")]
    assert len({data.digest for data in found}) == 1
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 1
    assert re.search(r"images are not kept: cannot write .*file/images .*set ADVGAN_CACHE_DIR to a folder", said[0])
