"""That the corruptions are those of CIFAR-10-C: each held against another implementation or its own definition."""

import colorsys
import math
from io import BytesIO
from itertools import pairwise

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import ndimage, stats
from torch import Tensor

from attacks.corruptions.corruption import CORRUPTIONS, SEVERITIES, corruption
from attacks.corruptions.filters import disk, gaussian_blur, motion_blur
from attacks.corruptions.noise import poisson
from attacks.corruptions.weather import plasma
from attacks.random import integers, uniform

INDICES = torch.arange(40)


def photographs(channels: int = 3, size: int = 32) -> Tensor:
    """Smooth random pictures with the contrast of photographs, float64."""
    noise = uniform(3, INDICES, (channels, size, size), dtype=torch.float64)
    smooth = torch.from_numpy(ndimage.gaussian_filter(noise.numpy(), (0, 0, 1.5, 1.5)))
    return (0.5 + 2.5 * (smooth - 0.5)).clamp(0, 1)


def corrupted(kind: str, images: Tensor, **options) -> Tensor:
    labels = torch.zeros(len(images), dtype=torch.int64)
    return corruption(None, images, labels, kind=kind, **options)  # the classifier is never asked


@pytest.mark.parametrize("kind", CORRUPTIONS)
def test_severity_makes_a_larger_change(kind) -> None:
    """Apart from those whose published severities trade one kind of damage for another."""
    images = photographs()
    sizes = [(corrupted(kind, images, severity=s) - images).flatten(1).norm(dim=1).mean().item() for s in SEVERITIES]
    assert min(sizes) > 0
    if kind == "elastic_transform":  # less of the affine map, more of the wandering of pixels
        assert sizes == sorted(sizes, reverse=True)
    elif kind == "glass_blur":  # more blur, which hides the scattering, then a second round of it
        assert max(sizes[:3]) < min(sizes[3:])
    elif kind == "frost":  # ever less of the picture under ever more frost, which brightens it less
        assert sizes[0] < min(sizes[1:])
    else:
        assert all(later >= earlier * 0.999 for earlier, later in pairwise(sizes))
        assert sizes[4] > 1.3 * sizes[0]


@pytest.mark.parametrize("kind", CORRUPTIONS)
@pytest.mark.parametrize(("channels", "size"), [(1, 8), (3, 8), (1, 28), (3, 64)])
def test_any_size_from_eight_pixels(kind, channels, size) -> None:
    images = photographs(channels, size)[:3].float()
    for severity in SEVERITIES:
        result = corrupted(kind, images, severity=severity)
        assert ((result >= 0) & (result <= 1)).all()
        assert result.shape == images.shape
        assert severity < 5 or not torch.equal(result, images)


@pytest.mark.parametrize(
    "kind", sorted(CORRUPTIONS.keys() - {"gaussian_noise", "shot_noise", "impulse_noise", "frost"})
)
def test_grey_is_three_equal_channels(kind) -> None:
    grey = photographs(1)[:8]
    colour = corrupted(kind, grey.expand(-1, 3, -1, -1))
    torch.testing.assert_close(corrupted(kind, grey), colour[:, :1], rtol=0, atol=0.02 if "jpeg" in kind else 1e-9)


def test_noises_have_the_published_size() -> None:
    grey = torch.full((40, 3, 32, 32), 0.4, dtype=torch.float64)
    for severity, deviation in enumerate((0.04, 0.06, 0.08, 0.09, 0.10), start=1):
        assert (corrupted("gaussian_noise", grey, severity=severity) - 0.4).std().item() == pytest.approx(
            deviation, rel=0.01
        )
    for severity, photons in enumerate((500, 250, 100, 75, 50), start=1):
        noise = corrupted("shot_noise", grey, severity=severity)
        assert noise.mean().item() == pytest.approx(0.4, abs=2e-3)
        assert noise.std().item() == pytest.approx(math.sqrt(0.4 / photons), rel=0.02)
        torch.testing.assert_close(noise * photons, (noise * photons).round())
    for severity, share in enumerate((0.01, 0.02, 0.03, 0.05, 0.07), start=1):
        noise = corrupted("impulse_noise", grey, severity=severity)
        assert (noise == 0).double().mean().item() == pytest.approx(share / 2, rel=0.1)
        assert (noise == 1).double().mean().item() == pytest.approx(share / 2, rel=0.1)


@pytest.mark.parametrize("rate", [0.0, 1e-3, 0.3, 1.0, 5.0, 30.0, 500.0])
def test_poisson_counts_are_the_quantiles_of_scipy(rate) -> None:
    values = torch.cat([torch.linspace(1e-7, 1 - 1e-7, 3001), torch.tensor([2.0**-24, 1 - 2.0**-24])]).double()
    expected = stats.poisson.ppf(values.numpy(), max(rate, 1e-12))
    np.testing.assert_array_equal(poisson(values, torch.full_like(values, rate)).numpy(), expected)


