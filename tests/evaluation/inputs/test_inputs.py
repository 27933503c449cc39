"""Every kind of thing that can be scored gives the images that it holds."""

import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from advgan.config import DataConfig
from advgan.data import Data, ImageSet
from advgan.ranges import from_signed, to_unit
from advgan.sampling.classes import draw_classes
from advgan.sampling.drawing import sample
from advgan.sampling.stored import load_gan
from attacks.random import integers, permutation, uniform
from evaluation.inputs import Source, Statistics, open_source

WriteGan = Callable[..., Path]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ADVGAN_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


def pixels(count: int = 12, channels: int = 3, size: int = 8, seed: int = 0) -> Tensor:
    """uint8 images, all different."""
    return (uniform(seed, torch.arange(count), (channels, size, size)) * 256).to(torch.uint8)


def opened(spec: object, **options: object) -> Source:
    source = open_source(spec, **options)  # type: ignore[arg-type]
    assert isinstance(source, Source)
    return source


def all_of(source: Source, batch_size: int = 5) -> Tensor:
    return torch.cat(list(source.batches(torch.arange(source.count), batch_size)))


def write_pngs(folder: Path, images: Tensor, names: list[str] | None = None) -> Path:
    for number, image in enumerate(images):
        file = folder / (names[number] if names else f"{number}.png")
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image.permute(1, 2, 0).numpy().squeeze()).save(file)
    return folder


def data_of(images: Tensor, classes: tuple[str, ...] = ("a", "b", "c")) -> Data:
    part = ImageSet(images, torch.arange(len(images)) % len(classes), classes, "toy")
    return Data("toy", part, part, part)


def zipped(folder: Path, file: Path) -> Path:
    with zipfile.ZipFile(file, "w") as archive:
        for path in sorted(folder.rglob("*.png")):
            archive.write(path, path.relative_to(folder))
    return file


def tarred(folder: Path, file: Path) -> Path:
    with tarfile.open(file, "w:gz") as archive:
        archive.add(folder, folder.name)
    return file


def saved(save: Callable[[Path], object], file: Path) -> Path:
    save(file)
    return file


PLACES: dict[str, Callable[[Path, Tensor], object]] = {
    "flat folder": lambda place, images: write_pngs(place / "flat", images),
    "folder in a folder": lambda place, images: write_pngs(place / "deep" / "inner", images).parent,
    "zip": lambda place, images: zipped(write_pngs(place / "flat", images), place / "images.zip"),
    "tar.gz": lambda place, images: tarred(write_pngs(place / "flat", images), place / "images.tar.gz"),
    "npz": lambda place, images: saved(
        lambda file: np.savez(file, images=images.permute(0, 2, 3, 1).numpy()), place / "images.npz"
    ),
    "npz arr_0": lambda place, images: saved(
        lambda file: np.savez(file, arr_0=images.permute(0, 2, 3, 1).numpy()), place / "images.npz"
    ),
    "npz of floats": lambda place, images: saved(
        lambda file: np.savez(file, images=to_unit(images).numpy()), place / "images.npz"
    ),
    "npy": lambda place, images: saved(lambda file: np.save(file, images.numpy()), place / "images.npy"),
    "pt of a tensor": lambda place, images: saved(lambda file: torch.save(images, file), place / "images.pt"),
    "pt of a dictionary": lambda place, images: saved(
        lambda file: torch.save({"images": images}, file), place / "images.pt"
    ),
    "tensor": lambda place, images: images,
    "float tensor": lambda place, images: to_unit(images),
    "array": lambda place, images: images.numpy(),
    "image set": lambda place, images: ImageSet(images, torch.zeros(len(images), dtype=torch.int64), (), "toy"),
    "function": lambda place, images: lambda indices, seed: images[indices],
    "signed function": lambda place, images: lambda indices, seed: to_unit(images[indices]) * 2 - 1,
    "function of levels": lambda place, images: lambda indices, seed: images[indices].float(),
    "run of advgan sample": lambda place, images: sample_run(place / "run", images),
}


def sample_run(folder: Path, images: Tensor) -> Path:
    write_pngs(folder / "images", images)
    write_pngs(folder / "samples", images[:1], ["grid.png"])
    (folder / "results.json").write_text("{}")
    return folder


