from pathlib import Path

import numpy as np
import pytest
import torch

from advgan.config import DataConfig
from advgan.data import Data, load_data
from advgan.data.reading.arrays import to_pixels
from advgan.ranges import to_bytes

PIXELS = np.random.default_rng(0).integers(0, 256, (40, 6, 6, 3), dtype=np.uint8)
LABELS = np.arange(40) % 4


def load(path: Path, **options: object) -> Data:
    return load_data(DataConfig(source=str(path), **options), cache=path.parent / "cache")


def save(path: Path, **arrays: object) -> Path:
    np.savez(path, **arrays)
    return path


def everything(data: Data) -> list[bytes]:
    parts = (data.train, data.validation, data.test)
    return sorted(image.numpy().tobytes() for part in parts for image in part.images)


@pytest.mark.parametrize("keys", [("images", "labels"), ("arr_0", "arr_1"), ("adv_inputs", "labels")])
def test_arrays_without_splits_are_divided(keys: tuple[str, str], tmp_path: Path) -> None:
    data = load(save(tmp_path / "set.npz", **{keys[0]: PIXELS, keys[1]: LABELS}))
    assert [len(part) for part in (data.train, data.validation, data.test)] == [28, 4, 8]
    assert everything(data) == sorted(image.tobytes() for image in PIXELS.transpose(0, 3, 1, 2))
    assert (data.name, data.classes, data.size, data.channels) == ("set", ("0", "1", "2", "3"), 6, 3)


@pytest.mark.parametrize(
    ("train", "val", "test"),
    [
        (("x_train", "y_train"), ("x_val", "y_val"), ("x_test", "y_test")),
        (("train_images", "train_labels"), ("val_images", "val_labels"), ("test_images", "test_labels")),
    ],
)
def test_arrays_with_splits_keep_them(
    train: tuple[str, str], val: tuple[str, str], test: tuple[str, str], tmp_path: Path
) -> None:
    arrays = {
        name: array[rows]
        for keys, rows in ((train, slice(0, 20)), (val, slice(20, 28)), (test, slice(28, 40)))
        for name, array in zip(keys, (PIXELS, LABELS[:, None]), strict=True)
    }
    data = load(save(tmp_path / "set.npz", **arrays))
    for part, rows in ((data.train, slice(0, 20)), (data.validation, slice(20, 28)), (data.test, slice(28, 40))):
        assert torch.equal(part.images, torch.from_numpy(PIXELS[rows]).permute(0, 3, 1, 2))
        assert part.labels.tolist() == LABELS[rows].tolist()


def test_validation_is_set_aside_where_the_file_has_none(tmp_path: Path) -> None:
    path = save(tmp_path / "set.npz", x_train=PIXELS, y_train=LABELS, x_test=PIXELS[:4], y_test=LABELS[:4])
    assert [len(part) for part in (load(path).train, load(path).validation, load(path).test)] == [36, 4, 4]


@pytest.mark.parametrize(
    "images",
    [PIXELS, PIXELS.transpose(0, 3, 1, 2), PIXELS / 255, (PIXELS / 255).astype(np.float32), np.asfortranarray(PIXELS)],
    ids=["NHWC", "NCHW", "float64", "float32", "fortran"],
)
def test_every_form_of_an_image_gives_the_same_set(images: np.ndarray, tmp_path: Path) -> None:
    reference = load(save(tmp_path / "set.npz", images=PIXELS, labels=LABELS)).digest
    assert load(save(tmp_path / "other.npz", images=images, labels=LABELS.astype(np.int16))).digest == reference
    torch.save({"images": torch.from_numpy(images.copy()), "labels": torch.from_numpy(LABELS)}, tmp_path / "set.pt")
    assert load(tmp_path / "set.pt").digest == reference


@pytest.mark.parametrize("shape", [(40, 6, 6), (40, 6, 6, 1), (40, 1, 6, 6)])
def test_grey_images_may_leave_out_the_channel(shape: tuple[int, ...]) -> None:
    grey = PIXELS[..., 0]
    assert np.array_equal(to_pixels("images", grey.reshape(shape)), grey[:, None])


def test_floats_are_rounded_as_everywhere_else() -> None:
    floats = np.random.default_rng(1).random((3000, 2, 2, 1), dtype=np.float32)
    expected = to_bytes(torch.from_numpy(floats)).permute(0, 3, 1, 2)
    assert np.array_equal(to_pixels("images", floats), expected.numpy())


def test_the_rounding_of_others_is_forgiven() -> None:
    floats = np.array([[[-1e-7, 1 + 1e-7]]], np.float32).reshape(1, 1, 2, 1)
    assert to_pixels("images", floats).ravel().tolist() == [0, 255]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_tensors_are_read(dtype: torch.dtype, tmp_path: Path) -> None:
    torch.save(
        {"images": torch.ones(40, 1, 6, 6, dtype=dtype), "labels": torch.from_numpy(LABELS)}, tmp_path / "set.pt"
    )
    assert load(tmp_path / "set.pt").train.images.min() == 255


@pytest.mark.parametrize("classes", [["ant", "bee", "cat", "dog"], np.array([b"ant", b"bee", b"cat", b"dog"])])
def test_a_file_may_name_its_classes(classes: object, tmp_path: Path) -> None:
    assert load(save(tmp_path / "set.npz", images=PIXELS, labels=LABELS, classes=classes)).classes == (
        "ant",
        "bee",
        "cat",
        "dog",
    )


def test_named_classes_may_lack_images(tmp_path: Path) -> None:
    path = save(tmp_path / "set.npz", images=PIXELS, labels=LABELS % 2 * 2, classes=["ant", "bee", "cat"])
    assert load(path).num_classes == 3


def test_arrays_are_resized_and_change_channels(tmp_path: Path) -> None:
    data = load(save(tmp_path / "set.npz", images=PIXELS[:, :, :5], labels=LABELS), resize=4, channels=1)
    assert data.train.images.shape[1:] == (1, 4, 4)


def test_a_hostile_pickle_would_have_done_harm_if_it_had_been_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Hostile:
        def __reduce__(self) -> tuple[object, ...]:
            return Path.touch, (Path("harm-was-done"),)

    monkeypatch.chdir(tmp_path)
    torch.save({"images": Hostile(), "labels": torch.zeros(2)}, "set.pt")
    with pytest.raises(ValueError, match="could run code"):
        load(tmp_path / "set.pt")
    assert not Path("harm-was-done").exists()
    torch.load("set.pt", weights_only=False)
    assert Path("harm-was-done").exists()