def test_defocus_is_the_smoothed_disk_of_the_paper() -> None:
    axis = np.arange(-8, 9)
    for severity, (radius, sigma) in enumerate(((0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1, 0.2), (1.5, 0.1)), start=1):
        aliased = (axis[:, None] ** 2 + axis**2 <= radius**2).astype(float)
        weights = np.exp(-(np.arange(-1, 2) ** 2) / (2 * sigma**2))
        smoothing = np.outer(weights, weights) / weights.sum() ** 2
        kernel = ndimage.correlate(aliased / aliased.sum(), smoothing, mode="constant")
        image = photographs()[0, 0]
        expected = ndimage.correlate(image.numpy(), kernel, mode="mirror")
        found = corrupted("defocus_blur", image[None, None], severity=severity)[0, 0]
        np.testing.assert_allclose(found.numpy(), expected, atol=1e-9)
    assert sum(weight for *_, weight in disk(9.0, 0.5)) == pytest.approx(1)


def test_a_gaussian_is_that_of_scipy() -> None:
    image = photographs()[0, 0]
    expected = ndimage.gaussian_filter(image.numpy(), 1.7, mode="mirror", truncate=4)
    np.testing.assert_allclose(gaussian_blur(image[None, None], 1.7)[0, 0].numpy(), expected, atol=1e-9)


def test_glass_takes_each_pixel_from_beside_or_above() -> None:
    """Severity 1 hardly blurs, and so shows what the loop of the paper's code does: it copies, not swaps."""
    ramp = torch.arange(1024, dtype=torch.float64).reshape(1, 1, 32, 32) / 1024
    found = (corrupted("glass_blur", ramp, severity=1) * 1024).round().long()[0, 0]
    offsets = (torch.arange(1024).reshape(32, 32) - found).flatten()
    assert set(offsets.tolist()) == {0, 1, 32, 33}
    assert torch.bincount(offsets)[[0, 1, 32, 33]].min() > 180


def test_motion_smears_along_its_direction_by_half_a_gaussian() -> None:
    image = torch.zeros(3, 1, 31, 31, dtype=torch.float64)
    image[:, :, 15, 15] = 1
    blurred = motion_blur(image, radius=4, sigma=2.0, degrees=torch.tensor([0.0, 90.0, -45.0]))
    weights = np.exp(-(np.arange(9) ** 2) / 8)
    np.testing.assert_allclose(blurred[0, 0, 15, 7:16].flip(0).numpy(), weights / weights.sum(), atol=1e-12)
    np.testing.assert_allclose(blurred[1, 0, 7:16, 15].flip(0).numpy(), weights / weights.sum(), atol=1e-12)
    assert blurred[2, 0, 15:, :16].sum().item() == pytest.approx(1)
    torch.testing.assert_close(blurred.sum(dim=(1, 2, 3)), torch.ones(3, dtype=torch.float64))


def test_zoom_is_the_mean_of_enlargements() -> None:
    images = photographs()[:2]
    expected = 2 * images.numpy()
    centre = np.arange(32) - 15.5
    for step in range(1, 12):
        places = centre / (1 + step / 100) + 15.5
        for n in range(2):
            for c in range(3):
                where = np.meshgrid(places, places, indexing="ij")
                expected[n, c] += ndimage.map_coordinates(images[n, c].numpy(), where, order=1)
    np.testing.assert_allclose(corrupted("zoom_blur", images, severity=2).numpy(), expected / 13, atol=1e-9)


def test_plasma_is_the_diamond_square_of_the_paper() -> None:
    """Against its loop over single points of a map that wraps around."""
    size, decay = 32, 2.5
    noise = 2 * uniform(7, INDICES[:1], (size, size), stream=2, dtype=torch.float64)[0].numpy() - 1
    heights, step, strength = np.zeros((size, size)), size, 1.0
    while step >= 2:
        half = step // 2
        for y in range(half, size, step):
            for x in range(half, size, step):
                around = [(y - half, x - half), (y - half, x + half), (y + half, x - half), (y + half, x + half)]
                heights[y, x] = np.mean([heights[a % size, b % size] for a, b in around]) + strength * noise[y, x]
        for y in range(0, size, half):
            for x in range(0, size, half):
                if (y % step == 0) != (x % step == 0):
                    around = [(y - half, x), (y + half, x), (y, x - half), (y, x + half)]
                    heights[y, x] = np.mean([heights[a % size, b % size] for a, b in around]) + strength * noise[y, x]
        step, strength = half, strength / decay**2
    heights = (heights - heights.min()) / (heights.max() - heights.min())
    found = plasma(photographs()[:1], 7, INDICES[:1], decay=decay)[0, 0].numpy()
    np.testing.assert_allclose(found, heights, atol=1e-9)