@pytest.mark.parametrize("kind", PLACES)
def test_every_kind_gives_the_same_images(kind: str, tmp_path: Path) -> None:
    images = pixels()
    source = opened(PLACES[kind](tmp_path, images), num_samples=12)
    found = all_of(source)
    assert (source.count, source.size, source.channels, source.labels) == (12, 8, 3, None)
    assert source.classes is None
    expected = images if found.dtype == torch.uint8 else to_unit(images)
    torch.testing.assert_close(found, expected, atol=0 if found.dtype == torch.uint8 else 1e-7, rtol=0)
    assert len(source.digest) == 12


@pytest.mark.parametrize("kind", ["zip", "folder", "tar.gz"])
def test_class_folders_are_labels(kind: str, tmp_path: Path) -> None:
    images = pixels(6, channels=1)
    names = [f"{kind_}/{number}.png" for kind_ in ("cat", "dog") for number in range(3)]
    folder = write_pngs(tmp_path / "classes", images, names)
    path = {"zip": lambda: zipped(folder, tmp_path / "c.zip"), "tar.gz": lambda: tarred(folder, tmp_path / "c.tar.gz")}
    source = opened(path[kind]() if kind in path else folder)
    assert source.labels is not None
    assert source.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert source.classes == ("cat", "dog")
    assert torch.equal(all_of(source), images)
    known = opened(folder, data=data_of(images, ("dog", "bird", "cat")))
    assert known.labels is not None
    assert known.labels.tolist() == [2, 2, 2, 0, 0, 0]
    assert known.classes == ("dog", "bird", "cat")


def test_class_folders_that_the_data_do_not_know_are_images_without_labels(tmp_path: Path) -> None:
    folder = write_pngs(tmp_path / "classes", pixels(4), ["cat/0.png", "cat/1.png", "elk/0.png", "elk/1.png"])
    source = opened(folder, data=data_of(pixels(), ("cat", "dog")))
    assert (source.labels, source.classes, source.unmatched) == (None, None, ("elk",))


def test_splits_give_their_training_images(tmp_path: Path) -> None:
    names = [f"{split}/{kind}/{number}.png" for split in ("train", "test") for kind in "ab" for number in range(2)]
    source = opened(write_pngs(tmp_path / "split", pixels(8), names))
    assert torch.equal(all_of(source), pixels(8)[:4])


def test_a_missing_class_of_generated_images_is_no_fault(tmp_path: Path) -> None:
    images = pixels(4)
    np.savez(tmp_path / "fakes.npz", arr_0=images.permute(0, 2, 3, 1).numpy(), arr_1=np.array([0, 2, 2, 0]))
    source = opened(tmp_path / "fakes.npz", data=data_of(pixels()))
    assert source.labels is not None
    assert source.labels.tolist() == [0, 2, 2, 0]
    assert source.classes == ("a", "b", "c")


def test_classes_of_an_npz_are_matched_by_name(tmp_path: Path) -> None:
    np.savez(
        tmp_path / "x.npz", images=pixels(3).numpy(), labels=np.array([[0], [1], [1]]), classes=np.array(["c", "a"])
    )
    source = opened(tmp_path / "x.npz", data=data_of(pixels()))
    assert source.labels is not None
    assert source.labels.tolist() == [2, 0, 0]


def test_lists_and_pairs_with_lists_are_images_too() -> None:
    images, labels = pixels(3), [0, 1, 2]
    for given in (list(images), [image.numpy() for image in images], images.numpy().tolist()):
        whole = torch.tensor(given, dtype=torch.float32) / 255 if isinstance(given[0], list) else given
        assert torch.equal(all_of(opened(whole)), images)
        labelled = opened((whole, labels))
        assert labelled.labels is not None
        assert labelled.labels.tolist() == labels
    assert opened(list(images[:2])).labels is None  # two images are no image with its labels
    with pytest.raises(ValueError, match="list must be a tensor, an array, or lists of numbers of one shape"):
        open_source([images[0], images[0, :, :4]])


