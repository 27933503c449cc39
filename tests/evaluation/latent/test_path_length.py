"""Path lengths of generators that are known in full, and of torch-fidelity's own formula."""

from typing import Literal

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch_fidelity.noise import batch_slerp_any

from advgan.models.latents import LatentSpace
from advgan.sampling.interpolation import lerp, slerp
from evaluation.features.features import Extractor
from evaluation.latent.path_length import path_length, path_lengths, trimmed_mean
from evaluation.latent.paths import Ends, along, draw_ends, look_along

PIXELS = Extractor("pixels", "", lambda images: (images.flatten(1), images.flatten(1).softmax(dim=1)))


class Linear(nn.Module):
    """Signed images (N, 3, 4, 4): a latent times `scale` along orthonormal directions; `labels` change the sign."""

    def __init__(self, space: LatentSpace, *, scale: float = 0.02, num_classes: int = 0) -> None:
        super().__init__()
        self.space, self.num_classes = space, num_classes
        noise = torch.randn(48, space.dim, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        self.weight = nn.Parameter((torch.linalg.qr(noise).Q * scale).float())

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        images = (latents @ self.weight.T).reshape(-1, 3, 4, 4)
        return images if labels is None else images * (1 - 2 * (labels % 2)).view(-1, 1, 1, 1)


def angles(ends: Ends) -> Tensor:
    return nn.functional.cosine_similarity(ends.first.double(), ends.last.double()).acos()


@pytest.mark.parametrize("sampling", ["full", "end"])
def test_a_linear_generator_on_the_sphere_moves_by_its_scale_and_the_angle(sampling: Literal["full", "end"]) -> None:
    """A great circle of radius sqrt(L) is walked at angle times sqrt(L); in [0, 1] images move half as far."""
    generator = Linear(LatentSpace(16, "sphere"))
    ends = draw_ends(generator, 200, seed=3)
    found = path_lengths(generator, PIXELS, ends, sampling=sampling, step=1e-3)
    expected = (0.02 / 2) ** 2 * 16 * angles(ends) ** 2
    torch.testing.assert_close(found, expected, rtol=5e-3, atol=0)


def test_a_linear_generator_of_uniform_latents_moves_by_the_straight_way() -> None:
    generator = Linear(LatentSpace(16, "uniform"))
    ends = draw_ends(generator, 200, seed=3)
    found = path_lengths(generator, PIXELS, ends, step=1e-3)
    torch.testing.assert_close(
        found, 0.01**2 * (ends.last - ends.first).double().square().sum(dim=1), rtol=5e-3, atol=0
    )


def test_the_paper_s_step_is_not_lost_in_the_rounding_of_float32() -> None:
    generator = Linear(LatentSpace(16, "sphere"))
    ends = draw_ends(generator, 500)
    expected = float((0.01**2 * 16 * angles(ends) ** 2).mean())
    assert float(path_lengths(generator, PIXELS, ends).mean()) == pytest.approx(expected, rel=5e-3)


def test_lengths_are_those_of_torch_fidelity_s_formula() -> None:
    """Its `ppl` of the same latents: squared distance from the start to epsilon on its slerp, over epsilon squared.

    The ends have one length each path: of others its slerp mixes the vectors, ours turns at an even rate.
    """
    generator = Linear(LatentSpace(8), scale=0.05)
    drawn = draw_ends(generator, 300, seed=1)
    lengths = [end.norm(dim=1, keepdim=True) for end in (drawn.first, drawn.last)]
    ends = Ends(drawn.first, drawn.last / lengths[1] * lengths[0], None)
    near = batch_slerp_any(ends.first.double(), ends.last.double(), 1e-2).float()
    with torch.no_grad():
        before, after = ((generator(latents) + 1) / 2 for latents in (ends.first, near))
    theirs = (before - after).flatten(1).double().square().sum(dim=1) / 1e-2**2
    found = path_lengths(generator, PIXELS, ends, sampling="end", step=1e-2)
    torch.testing.assert_close(found, theirs, rtol=1e-3, atol=0)


def test_a_path_depends_on_its_number_alone() -> None:
    generator = Linear(LatentSpace(8), num_classes=3)
    few, many = draw_ends(generator, 20, seed=2), draw_ends(generator, 50, seed=2)
    assert few.labels is not None
    assert many.labels is not None
    assert torch.equal(few.labels, many.labels[:20])
    assert set(few.labels.tolist()) == {0, 1, 2}
    one = path_lengths(generator, PIXELS, few, seed=2, batch_size=7)
    torch.testing.assert_close(path_lengths(generator, PIXELS, many, seed=2)[:20], one, rtol=1e-3, atol=0)


def test_points_on_a_path_are_those_of_the_ways_and_codes_stay() -> None:
    times = torch.tensor([0.0, 0.25, 1.0], dtype=torch.float64)
    space = LatentSpace(6, categorical=3, continuous=2)
    ends = draw_ends(Linear(space), 10)
    found = along(space, ends, times.expand(10, 3))
    first, last = ends.first.double(), ends.last.double()
    assert torch.equal(found[:, :, :3], first[:, None, :3].expand(-1, 3, -1))
    torch.testing.assert_close(found[:, :, 3:5], lerp(first[:, 3:5], last[:, 3:5], times))
    torch.testing.assert_close(found[:, :, 5:], slerp(first[:, 5:], last[:, 5:], times))
    own = along(space, ends, torch.rand(10, 1, generator=torch.Generator().manual_seed(0)))
    assert not torch.allclose(own[0, 0, 5:], found[0, 1, 5:])


def test_both_images_of_a_path_have_its_label() -> None:
    generator = Linear(LatentSpace(8), num_classes=2)
    ends = draw_ends(generator, 4)
    assert ends.labels is not None
    seen = look_along(generator, PIXELS, torch.stack([ends.first, ends.first], dim=1), ends.labels)
    assert torch.equal(seen[:, 0], seen[:, 1])
    assert not torch.allclose(seen[0], look_along(generator, PIXELS, ends.first[:, None], 1 - ends.labels)[0])


def test_trimming_keeps_the_percentiles_themselves() -> None:
    rng = np.random.default_rng(0)
    for count in (50, 101, 102, 1000):
        values = rng.lognormal(size=count)
        ordered = np.sort(values)
        cut = int(0.01 * (count - 1))  # places 1 % and 99 %, rounded outwards, are kept
        assert trimmed_mean(values) == pytest.approx(ordered[cut : count - cut].mean())
    assert trimmed_mean(np.array([1.0, 1.0, 4.0])) == 2.0


def test_one_outlier_does_not_matter() -> None:
    values = torch.rand(1000, generator=torch.Generator().manual_seed(0), dtype=torch.float64) + 1
    before = path_length(values)
    values[17] = 1e9
    assert path_length(values).value == pytest.approx(before.value, rel=2e-3)
    assert path_length(values).high < 2


def test_the_interval_covers_the_expectation() -> None:
    """Skewed lengths; the expectation of the trimmed mean at this number is known from many more of them."""
    rng = np.random.default_rng(1)
    expected = float(trimmed_mean(rng.lognormal(size=(20_000, 300))).mean())
    found = [path_length(torch.from_numpy(rng.lognormal(size=300)), seed=k, num_resamples=300) for k in range(150)]
    share = np.mean([one.low <= expected <= one.high for one in found])
    assert 0.9 <= share <= 0.99


def test_constant_and_single_lengths_have_no_interval() -> None:
    assert path_length(torch.zeros(10))[0] == 0
    assert np.isnan(path_length(torch.zeros(10)).low)
    assert np.isnan(path_length(torch.ones(1)).high)


def test_what_cannot_be_measured_is_refused() -> None:
    generator = Linear(LatentSpace(8))
    with pytest.raises(ValueError, match="step of a path length is 0"):
        path_lengths(generator, PIXELS, draw_ends(generator, 4), step=0)
    with pytest.raises(ValueError, match="NaN"):
        path_length(torch.tensor([1.0, float("nan")]))
