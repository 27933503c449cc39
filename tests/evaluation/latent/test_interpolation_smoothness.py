"""Jumps and stays of images on known ways."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from advgan.models.latents import LatentSpace
from evaluation.features.features import Extractor
from evaluation.latent.interpolation_smoothness import (
    clustered_rate,
    interpolation_jump,
    interpolation_precision,
    jumps,
    near_real,
    path_features,
)
from evaluation.latent.paths import draw_ends
from evaluation.statistics.intervals import wilson

PIXELS = Extractor("pixels", "", lambda images: (images.flatten(1), images.flatten(1).softmax(dim=1)))


class Copying(nn.Module):
    """Signed images (N, 1, 2, 4): the latents, shrunk, or their signs."""

    num_classes = 0

    def __init__(self, *, signs: bool, kind: str = "sphere") -> None:
        super().__init__()
        self.space, self.signs = LatentSpace(8, kind), signs
        self.scale = nn.Parameter(torch.tensor(0.1))

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        return (latents.sign() if self.signs else latents).reshape(-1, 1, 2, 4) * self.scale


def test_even_steps_have_ratio_one_and_a_single_jump_the_number_of_steps() -> None:
    even = torch.linspace(0, 1, 17)[None, :, None] * torch.ones(3, 17, 5)
    assert jumps(even).tolist() == pytest.approx([1.0] * 3, rel=1e-5)
    leap = torch.zeros(3, 17, 5)
    leap[:, 9:] = 2
    assert jumps(leap).tolist() == pytest.approx([16.0] * 3)


def test_ways_that_stand_still_are_left_out() -> None:
    features = torch.zeros(4, 5, 2)
    features[1:3, 2:] = 1
    assert len(jumps(features)) == 2
    assert math.isnan(interpolation_jump(features[:2]).value)
    assert interpolation_jump(features).value == 4


def test_a_linear_generator_walks_the_sphere_evenly_and_a_quantised_one_jumps() -> None:
    smooth, quantised = Copying(signs=False), Copying(signs=True)
    ends = draw_ends(smooth, 64)
    assert interpolation_jump(path_features(smooth, PIXELS, ends)).value == pytest.approx(1, abs=1e-3)
    found = path_features(quantised, PIXELS, ends)
    crossings = (found[:, 1:] != found[:, :-1]).any(dim=2).sum(dim=1)
    assert interpolation_jump(found).low > 3
    alone = crossings == 1
    assert torch.equal(jumps(found)[alone[crossings > 0]], torch.full((int(alone.sum()),), 16.0, dtype=torch.float64))


def test_both_ends_are_looked_at_and_a_way_needs_an_image_between() -> None:
    generator = Copying(signs=False)
    ends = draw_ends(generator, 6)
    found = path_features(generator, PIXELS, ends, steps=3, batch_size=5)
    assert found.shape == (6, 4, 8)
    for place, latents in ((0, ends.first), (3, ends.last)):
        torch.testing.assert_close(found[:, place], latents * 0.05 + 0.5)
    with pytest.raises(ValueError, match="path of 1 steps"):
        path_features(generator, PIXELS, ends, steps=1)


def test_near_is_within_the_third_neighbour_of_a_real_image() -> None:
    real = torch.arange(10.0)[:, None]  # radii 3 at the two ends, then 2 and 2, elsewhere 2
    features = torch.tensor([[[-3.0], [4.5], [12.0]], [[-3.01], [12.01], [40.0]]])
    assert near_real(real, features).tolist() == [[True, True, True], [False, False, False]]


def test_on_the_sphere_ways_are_as_near_as_samples() -> None:
    """Each point of the great circle between independent ends is uniform on the sphere, as samples are."""
    generator = Copying(signs=False)
    features = path_features(generator, PIXELS, draw_ends(generator, 300), steps=4)
    real = draw_ends(generator, 300, seed=9).first * 0.05 + 0.5
    near = near_real(real, features)
    between, ends = interpolation_precision(near), clustered_rate(near[:, [0, -1]])
    assert 0.3 < ends.value < 1
    assert between.low < ends.value < between.high


def test_ends_do_not_count_as_between() -> None:
    near = torch.zeros(20, 5, dtype=torch.bool)
    near[:, [0, -1]] = True
    assert interpolation_precision(near).value == 0


def test_one_flag_a_row_is_wilson_s_interval() -> None:
    flags = torch.arange(50)[:, None] < 17
    low, high = wilson(17, 50)
    # The variance is that of 49 degrees of freedom.
    assert clustered_rate(flags)[1:] == pytest.approx((low, high), abs=3e-3)
    for agreed, ends in ((False, wilson(0, 50)), (True, wilson(50, 50))):
        assert clustered_rate(torch.full((50, 9), agreed))[1:] == pytest.approx(ends)


def test_rows_that_agree_count_once_and_independent_flags_each() -> None:
    noise = torch.rand(400, generator=torch.Generator().manual_seed(0)) < 0.3
    rows, flags = noise[:, None].expand(-1, 8), noise.reshape(50, 8)
    width = {
        name: one.high - one.low for name, one in (("rows", clustered_rate(rows)), ("flags", clustered_rate(flags)))
    }
    assert width["rows"] == pytest.approx(width["flags"], rel=0.3)
    assert clustered_rate(noise[:1, None]).value == float(noise[0])
    assert math.isnan(clustered_rate(noise[:1, None]).low)


@pytest.mark.parametrize(("share", "alike"), [(0.7, 0.5), (0.95, 2.0)])
def test_the_interval_covers_the_share_of_dependent_flags(share: float, alike: float) -> None:
    """Rows whose own share is a beta variable: 400 sets of 100 rows of 15."""
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(400):
        own = rng.beta(share / alike, (1 - share) / alike, size=(100, 1))
        found = clustered_rate(torch.from_numpy(rng.random((100, 15)) < own))
        hits += found.low <= share <= found.high
    assert 0.92 <= hits / 400 <= 0.98
