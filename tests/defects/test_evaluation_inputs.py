"""What other evaluation libraries take for images, keep in their caches, or let pass; ours refuses or does it right."""

import io
import pickle
import urllib.request
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from attacks.random import uniform
from evaluation.extractors.inception import inception_extractor
from evaluation.features.features import Extractor
from evaluation.inputs import Source, open_source
from evaluation.inputs.findings import source_findings
from evaluation.seeing.feature_cache import FeatureCache
from evaluation.seeing.one_pass import look


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ADVGAN_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


class Pixels:
    """Sees the pixels themselves, and counts how often."""

    def __init__(self) -> None:
        self.looks = 0

    def extractor(self, digest: str = "d") -> Extractor:
        return Extractor("pixels", digest, self.look)

    def look(self, images: Tensor) -> tuple[Tensor, Tensor]:
        self.looks += len(images) != 8  # as many as a reading of the cache tries
        return images.flatten(1), images.flatten(1)[:, :2].double()


def source(spec: object, **options: object) -> Source:
    found = open_source(spec, **options)  # type: ignore[arg-type]
    assert isinstance(found, Source)
    return found


def floats(count: int = 9, channels: int = 3) -> Tensor:
    return uniform(0, torch.arange(count), (channels, 8, 8))


class Code:
    """Runs when it is unpickled."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return (Path.touch, (self.file,))


def test_torch_fidelity_cache_of_an_equal_name_gives_the_first_checkpoint_its_fid(cache: Path) -> None:
    """Its key is name, extractor and layer, so a second checkpoint under one `cache_name` gets the features of the
    first."""
    torch.manual_seed(0)
    network, kept = Pixels(), FeatureCache()
    first, second = torch.zeros(9, 1, 4, 4), torch.ones(9, 1, 4, 4)
    seen = []
    for images in (first, second):
        torch.save(images, cache.parent / "model.pt")
        seen.append(look(source(cache.parent / "model.pt"), [network.extractor()], cache=kept)[0].features.values)
    assert [float(values.mean()) for values in seen] == [0, 1]
    weights = look(source(second), [network.extractor("other weights")], cache=kept)
    assert network.looks == 3
    assert len(weights) == 1


def test_torch_fidelity_and_stylegan3_unpickle_their_caches(tmp_path: Path) -> None:
    """Their caches are loaded with `weights_only=False` or pickle.load, and run whatever lies there."""
    network, kept = Pixels(), FeatureCache(tmp_path / "features")
    look(source(floats()), [network.extractor()], cache=kept)
    (file,) = (tmp_path / "features").iterdir()
    file.write_bytes(pickle.dumps(Code(tmp_path / "ran")))
    look(source(floats()), [network.extractor()], cache=kept)
    assert network.looks == 2
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("ending", ["pt", "pth", "npy", "npz", "pkl"])
def test_dgm_eval_and_stylegan3_unpickle_their_inputs(ending: str, tmp_path: Path) -> None:
    """A file of images or a generator must never run code by being read."""
    file, ran = tmp_path / f"images.{ending}", tmp_path / "ran"
    if ending in ("pt", "pth"):
        torch.save(Code(ran), file)
    elif ending == "pkl":
        file.write_bytes(pickle.dumps(Code(ran)))
    else:
        hostile = np.array([Code(ran)], dtype=object)
        save = np.save if ending == "npy" else lambda path, array: np.savez(path, images=array)
        save(file, hostile)  # type: ignore[operator]
    with pytest.raises(ValueError, match=r"refused|not loaded"):
        open_source(file)
    assert not ran.exists()


def test_clean_fid_keeps_a_broken_download(cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It writes straight to the final name in the temporary folder, so half a file is used from then on."""
    monkeypatch.setattr(urllib.request, "urlopen", lambda url, timeout: io.BytesIO(b"half a file"))
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    with pytest.raises(ValueError, match=r"download of .* is damaged"):
        inception_extractor()
    assert not list(cache.rglob("*.pth"))


def test_a_broken_write_leaves_no_half_entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache that is written in place holds half an entry after a crash, which is read for ever after."""

    def dies(file: Path, content: bytes) -> int:
        with file.open("wb") as opened:
            opened.write(content[: len(content) // 2])
        raise KeyboardInterrupt

    network, kept = Pixels(), FeatureCache(tmp_path / "features")
    monkeypatch.setattr(Path, "write_bytes", dies)
    with pytest.raises(KeyboardInterrupt):
        look(source(floats()), [network.extractor()], cache=kept)
    assert not list((tmp_path / "features").iterdir())
    monkeypatch.undo()
    look(source(floats()), [network.extractor()], cache=kept)
    look(source(floats()), [network.extractor()], cache=kept)
    assert network.looks == 2


def test_pytorch_fid_gives_nan_for_a_folder_of_no_images(tmp_path: Path) -> None:
    """There the mean of nothing is NaN, and so is the distance."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "notes.txt").write_text("")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert np.isnan(np.zeros((0, 3)).mean(axis=0)).all()
    with pytest.raises(ValueError, match="holds no images"):
        open_source(tmp_path / "empty")


