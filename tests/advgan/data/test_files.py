import io
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from advgan.config import DataConfig
from advgan.data import Data, ImageSet, load_data, load_extra


def write_image(path: Path, value: int) -> None:
    """A picture that tells which one it is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((8, 8), value, np.uint8)).save(path)


def write_classes(root: Path, classes: tuple[str, ...] = ("cat", "dog"), *, count: int = 20, first: int = 0) -> Path:
    for label, kind in enumerate(classes):
        for number in range(count):
            write_image(root / kind / f"{number}.png", (first + label * count + number) % 256)
    return root


def write_splits(root: Path, *splits: str) -> Path:
    for number, split in enumerate(splits):
        write_classes(root / split, first=50 * number)
    return root


def load(path: Path, tmp_path: Path, **options: object) -> Data:
    return load_data(DataConfig(source=str(path), **options), cache=tmp_path / "cache")


def values(images: ImageSet) -> list[int]:
    return images.images[:, 0, 0, 0].tolist()


def test_a_folder_keeps_its_splits_and_sets_a_tenth_of_training_aside(tmp_path: Path) -> None:
    data = load(write_splits(tmp_path / "pets", "train", "test"), tmp_path)
    assert data.name == "pets"
    assert data.classes == ("cat", "dog")
    assert values(data.test) == list(range(50, 90))
    assert sorted(values(data.train) + values(data.validation)) == list(range(40))
    assert data.validation.labels.tolist() == [0, 0, 1, 1]
    assert all(label == (value >= 20) for value, label in zip(values(data.train), data.train.labels, strict=True))


@pytest.mark.parametrize("name", ["validation", "val", "valid", "Val"])
def test_a_folder_keeps_its_validation_images(name: str, tmp_path: Path) -> None:
    data = load(write_splits(tmp_path / "pets", "train", "test", name), tmp_path)
    assert [values(part) for part in (data.train, data.test, data.validation)] == [
        list(range(first, first + 40)) for first in (0, 50, 100)
    ]


def test_a_folder_without_splits_is_divided_by_the_seed(tmp_path: Path) -> None:
    write_classes(tmp_path / "pets")
    data = load(tmp_path / "pets", tmp_path)
    assert [part.labels.bincount().tolist() for part in (data.train, data.validation, data.test)] == [
        [14, 14],
        [2, 2],
        [4, 4],
    ]
    assert sorted(values(data.train) + values(data.validation) + values(data.test)) == list(range(40))
    assert values(load(tmp_path / "pets", tmp_path, seed=0).test) == values(data.test)
    assert values(load(tmp_path / "pets", tmp_path, seed=1).test) != values(data.test)


def test_classes_are_ordered_as_people_count(tmp_path: Path) -> None:
    write_classes(tmp_path / "numbers", ("10", "9", "1", "class 10", "class 9"), count=5)
    assert load(tmp_path / "numbers", tmp_path).classes == ("1", "9", "10", "class 9", "class 10")


def test_nested_images_belong_to_the_class_above_them(tmp_path: Path) -> None:
    write_classes(tmp_path / "pets")
    write_image(tmp_path / "pets/dog/large/old/x.png", 99)
    data = load(tmp_path / "pets", tmp_path)
    assert data.classes == ("cat", "dog")
    assert 99 in values(data.train) + values(data.validation) + values(data.test)


def test_what_is_hidden_or_no_image_is_ignored(tmp_path: Path) -> None:
    write_classes(tmp_path / "pets")
    write_image(tmp_path / "pets/.thumbnails/a/x.png", 99)
    write_image(tmp_path / "pets/__MACOSX/cat/x.png", 99)
    write_image(tmp_path / "pets/cat/.x.png", 99)
    write_image(tmp_path / "pets/overview.png", 99)
    (tmp_path / "pets/metadata.csv").write_text("file,label")
    (tmp_path / "pets/cat/Thumbs.db").touch()
    data = load(tmp_path / "pets", tmp_path)
    assert len(data.train) + len(data.validation) + len(data.test) == 40
    assert data.classes == ("cat", "dog")


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    write_classes(tmp_path / "vehicles", ("bus", "car", "train"))
    write_image(tmp_path / "vehicles/train/steam/0.png", 99)
    assert load(tmp_path / "vehicles", tmp_path).classes == ("bus", "car", "train")


def test_folders_around_the_whole_are_looked_through(tmp_path: Path) -> None:
    write_splits(tmp_path / "download/data/pets", "train", "test")
    assert len(load(tmp_path / "download", tmp_path).test) == 40


def test_a_link_to_a_folder_above_is_not_followed_for_ever(tmp_path: Path) -> None:
    write_classes(tmp_path / "pets")
    (tmp_path / "pets/cat/again").symlink_to(tmp_path / "pets", target_is_directory=True)
    (tmp_path / "more").mkdir()
    write_image(tmp_path / "more/x.png", 99)
    (tmp_path / "pets/dog/linked").symlink_to(tmp_path / "more", target_is_directory=True)
    data = load(tmp_path / "pets", tmp_path)
    assert len(data.train) + len(data.validation) + len(data.test) == 41


def pack(folder: Path, archive: Path, prefix: str = "") -> Path:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as target:
            for file in files:
                target.write(file, prefix + str(file.relative_to(folder)))
    else:
        with tarfile.open(archive, "w" if archive.suffix == ".tar" else "w:gz") as target:
            for file in reversed(files):
                target.add(file, prefix + str(file.relative_to(folder)))
    return archive


@pytest.mark.parametrize("workers", [0, 3])
@pytest.mark.parametrize("prefix", ["", "./", "pets-1.0/"])
@pytest.mark.parametrize("suffix", [".zip", ".tar", ".tar.gz", ".tgz"])
def test_an_archive_equals_the_folder_it_was_made_of(suffix: str, prefix: str, workers: int, tmp_path: Path) -> None:
    folder = write_splits(tmp_path / "pets", "train", "test")
    archive = pack(folder, tmp_path / f"packed{suffix}", prefix)
    config = DataConfig(source=str(archive))
    data = load_data(config, workers=workers, cache=tmp_path / "cache")
    assert data.digest == load(folder, tmp_path).digest
    assert data.name == "packed"
    assert load_data(config, cache=tmp_path / "cache").digest == data.digest
    assert [file for file in (tmp_path / "cache").rglob("*") if "expanded" in file.name] == []


def test_links_in_an_archive_are_left_out(tmp_path: Path) -> None:
    archive = pack(write_classes(tmp_path / "pets"), tmp_path / "pets.tar")
    with tarfile.open(archive, "a") as target:
        link = tarfile.TarInfo("cat/secret.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        target.addfile(link)
    data = load(archive, tmp_path)
    assert len(data.train) + len(data.validation) + len(data.test) == 40


def test_the_second_load_reads_no_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_splits(tmp_path / "pets", "train", "test")
    archive = pack(folder, tmp_path / "pets.zip")
    before = [load(source, tmp_path).digest for source in (folder, archive)]
    monkeypatch.setattr("advgan.data.reading.decode.read_pixels", None)
    assert [load(source, tmp_path).digest for source in (folder, archive)] == before
    assert load(folder, tmp_path, seed=5).digest != before[0]


@pytest.mark.parametrize("change", ["content", "added", "removed", "renamed"])
def test_a_changed_folder_is_read_anew(change: str, tmp_path: Path) -> None:
    folder = write_splits(tmp_path / "pets", "train", "test")
    before = load(folder, tmp_path)
    path = folder / "test/dog/7.png"
    if change == "content":
        write_image(path, 200)
        os.utime(path, (1, 1))
    elif change == "added":
        write_image(folder / "test/dog/new.png", 200)
    elif change == "removed":
        path.unlink()
    else:
        path.rename(folder / "test/cat/70.png")
    after = load(folder, tmp_path)
    assert after.test.digest != before.test.digest
    assert after.train.digest == before.train.digest


def test_what_the_folders_show_to_be_wrong_is_said_before_any_image_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("advgan.data.reading.decode.read_pixels", None)
    with pytest.raises(ValueError, match="one class only"):
        load(write_classes(tmp_path / "pets", ("cat",)), tmp_path)


def test_two_folders_that_look_alike_do_not_share_an_entry(tmp_path: Path) -> None:
    one, other = write_classes(tmp_path / "a/pets"), write_classes(tmp_path / "b/pets", first=100)
    for path in [*one.rglob("*.png"), *other.rglob("*.png")]:
        path.write_bytes(path.read_bytes().ljust(200, b"\0"))
        os.utime(path, (1, 1))
    assert load(one, tmp_path).digest != load(other, tmp_path).digest


def test_options_that_change_pixels_have_their_own_entry(tmp_path: Path) -> None:
    folder = write_classes(tmp_path / "pets")
    assert load(folder, tmp_path).size == 8
    assert load(folder, tmp_path, resize=4).size == 4
    assert load(folder, tmp_path, channels=3).channels == 3


def test_resize_makes_one_size_of_many(tmp_path: Path) -> None:
    write_classes(tmp_path / "pets")
    Image.new("L", (30, 20), 255).save(tmp_path / "pets/cat/0.png")
    data = load(tmp_path / "pets", tmp_path, resize=16)
    assert data.train.images.shape == (28, 1, 16, 16)
    assert 255 in values(data.train) + values(data.validation) + values(data.test)


def test_channels_make_one_kind_of_grey_and_colour(tmp_path: Path) -> None:
    write_classes(tmp_path / "pets")
    Image.new("RGB", (8, 8), "red").save(tmp_path / "pets/cat/0.png")
    assert load(tmp_path / "pets", tmp_path, channels=3).channels == 3
    assert load(tmp_path / "pets", tmp_path, channels=1).channels == 1


def test_workers_change_nothing_but_the_time(tmp_path: Path) -> None:
    folder = write_classes(tmp_path / "pets", count=150)
    (folder / "cat/77.png").write_text("nothing")
    config = DataConfig(source=str(folder), skip_bad=True)
    loaded = [load_data(config, workers=workers, cache=tmp_path / str(workers)) for workers in (0, 1, 5)]
    assert len({data.digest for data in loaded}) == 1
    assert {data.skipped for data in loaded} == {("cat/77.png (is no image, whatever its name says)",)}


def test_large_sets_are_mapped_and_equal_those_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, splits = write_classes(tmp_path / "pets"), write_splits(tmp_path / "split", "train", "val", "test")
    in_memory = [load(source, tmp_path) for source in (folder, splits)]
    monkeypatch.setattr("advgan.data.reading.store.MAPPED_ABOVE_BYTES", 0)
    monkeypatch.setattr("advgan.data.reading.store._COPIED_AT_ONCE", 200)
    for _ in range(2):
        mapped = [load(source, tmp_path) for source in (folder, splits)]
        assert [data.digest for data in mapped] == [data.digest for data in in_memory]
    assert load(folder, tmp_path, seed=1).digest != in_memory[0].digest


def test_writing_to_a_mapped_set_leaves_the_cache_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_splits(tmp_path / "pets", "train", "val", "test")
    before = load(folder, tmp_path).digest
    monkeypatch.setattr("advgan.data.reading.store.MAPPED_ABOVE_BYTES", 0)
    load(folder, tmp_path).train.images.zero_()
    assert load(folder, tmp_path).digest == before


def test_a_damaged_cache_entry_is_made_anew(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = write_classes(tmp_path / "pets")
    before = load(folder, tmp_path)
    file = next((tmp_path / "cache").rglob("images.npy"))
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    assert load(folder, tmp_path).digest == before.digest
    assert "images.npy is damaged" in caplog.text


def test_a_damaged_cache_entry_of_before_digests_is_named(tmp_path: Path) -> None:
    folder = write_classes(tmp_path / "pets")
    load(folder, tmp_path)
    next((tmp_path / "cache").rglob("labels.npy")).write_bytes(b"")
    next((tmp_path / "cache").rglob("contents.json")).unlink()
    with pytest.raises(ValueError, match=r"the cache folder .*/cache/images/[0-9a-f]+ is damaged .*; delete it"):
        load(folder, tmp_path)


def test_no_bar_is_drawn_where_stderr_is_no_terminal(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    load(write_classes(tmp_path / "pets"), tmp_path)
    assert capfd.readouterr() == ("", "")


def test_a_bar_is_drawn_on_a_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = io.StringIO()
    terminal.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr("sys.stderr", terminal)
    load(write_classes(tmp_path / "pets"), tmp_path)
    assert "40/40" in terminal.getvalue()


def test_the_cache_of_the_environment_is_used_by_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADVGAN_CACHE_DIR", str(tmp_path / "elsewhere"))
    load_data(DataConfig(source=str(write_classes(tmp_path / "pets"))))
    assert len(list((tmp_path / "elsewhere/images").iterdir())) == 1


def test_extra_images_take_all_of_a_source_and_match_classes_by_name(tmp_path: Path) -> None:
    like = load(write_classes(tmp_path / "pets", ("cat", "dog", "emu")), tmp_path).train
    write_classes(tmp_path / "more", ("emu", "cat"), count=3, first=100)
    config = DataConfig(source=str(tmp_path / "more"))
    extra = load_extra(config, like=like, cache=tmp_path / "cache")
    assert {value: int(label) for value, label in zip(values(extra), extra.labels, strict=True)} == {
        100: 2, 101: 2, 102: 2, 103: 0, 104: 0, 105: 0,
    }  # fmt: skip
    assert extra.classes == like.classes


def test_extra_images_may_have_one_class_and_leave_test_images_out(tmp_path: Path) -> None:
    like = load(write_classes(tmp_path / "pets"), tmp_path).train
    write_classes(tmp_path / "one", ("dog",), count=2)
    one = load_extra(DataConfig(source=str(tmp_path / "one")), like=like, cache=tmp_path / "cache")
    assert one.labels.tolist() == [1, 1]
    splits = write_splits(tmp_path / "splits", "train", "test")
    assert len(load_extra(DataConfig(source=str(splits)), like=like, cache=tmp_path / "cache")) == 40


def test_extra_arrays_match_classes_by_number(tmp_path: Path) -> None:
    like = load(write_classes(tmp_path / "pets"), tmp_path).train
    np.savez(tmp_path / "more.npz", images=np.zeros((3, 8, 8), np.uint8), labels=[1, 0, 1])
    extra = load_extra(DataConfig(source=str(tmp_path / "more.npz")), like=like)
    assert torch.equal(extra.labels, torch.tensor([1, 0, 1]))
    assert extra.classes == ("cat", "dog")


@pytest.mark.parametrize(
    ("classes", "options", "message"),
    [
        (("cat", "wolf"), {}, "the class wolf is not among those of pets (cat, dog)"),
        (("cat", "dog"), {"resize": 4}, "images have 1 channel(s) and 4x4 pixels, those of pets 1 and 8x8; set resize"),
        (("cat", "dog"), {"channels": 3}, "images have 3 channel(s) and 8x8 pixels, those of pets 1 and 8x8"),
    ],
)
def test_extra_images_that_do_not_fit_are_refused(
    classes: tuple[str, ...], options: dict[str, object], message: str, tmp_path: Path
) -> None:
    like = load(write_classes(tmp_path / "pets"), tmp_path).train
    config = DataConfig(source=str(write_classes(tmp_path / "more", classes)), **options)
    with pytest.raises(ValueError) as caught:  # noqa: PT011 (compared below)
        load_extra(config, like=like, cache=tmp_path / "cache")
    assert message in str(caught.value)


@pytest.mark.slow
def test_two_processes_that_read_the_same_folder_end_with_one_entry(tmp_path: Path) -> None:
    folder = write_classes(tmp_path / "pets", count=300)
    program = (
        "import sys; from pathlib import Path; from advgan.config import DataConfig; from advgan.data import load_data;"
        "print(load_data(DataConfig(source=sys.argv[1]), cache=Path(sys.argv[2])).digest)"
    )
    command = [sys.executable, "-c", program, str(folder), str(tmp_path / "cache")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) for _ in range(2)]
    digests = {process.communicate()[0].strip() for process in processes}
    assert digests == {load(folder, tmp_path).digest}
    assert len(os.listdir(tmp_path / "cache/images")) == 1
