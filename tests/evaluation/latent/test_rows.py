"""Rows and findings of the latent space, on generators that are known and planted faults."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from advgan.models.interface import Generator
from advgan.models.latents import LatentSpace
from advgan.sampling.stored import TrainedGan, load_gan
from evaluation.features.features import Extractor, extract
from evaluation.features.seen import Row, Sample, Seen
from evaluation.latent.findings import latent_findings
from evaluation.latent.rows import LATENT_METRICS, latent_rows

PIXELS = Extractor("pixels", "", lambda images: (images.flatten(1), images.flatten(1).softmax(dim=1)), rounds=False)


class Isometry(nn.Module):
    """Signed images (N, 1, 4, 4): eight latents, shrunk, then zeros; `labels` shift the last pixel.

    `depth` < 1 shrinks further, `pieces` draws only the signs, of as many latents.
    """

    def __init__(self, *, depth: float = 1.0, pieces: int = 0, num_classes: int = 0) -> None:
        super().__init__()
        self.space, self.num_classes, self.pieces = LatentSpace(8, "sphere"), num_classes, pieces
        self.scale = nn.Parameter(torch.tensor(0.2 * depth))

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        rows = latents[:, : self.pieces].sign() if self.pieces else latents
        images = nn.functional.pad(rows, (0, 16 - rows.shape[1])) * self.scale
        if labels is not None:
            images[:, -1] = labels / self.num_classes
        return images.reshape(-1, 1, 4, 4)


@pytest.fixture
def wrap(tmp_path: Path, write_gan: Callable[..., Path]) -> Callable[[Generator], TrainedGan]:
    """Put a generator in the place of a trained one."""
    gan = load_gan(write_gan(tmp_path, "mlp"))
    return lambda generator: replace(gan, generator=generator)


def seen(seed: int = 0) -> Seen:
    """Real images from the isometry's own distribution."""
    noise = LatentSpace(8, "sphere").draw(77, torch.arange(300))
    with torch.no_grad():
        images = (Isometry()(noise) + 1) / 2
    real = Sample(features=extract(PIXELS, images))
    return Seen(real=real, fake=real, seed=seed)


def rows_of(gan: TrainedGan, wanted: set[str] | None = None, seed: int = 0) -> dict[str, Row]:
    rows = latent_rows(gan, PIXELS, seen(seed), wanted or set(LATENT_METRICS), num_paths=200, num_ways=60, num_points=4)
    return {row[0]: row for row in rows}


def test_an_isometry_has_known_scores(wrap: Callable[[Generator], TrainedGan]) -> None:
    """Distances of images in [0, 1] are 0.1 of those of latents; the angle of independent ends is about a right one."""
    found = rows_of(wrap(Isometry()))
    assert list(found) == [
        "path_length",
        "interpolation_jump",
        "interpolation_precision",
        "latent_sensitivity",
        "jacobian_condition",
    ]
    assert found["latent_sensitivity"][1] == pytest.approx((0.1, 0.1, 0.1), rel=1e-4)
    squared_angle = math.pi**2 / 4 + 0.1417  # mean squared and variance; the density goes with the sine's 6th power
    length = found["path_length"][1]
    assert length.low < 0.1**2 * 8 * squared_angle < length.high
    assert found["interpolation_jump"][1].value == pytest.approx(1, abs=1e-3)
    assert found["jacobian_condition"][1] == pytest.approx((0, 0, 0), abs=1e-4)
    assert found["interpolation_precision"][1].value > 0.7


def test_rows_say_how_many_and_how(wrap: Callable[[Generator], TrainedGan]) -> None:
    found = rows_of(wrap(Isometry()))
    assert [row[2] for row in found.values()] == [200, 60, 60 * 15, 60, 4]
    assert "0.0001 of the slerp" in found["path_length"][3]
    assert "of one of 300 real images" in found["interpolation_precision"][3]
    assert all("interval" in row[3] for row in found.values())


@pytest.mark.parametrize("metric", [*LATENT_METRICS])
def test_a_row_is_the_same_alone_and_only_what_is_wanted_is_made(
    metric: str, wrap: Callable[[Generator], TrainedGan]
) -> None:
    gan = wrap(Isometry(num_classes=3))
    alone = rows_of(gan, {metric})
    assert list(alone) == [metric]
    assert alone[metric] == rows_of(gan)[metric]
    assert latent_rows(gan, PIXELS, seen(), {"fid"}) == []


def test_the_seed_draws_the_paths(wrap: Callable[[Generator], TrainedGan]) -> None:
    gan = wrap(Isometry())
    assert rows_of(gan, {"path_length"}) == rows_of(gan, {"path_length"})
    assert rows_of(gan, {"path_length"}, seed=1) != rows_of(gan, {"path_length"})


def test_a_smooth_generator_is_healthy(wrap: Callable[[Generator], TrainedGan]) -> None:
    gan = wrap(Isometry())
    assert latent_findings(rows_of(gan).values(), gan, seen()) == []


def test_ignored_latents_are_found(wrap: Callable[[Generator], TrainedGan]) -> None:
    """Within the labels hardly anything changes, though images of different labels are far apart."""
    gan = wrap(Isometry(depth=0.02, num_classes=4))
    (finding,) = latent_findings(rows_of(gan).values(), gan, seen())
    assert finding.code == "latents-ignored"
    assert "2.0% as far apart" in finding.evidence


def test_jumps_are_found(wrap: Callable[[Generator], TrainedGan]) -> None:
    gan = wrap(Isometry(pieces=3))
    found = rows_of(gan)
    codes = [finding.code for finding in latent_findings(found.values(), gan, seen())]
    assert codes == ["latent-jumps"]
    assert "left out" in found["interpolation_jump"][3]
    assert found["interpolation_jump"][2] < 60


def test_a_constant_generator_is_called_so_by_every_score(wrap: Callable[[Generator], TrainedGan]) -> None:
    gan = wrap(Isometry(depth=0))
    found = rows_of(gan)
    assert found["path_length"][1].value == found["latent_sensitivity"][1].value == 0
    assert math.isnan(found["interpolation_jump"][1].value)
    assert math.isnan(found["jacobian_condition"][1].low)
    assert "4 of them singular in float32: the mean is a lower bound" in found["jacobian_condition"][3]
    assert [one.code for one in latent_findings(found.values(), gan, seen())] == ["latents-ignored"]


def test_findings_need_no_more_than_what_is_there(wrap: Callable[[Generator], TrainedGan]) -> None:
    gan = wrap(Isometry(depth=0))
    assert latent_findings([], gan, seen()) == []


def test_one_path_has_no_interval_and_is_refused(wrap: Callable[[Generator], TrainedGan]) -> None:
    with pytest.raises(ValueError, match="num_paths is 1"):
        latent_rows(wrap(Isometry()), PIXELS, seen(), {"path_length"}, num_paths=1)