def test_torchmetrics_says_little_about_one_image(tmp_path: Path) -> None:
    """A single image has a covariance of NaN; the remark there speaks of infs (issue 1652)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert np.isnan(np.cov(np.zeros((1, 3)), rowvar=False)).all()
    Image.new("L", (8, 8)).save(tmp_path / "only.png")
    with pytest.raises(ValueError, match="gives 1 image: scores need 2 at least"):
        open_source(tmp_path)


def test_torch_fidelity_casts_signed_floats_to_bytes() -> None:
    """Where bytes are wanted, floats in [-1, 1] become the levels 0, 1 and 255: here they are refused, or converted."""
    signed = floats() * 2 - 1
    with pytest.raises(ValueError, match=r"runs from -.* floats must be in \[0, 1\]; give \(images \+ 1\) / 2"):
        open_source(signed)

    class Tanh(nn.Module):
        latent_dim = 3

        def forward(self, latents: Tensor) -> Tensor:
            return latents.tanh().repeat(1, 16).view(-1, 3, 4, 4)

    images = source(Tanh(), num_samples=8).images(torch.arange(8))
    low, high = (float(value) for value in images.aminmax())
    assert 0 <= low < 0.2
    assert 0.8 < high <= 1


def test_unit_floats_where_bytes_were_meant_are_black_images() -> None:
    """Cast to uint8 as they are, floats in [0, 1] are all 0 or 1; here they keep their levels."""
    assert int(floats().to(torch.uint8).max()) == 0
    stored = source(floats()).images(torch.arange(8))
    assert stored.dtype == torch.uint8
    assert int(stored.max()) > 250


def test_torch_fidelity_data_sets_must_not_have_labels() -> None:
    """A data set that yields (image, label) fails there with a message about types; here a pair is images and labels,
    and of what a function returns beside its images only they are read."""
    images, labels = floats(), torch.arange(9) % 3
    assert source((images, labels)).labels is not None
    pairs = open_source(lambda indices, seed: (images[indices], labels[indices]), num_samples=8)
    alone = open_source(lambda indices, seed: images[indices], num_samples=8)
    assert torch.equal(pairs.images(torch.arange(8)), alone.images(torch.arange(8)))


def test_pytorch_fid_mixes_sizes_of_one_folder(tmp_path: Path) -> None:
    """With a batch size of 1 it resizes each image by another factor and says nothing (issues 32, 70)."""
    for size in (8, 16):
        Image.new("L", (size, size)).save(tmp_path / f"{size}.png")
    with pytest.raises(ValueError, match=r"images differ in size: 8\.png is 8x8, 16\.png is 16x16; --resize 8"):
        open_source(tmp_path)


def test_clean_fid_does_not_say_that_images_are_jpeg(tmp_path: Path) -> None:
    """JPEG moves the FID more than many a model does; only torch-fidelity warns of lossy files."""
    for number in range(3):
        Image.new("L", (8, 8), number).save(tmp_path / f"{number}.jpg")
    assert [finding.code for finding in source_findings(source(tmp_path))] == ["jpeg-images"]


def test_stylegan3_samples_depend_on_batch_size_and_devices() -> None:
    """Latents from a running generator make image k depend on the batch size; a source that does so is refused."""
    noise = torch.Generator().manual_seed(0)

    def running(indices: Tensor, seed: int) -> Tensor:
        return torch.rand(len(indices), 1, 4, 4, generator=noise)

    with pytest.raises(ValueError, match="draws another image for the same index in another batch"):
        open_source(running, num_samples=8)
    steady = source(lambda indices, seed: uniform(seed, indices, (1, 4, 4)), num_samples=9)
    whole, parts = (torch.cat(list(steady.batches(torch.arange(9), size))) for size in (9, 2))
    assert torch.equal(whole, parts)


def test_generators_are_scored_in_train_mode() -> None:
    """Batch statistics make each image depend on its neighbours; a module is put into eval mode first."""

    class Normed(nn.Module):
        latent_dim = 3

        def __init__(self) -> None:
            super().__init__()
            self.norm = nn.BatchNorm1d(3)

        def forward(self, latents: Tensor) -> Tensor:
            return self.norm(latents).sigmoid().repeat(1, 16).view(-1, 3, 4, 4)

    network = Normed().train()
    images = source(network, num_samples=8)
    assert torch.equal(images.images(torch.tensor([3])), images.images(torch.arange(8))[3:4])
    assert not bool(network.norm.running_mean.any())  # type: ignore[union-attr, operator]


def test_statistics_of_an_unknown_number_of_images_have_no_floor(tmp_path: Path) -> None:
    """The files of pytorch-fid and clean-fid hold no number, and a distance to them is printed as if it had no bias."""
    np.savez(tmp_path / "stats.npz", mu=np.zeros(3), sigma=np.eye(3))
    statistics = open_source(tmp_path / "stats.npz")
    assert not isinstance(statistics, Source)
    assert statistics.num is None
    (finding,) = source_findings(statistics)
    assert "no noise floor" in finding.evidence