def test_fog_dims_so_that_the_brightest_pixel_keeps_its_place() -> None:
    images = photographs()
    clouds = plasma(images, 0, INDICES, decay=2.5)
    highest = images.amax(dim=(1, 2, 3), keepdim=True)
    expected = ((images + 0.75 * clouds) * highest / (highest + 0.75)).clamp(0, 1)
    torch.testing.assert_close(corrupted("fog", images, severity=3), expected)


def test_brightness_raises_the_value_of_hsv() -> None:
    image = photographs()[0]
    image[:, 0, 0] = 0
    found = corrupted("brightness", image[None], severity=4)[0]
    for y, x in ((0, 0), (3, 7), (20, 11)):
        hue, saturation, value = colorsys.rgb_to_hsv(*image[:, y, x].tolist())
        expected = colorsys.hsv_to_rgb(hue, saturation, min(value + 0.2, 1))
        assert found[:, y, x].tolist() == pytest.approx(expected)


def test_contrast_keeps_means() -> None:
    images = photographs()
    found = corrupted("contrast", images, severity=5)
    torch.testing.assert_close(found.mean(dim=(2, 3)), images.mean(dim=(2, 3)))
    torch.testing.assert_close(found.std(dim=(2, 3)), 0.15 * images.std(dim=(2, 3)))


@pytest.mark.parametrize("severity", SEVERITIES)
def test_pixelate_and_jpeg_are_those_of_pillow(severity) -> None:
    pixels = (photographs()[0] * 255).round()
    picture = Image.fromarray(pixels.permute(1, 2, 0).numpy().astype(np.uint8))
    small = int(32 * (0.95, 0.9, 0.85, 0.75, 0.65)[severity - 1])
    boxes = picture.resize((small, small), Image.Resampling.BOX).resize((32, 32), Image.Resampling.BOX)
    found = corrupted("pixelate", pixels[None] / 255, severity=severity)[0] * 255
    assert np.abs(found.permute(1, 2, 0).numpy() - np.asarray(boxes)).max() < 1.001  # Pillow rounds twice
    file = BytesIO()
    picture.save(file, "JPEG", quality=(80, 65, 58, 50, 40)[severity - 1])
    found = corrupted("jpeg_compression", pixels[None] / 255, severity=severity)[0] * 255
    np.testing.assert_allclose(found.permute(1, 2, 0).numpy(), np.asarray(Image.open(file)), atol=1e-9)


def test_elastic_moves_pixels_by_what_was_published() -> None:
    """A picture of its own coordinates shows where each pixel was read: by at most 0.08 of the side at severity 1."""
    axis = torch.linspace(0.2, 0.8, 32, dtype=torch.float64)
    ramps = torch.stack([axis[:, None].expand(32, 32), axis.expand(32, 32), torch.zeros(32, 32)]).expand(40, -1, -1, -1)
    moved = (corrupted("elastic_transform", ramps, severity=1) - ramps)[:, :2, 4:28, 4:28] / (axis[1] - axis[0])
    pulled = moved[:, :, 25 - 4, 25 - 4]
    assert 2 < pulled.abs().amax().item() <= 0.08 * 32 * 1.1
    wander = (corrupted("elastic_transform", ramps, severity=5) - ramps)[:, :2, 6:26, 6:26] / (axis[1] - axis[0])
    second = wander.diff(n=2, dim=2)  # the affine part has none
    assert second.std() > 10 * moved.diff(n=2, dim=2).std()


def test_frost_lies_over_the_picture() -> None:
    black = torch.zeros(40, 3, 32, 32, dtype=torch.float64)
    for severity, weight in enumerate((0.2, 0.3, 0.4, 0.4, 0.45), start=1):
        crystals = corrupted("frost", black, severity=severity) / weight
        assert (crystals.amin() > 0.2) & (crystals.amax() <= 1)
        assert 0.4 < crystals.mean() < 0.8
        assert crystals.std(dim=(2, 3)).mean() > 0.1


def test_pictures_of_other_kinds_are_refused() -> None:
    images, labels = torch.zeros(2, 3, 32, 32), integers(0, torch.arange(2), 3)
    for options, message in (
        ({"kind": "rain"}, "unknown corruption 'rain': choose from gaussian_noise, shot_noise"),
        ({"kind": "fog", "severity": 6}, "severity must be a whole number from 1 to 5; got 6"),
    ):
        with pytest.raises(ValueError, match=message):
            corruption(None, images, labels, **options)
    for wrong in (images[:, :2], images[..., :7]):
        with pytest.raises(ValueError, match="corruptions need 1 or 3 channels and at least 8 pixels a side"):
            corruption(None, wrong, labels, kind="fog")