def test_a_draw_of_stored_images_is_seeded_and_without_replacement() -> None:
    images, labels = pixels(30), torch.arange(30) % 7
    sources = [opened((images, labels), num_samples=10, seed=seed) for seed in (0, 0, 1)]
    expected = permutation(0, 30)[:10].sort().values
    assert torch.equal(all_of(sources[0]), images[expected])
    assert torch.equal(all_of(sources[0]), all_of(sources[1]))
    assert not torch.equal(all_of(sources[0]), all_of(sources[2]))
    assert sources[0].labels is not None
    assert torch.equal(sources[0].labels, labels[expected])
    assert sources[0].digest == sources[2].digest  # of the set; the rows say which
    assert sources[0].rows is not None
    assert opened(images, num_samples=50).count == 30


def test_points_stay_as_they_are_and_may_leave_the_range(tmp_path: Path) -> None:
    data = open_points()
    points = uniform(0, torch.arange(9), (2,)) * 3 - 1
    np.savez(tmp_path / "points.npz", arr_0=points[:, None, None, :].numpy())
    for spec in (tmp_path / "points.npz", points, points[:, :, None, None]):
        source = opened(spec, data=data)
        assert source.points
        assert torch.equal(all_of(source), points[:, :, None, None])
        assert source.rounding is None


def open_points() -> Data:
    part = ImageSet(torch.rand(5, 2, 1, 1), torch.zeros(5, dtype=torch.int64), ("one",), "line")
    return Data("line", part, part, part)


def test_reading_options_are_those_of_the_data(tmp_path: Path) -> None:
    folder = write_pngs(tmp_path / "large", pixels(3, size=16))
    source = opened(DataConfig(source=str(folder), resize=8, channels=1))
    assert (source.size, source.channels) == (8, 1)
    assert opened("digits", num_samples=20).count == 20


@pytest.mark.parametrize("conditional", [False, True])
def test_a_checkpoint_gives_its_samples_by_index(conditional: bool, tmp_path: Path, write_gan: WriteGan) -> None:
    path = write_gan(tmp_path, "dcgan", conditional=conditional)
    source = opened(path, num_samples=10, seed=3)
    generator = load_gan(path).generator
    whole = sample(generator, 10, seed=3)
    torch.testing.assert_close(all_of(source, 4), whole, atol=1e-5, rtol=0)
    torch.testing.assert_close(source.images(torch.tensor([7, 2])), whole[[7, 2]], atol=1e-5, rtol=0)
    assert source.gan is not None
    assert source.gan.discriminator is not None
    assert not source.stored
    assert (source.labels is not None, source.classes is not None) == (conditional, conditional)
    if source.labels is not None:
        assert torch.equal(source.labels, draw_classes((1, 1, 1, 1), torch.arange(10), seed=3))
    assert torch.equal(all_of(opened(source.gan, num_samples=10, seed=3), 4), all_of(source, 4))


class Signed(nn.Module):
    """Latents to signed images; knows its classes."""

    latent_dim = 3

    def __init__(self, num_classes: int = 0) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.linear = nn.Linear(3, 16)
        self.drop = nn.Dropout()

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        shift = 0 if labels is None else labels[:, None] / 10
        return (self.drop(self.linear(latents)) + shift).tanh().view(-1, 1, 4, 4)


def test_a_module_is_fed_seeded_latents_in_eval_mode() -> None:
    network = Signed()
    source = opened(network, num_samples=9, seed=2)
    from advgan.models.latents import LatentSpace

    latents = LatentSpace(3).draw(2, torch.arange(9))
    with torch.no_grad():
        expected = from_signed(network.eval()(latents))
    torch.testing.assert_close(all_of(source, 4), expected, atol=1e-6, rtol=0)
    assert "signed" in source.protocol
    assert not torch.equal(all_of(source), all_of(opened(network, num_samples=9, seed=3)))


def test_a_conditional_module_draws_classes_as_the_data_have_them() -> None:
    data = data_of(pixels(channels=1, size=4))
    source = opened(Signed(3), num_samples=7, data=data)
    assert source.labels is not None
    assert torch.equal(source.labels, draw_classes(data.train.class_counts, torch.arange(7)))
    assert "shares of toy/train" in source.asked
    assert source.classes == ("a", "b", "c")
    assert opened(Signed(3), num_samples=7).classes == ("0", "1", "2")


