"""The wrapper for torch-fidelity, read by torch-fidelity itself."""

import json
import re
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch_fidelity
from scipy import stats
from torch import Tensor
from torch_fidelity import fidelity, registry, utils

from advgan.models.gans.families import GANS
from advgan.models.latents import LatentSpace, on_sphere
from advgan.pictures import to_picture
from advgan.ranges import to_bytes
from advgan.sampling.drawing import sample
from advgan.sampling.stored import load_gan
from evaluation.jobs.export.fidelity_wrapper import FidelityGenerator
from evaluation.jobs.export.job import ExportConfig, run
from evaluation.jobs.setup import Setup

pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.load. is deprecated:FutureWarning")  # torch-fidelity's
WriteGan = Callable[..., Path]
FAMILIES = [name for name, family in GANS.items() if family.sizes(8)]

Z = torch.randn(4000, 12, generator=torch.Generator().manual_seed(0))


class Mirror(torch.nn.Module):
    """Keeps what it was fed."""

    def __init__(self, space: LatentSpace, num_classes: int = 0) -> None:
        super().__init__()
        self.space, self.num_classes = space, num_classes

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        self.latents, self.labels = latents, labels
        return torch.linspace(-1, 1, 256).view(1, 1, 16, 16).expand(len(latents), -1, -1, -1)


def fed(space: LatentSpace, num_classes: int = 0) -> Mirror:
    mirror = Mirror(space, num_classes)
    wrapper = FidelityGenerator(mirror, channels=1)
    wrapper(Z[:, : wrapper.z_size])
    return mirror


def test_normal_values_become_labels_codes_and_noise_of_their_laws() -> None:
    mirror = fed(LatentSpace(noise_dim=4, kind="uniform", categorical=5, continuous=2), num_classes=3)
    assert mirror.labels is not None
    categories, codes, noise = mirror.latents[:, :5], mirror.latents[:, 5:7], mirror.latents[:, 7:]
    assert stats.chisquare(mirror.labels.bincount(minlength=3)).pvalue > 0.01
    assert stats.chisquare(categories.sum(dim=0)).pvalue > 0.01
    assert torch.equal(categories.max(dim=1).values, torch.ones(4000))
    for values in (codes, noise):
        assert stats.kstest(values.flatten().numpy(), stats.uniform(-1, 2).cdf).pvalue > 0.01
    columns = torch.cat([mirror.labels[:, None].float(), categories[:, :1], codes, noise], dim=1)
    assert (torch.corrcoef(columns.T) - torch.eye(8)).abs().max() < 0.06


def test_normal_noise_passes_and_noise_on_the_sphere_is_scaled() -> None:
    assert torch.equal(fed(LatentSpace(noise_dim=4)).latents, Z[:, :4])
    assert torch.equal(fed(LatentSpace(noise_dim=4, kind="sphere")).latents, on_sphere(Z[:, :4]))


def test_images_are_colour_bytes() -> None:
    wrapper = FidelityGenerator(Mirror(LatentSpace(noise_dim=4)), channels=1)
    images = wrapper(Z[:2, :4])
    assert (images.dtype, images.shape) == (torch.uint8, (2, 3, 16, 16))
    assert images[0, 2].flatten().tolist() == list(range(256))


def test_other_channels_and_classifiers_are_refused() -> None:
    with pytest.raises(ValueError, match="grey or colour images, not at 2 channels"):
        FidelityGenerator(Mirror(LatentSpace(noise_dim=4)), channels=2)


@pytest.mark.parametrize("conditional", [False, True])
@pytest.mark.parametrize("family", FAMILIES)
def test_torch_fidelity_loads_every_family(family: str, conditional: bool, tmp_path: Path, write_gan: WriteGan) -> None:
    codes = {"categorical": 3} if "categorical" in GANS[family].numbers else {}
    path = write_gan(tmp_path, family, conditional=conditional, **codes)
    folder = export(path, tmp_path / "out")
    command = json.loads((folder / "config.json").read_text())["fidelity"]
    size = int(re.findall(r"z-size (\d+)", command)[0])
    model = {"input1_model_z_type": "normal", "input1_model_z_size": size, "input1_model_num_classes": 0}
    loaded = utils.prepare_input_from_id(1, input1=str(folder / "model.pth"), **model)
    wrapper = FidelityGenerator(load_gan(path).generator, channels=3)
    assert loaded.z_size == wrapper.z_size
    for count in (1, 9):
        images = loaded(Z[:count, :size])
        assert (images.int() - wrapper(Z[:count, :size]).int()).abs().max() <= 1
        assert images.dtype == torch.uint8


class Pixels(torch_fidelity.FeatureExtractorBase):
    """Sees the mean of each channel; needs no weights."""

    def __init__(self, name: str, features_list: list[str], **_: object) -> None:
        super().__init__(name, features_list)

    @staticmethod
    def get_provided_features_list() -> tuple[str, ...]:
        return ("means",)

    @staticmethod
    def get_default_feature_layer_for_metric(metric: str) -> str:
        return "means"

    @staticmethod
    def can_be_compiled() -> bool:
        return False

    @staticmethod
    def get_dummy_input_for_compile() -> Tensor:
        return torch.zeros(1, 3, 4, 4, dtype=torch.uint8)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        assert images.dtype == torch.uint8
        return (images.float().mean(dim=(2, 3)),)


@pytest.mark.parametrize("conditional", [False, True])
def test_the_command_line_runs_as_it_stands(
    conditional: bool,
    tmp_path: Path,
    write_gan: WriteGan,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """torch-fidelity's own main, with an extractor that needs no weights instead of Inception."""
    path = write_gan(tmp_path, "dcgan", conditional=conditional)
    folder = export(path, tmp_path / "out")
    command = json.loads((folder / "config.json").read_text())["fidelity"]
    write_pictures(tmp_path / "real", to_bytes(sample(load_gan(path).generator, 200)))
    write_pictures(tmp_path / "black", torch.zeros(200, 3, 8, 8, dtype=torch.uint8))
    monkeypatch.setitem(registry.FEATURE_EXTRACTORS_REGISTRY, "pixels", Pixels)
    monkeypatch.chdir(folder)
    distances = {}
    for name in ("real", "black"):
        words = shlex.split(command.replace("DIR", str(tmp_path / name)).replace("50000", "200"))
        words = [word for word in words if word not in ("--kid", "--isc")]
        more = ["--feature-extractor", "pixels", "--cpu", "--json", "--silent", "--no-cache", "--save-cpu-ram"]
        monkeypatch.setattr(sys, "argv", [*words, *more])
        fidelity.main()
        distances[name] = json.loads(capsys.readouterr().out)["frechet_inception_distance"]
    assert distances["real"] < 0.01 * distances["black"], distances


def export(path: Path, out: Path) -> Path:
    folder = run(ExportConfig(checkpoint=str(path), format="fidelity"), Setup(device="cpu", out=out)).folder
    assert folder is not None
    return folder


def write_pictures(folder: Path, images: Tensor) -> None:
    folder.mkdir()
    for number, image in enumerate(images):
        to_picture(image).save(folder / f"{number}.png")
