"""What goes wrong between images and features in torch-fidelity 0.4.0 and its kin, and does not here."""

import inspect
import os
import warnings
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch_fidelity.feature_extractor_base import FeatureExtractorBase
from torch_fidelity.feature_extractor_vgg16 import FeatureExtractorVGG16
from torch_fidelity.helpers import text_to_dtype
from torch_fidelity.metric_isc import isc_features_to_metric
from torch_fidelity.metric_prc import prc_features_to_metric
from torch_fidelity.utils import get_featuresdict_from_generative_model

from advgan.storage.weights import Weights, find_weights
from attacks.random import uniform
from evaluation.extractors import inception
from evaluation.extractors.dinov2 import dinov2_extractor
from evaluation.extractors.inception import WEIGHTS, inception_extractor
from evaluation.extractors.vgg16 import VGG16, vgg16_extractor
from evaluation.features.features import Features, check_same_extractor, extract
from evaluation.features.protocols import PROTOCOLS
from evaluation.features.resizing import tensorflow_bilinear, torch_bilinear
from evaluation.neighbourhoods.precision_recall import precision_recall


@pytest.fixture(autouse=True)
def empty_caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADVGAN_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    for weights in (WEIGHTS, VGG16):
        monkeypatch.delenv(weights.variable, raising=False)


class Hostile:
    """A pickle that makes a folder when it is read."""

    def __init__(self, folder: Path) -> None:
        self.folder = str(folder)

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (self.folder,)