CODE = """
import torch
from torch import nn
from attacks.random import uniform

class Net(nn.Module):
    latent_dim = 5
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(5, 16)
    def forward(self, latents):
        return self.linear(latents).sigmoid().view(-1, 1, 4, 4)

network = Net()
def build():
    return Net()
def draw(indices, seed):
    return uniform(seed, indices, (1, 4, 4))
images = uniform(0, torch.arange(6), (1, 4, 4))
def stored():
    return images
"""


@pytest.mark.parametrize("name", ["network", "build", "Net", "draw", "images", "stored"])
def test_an_object_of_a_python_file(name: str, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(CODE)
    spec = f"{tmp_path / 'mine.py'}:{name}"
    source = opened(spec, num_samples=6, seed=4)
    assert source.name == spec
    assert all_of(source).shape == (6, 1, 4, 4)
    if name == "draw":
        assert torch.equal(all_of(source), uniform(4, torch.arange(6), (1, 4, 4)))
    if name in ("build", "Net"):  # initialised with a seed, so the same each time
        assert torch.equal(all_of(source), all_of(opened(spec, num_samples=6, seed=4)))


def test_functions_are_named_by_what_they_draw() -> None:
    def draw(indices: Tensor, seed: int, shift: int = 0) -> Tensor:
        return integers(seed + shift, indices, 256)[:, None, None, None].expand(-1, 1, 4, 4).to(torch.uint8)

    first, second = opened(draw, num_samples=5), opened(lambda i, s: draw(i, s, 1), num_samples=5)
    assert first.digest != second.digest
    assert first.digest == opened(draw, num_samples=5).digest
    assert (first.name, first.stored) == ("draw", False)


def test_statistics_of_other_tools(tmp_path: Path) -> None:
    features = uniform(0, torch.arange(50), (4,), dtype=torch.float64)
    mean, covariance = features.mean(0), features.T.cov()
    np.savez(tmp_path / "stats.npz", mu=mean.numpy(), sigma=covariance.numpy())
    found = open_source(tmp_path / "stats.npz")
    assert isinstance(found, Statistics)
    assert torch.equal(found.mean, mean)
    assert torch.equal(found.covariance, covariance)
    assert found.num is None
    np.savez(tmp_path / "counted.npz", mu=mean.numpy(), sigma=covariance.numpy(), num=50)
    counted = open_source(tmp_path / "counted.npz")
    assert isinstance(counted, Statistics)
    assert (counted.num, counted.digest) == (50, found.digest)


def test_a_reference_batch_with_images_and_statistics_is_images(tmp_path: Path) -> None:
    images = pixels()
    np.savez(tmp_path / "ref.npz", arr_0=images.permute(0, 2, 3, 1).numpy(), mu=np.zeros(3), sigma=np.eye(3))
    assert torch.equal(all_of(opened(tmp_path / "ref.npz")), images)


def test_a_folder_is_decoded_once_and_again_when_it_changes(tmp_path: Path, cache: Path) -> None:
    folder = write_pngs(tmp_path / "flat", pixels(4))
    first = opened(folder)
    entries = list((cache / "images").iterdir())
    assert opened(folder).digest == first.digest
    assert list((cache / "images").iterdir()) == entries
    write_pngs(folder, pixels(5, seed=1)[4:], ["4.png"])
    assert opened(folder).count == 5


def test_jpeg_files_are_counted_in_folders_and_archives(tmp_path: Path) -> None:
    folder = write_pngs(tmp_path / "flat", pixels(4), ["0.png", "1.JPG", "2.jpeg", "3.png"])
    assert opened(folder).lossy == 2
    assert opened(folder).lossy == 2  # from the cache
    assert opened(tarred(folder, tmp_path / "a.tar.gz")).lossy == 2


def test_rounding_of_floats_is_measured() -> None:
    whole = opened(to_unit(pixels()))
    assert whole.rounding is not None
    assert whole.rounding.share == 0
    between = opened(uniform(0, torch.arange(12), (1, 8, 8)))
    assert between.rounding is not None
    assert between.rounding.share > 0.99
    assert between.rounding.before > 700  # of 768 values
    assert between.rounding.after <= 256
    assert opened(pixels()).rounding is None
