import math
import os
import warnings
from hashlib import sha256
from pathlib import Path

import pytest
import torch
import torchvision
from torch import Tensor, nn

from advgan.ranges import to_bytes
from attacks.random import normal, seeded, uniform
from evaluation.extractors import ALIASES, EXTRACTORS, is_extractor, named_extractor
from evaluation.extractors.clip import CLIP, clip_extractor, clip_weights
from evaluation.extractors.dinov2 import DINOV2, dinov2_extractor
from evaluation.extractors.vgg16 import VGG16, vgg16_extractor
from evaluation.features.features import extract, single_class


def digest(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()


def images(count: int = 3, channels: int = 1) -> Tensor:
    return (uniform(0, torch.arange(count), (channels, 8, 8)) * 255).round() / 255


@pytest.fixture(autouse=True)
def empty_caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADVGAN_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    for network in ("VGG16", "CLIP", "DINOV2"):
        monkeypatch.delenv(f"ADVGAN_{network}_WEIGHTS", raising=False)
    monkeypatch.delenv("ADVGAN_DINOV2_CODE", raising=False)


@pytest.fixture
def vgg16(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A narrow network where torchvision has the wide one, whose weights are 528 MB."""

    def vgg() -> nn.Module:
        features = nn.Sequential(nn.Conv2d(3, 4, 3, stride=32), nn.ReLU())
        with torch.device("meta"):
            network = torchvision.models.VGG(nn.Identity(), num_classes=5, init_weights=False)
        network.features = features
        layers = (nn.Linear(4 * 49, 16), nn.ReLU(), nn.Dropout(), nn.Linear(16, 6), nn.ReLU(), nn.Dropout())
        network.classifier = nn.Sequential(*layers, nn.Linear(6, 5))
        return network

    monkeypatch.setattr(torchvision.models, "vgg16", vgg)
    with seeded(0):
        torch.save(vgg().state_dict(), tmp_path / "vgg.pth")
    return tmp_path / "vgg.pth"


def test_vgg16_is_torch_fidelitys(vgg16: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from torch_fidelity.feature_extractor_vgg16 import FeatureExtractorVGG16

    monkeypatch.setenv("ADVGAN_VGG16_WEIGHTS", str(vgg16))
    extractor = vgg16_extractor(sha256=digest(vgg16))
    found = extract(extractor, images())
    peer = FeatureExtractorVGG16("peer", ["fc2_relu"], feature_extractor_weights_path=vgg16)
    assert torch.equal(found.values, peer(to_bytes(images()).repeat(1, 3, 1, 1))[0])
    assert float(found.values.std()) > 0
    assert (found.extractor, found.is_inception, found.has_classes) == ("vgg16", False, False)
    assert (extractor.digest, digest(vgg16)[:8] in extractor.protocol) == (digest(vgg16)[:12], True)
    with pytest.raises(ValueError, match=r"not the file with sha256 397923af.*ADVGAN_VGG16_WEIGHTS"):
        vgg16_extractor()


def test_vgg16_refuses_a_hostile_pickle_with_the_right_checksum(tmp_path: Path) -> None:
    class Hostile:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(tmp_path / "owned"),)

    path = tmp_path / "hostile.pth"
    torch.save({"weight": Hostile()}, path)
    with pytest.raises(ValueError, match="no plain weights"):
        vgg16_extractor(path, sha256=digest(path))
    assert not (tmp_path / "owned").exists()


def archived(network: nn.Module, example: Tensor, path: Path) -> Path:
    """Save TorchScript, as which CLIP was published."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.trace(network, example), path)
    return path


class Encoder(nn.Module):
    """The parts of an archive of CLIP that torch-fidelity reads, tiny."""

    def __init__(self) -> None:
        super().__init__()
        from torch_fidelity.feature_extractor_clip import VisionTransformer

        self.visual = VisionTransformer(28, 14, 64, 1, 1, 6)
        self.text_projection = nn.Parameter(torch.zeros(2, 6))

    def forward(self, pixels: Tensor) -> Tensor:
        embedding: Tensor = self.visual(pixels)
        return embedding


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    path = tmp_path / "clip.pt"
    with seeded(0):
        encoder = Encoder().eval()
    return archived(encoder, torch.zeros(1, 3, 28, 28), path)


def test_clip_is_torch_fidelitys(clip: Path) -> None:
    from torch_fidelity.feature_extractor_clip import FeatureExtractorCLIP

    extractor = clip_extractor("clip-vit-b-16", clip, sha256=digest(clip))
    found = extract(extractor, images(channels=3))
    with pytest.warns(FutureWarning, match=r"torch\.jit\.load"):
        peer = FeatureExtractorCLIP("clip-vit-b-16", ["clip"], feature_extractor_weights_path=clip)
    assert torch.equal(found.values, peer(to_bytes(images(channels=3)))[0])
    assert found.values.shape == (3, 6)
    assert float(found.values.std()) > 0
    assert (extractor.name, "TF1 bilinear to 28" in extractor.protocol) == ("clip-vit-b-16", True)
    with pytest.raises(ValueError, match=r"not the file with sha256 5806e77c.*ADVGAN_CLIP_WEIGHTS"):
        clip_extractor("clip-vit-b-16", clip)


def test_clip_is_found_under_either_of_its_names(tmp_path: Path, clip: Path) -> None:
    known = clip_weights("clip-vit-b-32").sha256
    names = clip_weights("clip-vit-b-32", digest(clip)).files
    assert names == (f"clip-vit-b-32-{known}.pt", "ViT-B-32.pt")
    place = tmp_path / "torch" / "hub" / "checkpoints" / "ViT-B-32.pt"
    place.parent.mkdir(parents=True)
    place.write_bytes(clip.read_bytes())
    assert clip_extractor(sha256=digest(clip)).name == "clip-vit-b-32"


def test_an_archive_of_another_network_is_no_clip(tmp_path: Path) -> None:
    path = archived(nn.Linear(2, 2), torch.zeros(1, 2), tmp_path / "other.pt")
    with pytest.raises(ValueError, match="weights of another network"):
        clip_extractor(path=path, sha256=digest(path))
    path.write_bytes(b"no archive")
    with pytest.raises(ValueError, match="weights of another network"):
        clip_extractor(path=path, sha256=digest(path))


@pytest.fixture
def code(tmp_path: Path) -> Path:
    """What stands in for the authors' repository."""
    folder = tmp_path / "torch" / "hub" / "facebookresearch_dinov2_main"
    folder.mkdir(parents=True)
    (folder / "hubconf.py").write_text(
        "from torch import nn\n"
        "def dinov2_vits14(pretrained=True):\n"
        "    assert not pretrained\n"
        "    return nn.Sequential(nn.AvgPool2d(56), nn.Flatten(), nn.Linear(48, 7))\n"
    )
    return folder


def test_dinov2_runs_the_code_that_is_here_with_weights_that_are_checked(tmp_path: Path, code: Path) -> None:
    with seeded(0):
        network = nn.Sequential(nn.AvgPool2d(56), nn.Flatten(), nn.Linear(48, 7))
    path = tmp_path / "dinov2_vits14_pretrain.pth"
    torch.save(network.state_dict(), path)
    extractor = dinov2_extractor("dinov2-vit-s-14", path, sha256=digest(path))
    found = extract(extractor, torch.full((2, 1, 8, 8), 1.0)).values
    white = (1 - torch.tensor([0.485, 0.456, 0.406])) / torch.tensor([0.229, 0.224, 0.225])
    expected = network[2](white.repeat_interleave(16)[None])
    torch.testing.assert_close(found, expected.expand(2, -1), rtol=0, atol=1e-3)
    with pytest.raises(ValueError, match=r"not the file with sha256 b938bf1b.*ADVGAN_DINOV2_WEIGHTS"):
        dinov2_extractor("dinov2-vit-s-14", path)
    torch.save({"0.weight": torch.zeros(1)}, path)
    with pytest.raises(ValueError, match="weights of another network"):
        dinov2_extractor("dinov2-vit-s-14", path, sha256=digest(path))


def test_without_its_code_dinov2_says_what_to_clone_and_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        ValueError, match=r"needs the code of github\.com/facebookresearch/dinov2.*not fetched"
    ) as caught:
        named_extractor("dinov2")
    assert str(tmp_path / "torch" / "hub" / "facebookresearch_dinov2_main") in str(caught.value)
    monkeypatch.setenv("ADVGAN_DINOV2_CODE", str(tmp_path / "mine"))
    with pytest.raises(ValueError, match=r"not in .*mine and is not fetched"):
        named_extractor("dinov2-vit-g-14")


def test_pixels_are_the_levels() -> None:
    found = extract(named_extractor("pixels"), images(channels=3))
    assert torch.equal(found.values, images(channels=3).flatten(1))
    assert found.probabilities.tolist() == [[1.0]] * 3
    assert found.extractor == "pixels"


def test_the_table_names_every_extractor() -> None:
    inceptions = {f"inception{protocol}" for protocol in ("", "@pytorch-fid", "@clean", "@stylegan3")}
    assert set(EXTRACTORS) == {*inceptions, "vgg16", "pixels", "random", *CLIP, *DINOV2}
    assert all(is_extractor(name) for name in (*EXTRACTORS, *ALIASES, "mine.py:network"))
    assert not any(is_extractor(name) for name in ("auto", "runs/fit/00001", "mine.py"))
    from torch_fidelity.registry import FEATURE_EXTRACTORS_REGISTRY

    assert set(FEATURE_EXTRACTORS_REGISTRY) - {"inception-v3-compat"} <= set(EXTRACTORS)
    with pytest.raises(
        ValueError,
        match=r"no extractor 'clipp': give the run of a classifier, file\.py:object or a name \(did you mean clip",
    ):
        named_extractor("clipp")


def test_a_protocol_is_for_inception_only() -> None:
    with pytest.raises(ValueError, match="--protocol clean says how Inception is fed"):
        named_extractor("pixels", protocol="clean")
    with pytest.raises(ValueError, match="no protocol 'cleaner'"):
        named_extractor("inception", protocol="cleaner")


@pytest.mark.parametrize(
    ("extractor", "name", "variable"),
    [("vgg16", "vgg16-397923af.pth", "VGG16"), ("clip", "clip-vit-b-32-40d36571.*.pt", "CLIP")],
)
def test_offline_each_names_its_file_and_its_variable(
    extractor: str, name: str, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("urllib.request.urlopen", _no_network)
    with pytest.raises(ValueError, match=f"cannot be downloaded.*put {name}.*ADVGAN_{variable}_WEIGHTS") as caught:
        named_extractor(extractor)
    assert "\n" not in str(caught.value)


def _no_network(*_: object, **__: object) -> None:
    raise OSError("Network is unreachable")


def test_a_single_class_is_certain() -> None:
    assert single_class(torch.rand(2, 5)).tolist() == [[1.0], [1.0]]
    assert VGG16.folder.name == "vgg16"


def test_an_untrained_network_tells_what_goes_wrong_without_labels() -> None:
    from sklearn.datasets import load_digits

    from evaluation.fidelity.frechet import frechet_distance

    digits = torch.from_numpy(load_digits().images[:, None] / 16).float()
    first, second = digits[0::2], digits[1::2]
    seer = named_extractor("random")
    real = extract(seer, first).values
    assert real.shape == (len(first), 128)

    def distance(images: torch.Tensor) -> float:
        return frechet_distance(real, extract(seer, images).values)

    blurred = torch.nn.functional.avg_pool2d(second, 3, stride=1, padding=1)
    repeated = second[torch.arange(len(second)) % 20]
    noisy = (second + 0.2 * normal(0, torch.arange(len(second)), second.shape[1:])).clamp(0, 1)
    alike = distance(second)
    assert min(distance(blurred), distance(repeated), distance(noisy)) > 3 * alike
    assert distance(torch.full_like(second, 0.5)) > max(distance(blurred), distance(noisy))


@pytest.mark.parametrize("shape", [(3, 1, 8, 8), (3, 3, 28, 28), (3, 3, 100, 100), (3, 1, 5, 5)])
def test_an_untrained_network_sees_images_of_every_form(shape: tuple[int, ...]) -> None:
    images = torch.linspace(0, 1, math.prod(shape)).view(shape)
    seen = extract(named_extractor("random"), images)
    assert seen.values.shape == (3, 128)
    assert not seen.has_classes
    assert torch.allclose(seen.values[:1], extract(named_extractor("random"), images[:1]).values, atol=1e-4)