def digest(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()


def test_torch_fidelity_unpickles_whatever_the_weights_file_holds(tmp_path: Path) -> None:
    """Its extractors call torch.load with weights_only=False, so a downloaded file runs code; ours refuse it first."""
    path = tmp_path / "weights.pth"
    torch.save({"weight": Hostile(tmp_path / "theirs")}, path)
    with pytest.raises(Exception, match="load"):
        FeatureExtractorVGG16("vgg16", ["fc2_relu"], feature_extractor_weights_path=path)
    assert (tmp_path / "theirs").is_dir()
    torch.save({"weight": Hostile(tmp_path / "ours")}, path)
    for extractor in (inception_extractor, vgg16_extractor):
        with pytest.raises(ValueError, match="no plain weights"):
            extractor(path, sha256=digest(path))
    assert not (tmp_path / "ours").exists()


def test_torch_fidelity_does_not_check_the_hash_in_the_files_name(tmp_path: Path) -> None:
    """A truncated or replaced file in torch's cache is used there; here it is passed over, and a named one refused."""
    assert "check_hash" not in inspect.getsource(inspect.getmodule(FeatureExtractorVGG16) or os)
    path = tmp_path / "torch" / "hub" / "checkpoints" / WEIGHTS.files[0]
    path.parent.mkdir(parents=True)
    path.write_bytes(b"half of it")
    with pytest.raises(ValueError, match="is not the file with sha256 6726825d"):
        find_weights(WEIGHTS, path)
    with pytest.raises(ValueError, match="cannot be downloaded"):
        find_weights(_unreachable(), None)


def test_clean_fid_keeps_a_broken_download(tmp_path: Path) -> None:
    """It writes into the temporary folder as it downloads; here a file appears whole and checked or not at all."""
    source = tmp_path / "served.pth"
    source.write_bytes(b"half of it")
    with pytest.raises(ValueError, match="its sha256 differs"):
        find_weights(_unreachable(source.as_uri()), None)
    assert not (tmp_path / "cache").exists()


def test_torch_fidelity_gives_one_weights_path_to_every_extractor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its feature_extractor_weights_path reaches Inception and VGG16 alike; here each has a variable of its own."""
    path = tmp_path / "inception.pth"
    torch.save({"fc.weight": torch.zeros(1)}, path)
    with pytest.raises(RuntimeError, match="Missing key"):
        FeatureExtractorVGG16("vgg16", ["fc2_relu"], feature_extractor_weights_path=path)
    monkeypatch.setenv(WEIGHTS.variable, str(path))
    monkeypatch.setattr("urllib.request.urlopen", _no_network)
    with pytest.raises(ValueError, match="the VGG16 weights cannot be downloaded"):
        vgg16_extractor()
    with pytest.raises(ValueError, match=r"inception\.pth is not the file"):
        inception_extractor()


def test_torch_fidelitys_float64_is_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cure that its documentation has for batch dependence changes nothing; dtype=torch.float64 here is float64."""
    assert text_to_dtype("float64") == torch.float32
    taken = []

    def network(weights: object, path: object, device: object, dtype: torch.dtype) -> tuple[nn.Module, Tensor]:
        taken.append(dtype)
        return nn.AvgPool2d(299), torch.ones(5, 3, dtype=dtype)

    monkeypatch.setattr(inception, "_network", network)
    found = extract(inception_extractor(dtype=torch.float64), torch.rand(2, 3, 8, 8))
    assert (taken, found.values.dtype) == ([torch.float64], torch.float64)


def test_torch_fidelity_takes_no_path_for_dinov2(tmp_path: Path) -> None:
    """It raises NotImplementedError without a word; here the weights are checked and the missing code is named."""
    from torch_fidelity.feature_extractor_dinov2 import FeatureExtractorDinoV2

    with pytest.raises(NotImplementedError):
        FeatureExtractorDinoV2("dinov2-vit-s-14", ["dinov2"], feature_extractor_weights_path="weights.pth")
    with pytest.raises(ValueError, match=r"needs the code of github\.com/facebookresearch/dinov2, which is not in"):
        dinov2_extractor("dinov2-vit-s-14", tmp_path / "weights.pth")


def test_torch_fidelity_cannot_look_at_a_conditional_generator() -> None:
    """It draws labels as np.int, gone from numpy 1.24; here images are looked at, wherever they come from."""

    class Flat(FeatureExtractorBase):  # type: ignore[misc]
        @staticmethod
        def get_provided_features_list() -> tuple[str]:
            return ("flat",)

        def forward(self, images: Tensor) -> tuple[Tensor]:
            return (images.flatten(1).float(),)

    from torch_fidelity import GenerativeModelModuleWrapper

    class Conditional(nn.Module):
        def forward(self, latents: Tensor, labels: Tensor) -> Tensor:
            return (labels * 20).to(torch.uint8).view(-1, 1, 1, 1).expand(-1, 3, 4, 4)

    wrapper = GenerativeModelModuleWrapper(Conditional(), 2, "normal", 10)
    with pytest.raises(AttributeError, match=r"np\.int|has no attribute 'int'"):
        get_featuresdict_from_generative_model(wrapper, Flat("flat", ["flat"]), 8, 4, False, 0, False)
    assert not hasattr(np, "int")
    from evaluation.extractors.pixels import pixels_extractor

    labels = torch.arange(8) % 10
    drawn = Conditional()(torch.zeros(8, 2), labels).float() / 255
    assert torch.equal((extract(pixels_extractor(), drawn).values[:, 0] * 255).round().long(), labels * 20)


def test_torchmetrics_antialiases_by_default_and_so_shifts_every_fid() -> None:
    """An antialiased resize of large images is none of the protocols' bilinear ones; no protocol has it by default."""
    images = (uniform(0, torch.arange(1), (3, 400, 400)) * 256).to(torch.uint8)
    options = {"size": (299, 299), "mode": "bilinear", "align_corners": False}
    antialiased = F.interpolate(images.float(), antialias=True, **options)  # type: ignore[arg-type]
    assert float((torch_bilinear(images) * 255 - antialiased).abs().mean()) > 5
    assert torch.equal(torch_bilinear(images), F.interpolate(images.float() / 255, **options))  # type: ignore[arg-type]
    assert "without antialiasing" in PROTOCOLS["pytorch-fid"].words


def test_two_libraries_call_different_resizes_fid() -> None:
    """Images sit 4.2 of 299 pixels apart in torch-fidelity and pytorch-fid; here the two are never compared."""
    dot = torch.zeros(1, 3, 32, 32, dtype=torch.uint8)
    dot[..., 16, 16] = 255

    def centre(resized: Tensor) -> float:
        row = resized[0, 0].sum(dim=0).double()
        return float((row * torch.arange(299)).sum() / row.sum())

    assert centre(torch_bilinear(dot)) - centre(tensorflow_bilinear(dot)) == pytest.approx(4.17, abs=0.05)
    both = [
        Features(torch.rand(9, 2), torch.ones(9, 1), PROTOCOLS[name].extractor, "0") for name in list(PROTOCOLS)[:2]
    ]
    with pytest.raises(ValueError, match="inception@pytorch-fid"):
        check_same_extractor(*both)


def test_torch_fidelitys_distances_are_wrong_far_from_the_origin() -> None:
    """Its float32 distances make precision depend on an offset of all features, which changes no distance."""
    real, fake = uniform(0, torch.arange(300), (16,)), uniform(1, torch.arange(300), (16,)) * 1.2
    near, far = (prc_features_to_metric(fake + offset, real + offset, verbose=False) for offset in (0, 2000))
    assert near["precision"] != far["precision"]
    ours = [precision_recall(real + offset, fake + offset)["precision"].value for offset in (0, 8)]
    assert ours[0] == pytest.approx(near["precision"], rel=1e-6)
    assert ours[1] == pytest.approx(ours[0], abs=2 / 300)  # adding 8 rounds the features themselves


def test_torch_fidelity_scores_fewer_images_than_splits_as_nan() -> None:
    """An Inception score of 5 images over 10 splits is a silent NaN there, and refused under its protocol here."""
    logits = uniform(0, torch.arange(5), (4,))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        assert np.isnan(isc_features_to_metric(logits)["inception_score_mean"])
    from evaluation.protocol_scores import score_under

    rule = PROTOCOLS["torch-fidelity"].score
    assert rule is not None
    with pytest.raises(ValueError, match="needs 20 images, not 5"):
        score_under(rule, logits.softmax(dim=1))


def _unreachable(url: str = "http://127.0.0.1:9/weights.pth") -> Weights:
    return replace(WEIGHTS, url=url)


def _no_network(*_: object, **__: object) -> None:
    raise OSError("Network is unreachable")
