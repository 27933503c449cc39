import math

import numpy as np
import pytest
import torch
from scipy.signal import convolve2d

from attacks.random import normal, uniform
from evaluation.diversity.ms_ssim import WEIGHTS, class_pairs, ms_ssim, num_scales, pairs_mean


def images(seed, size, channels=1, count=2):
    return uniform(seed, torch.arange(count), (channels, size, size), dtype=torch.float64)


def by_definition(first, second, scales, window=11):
    """Of two grey images (H, W), with scipy's convolution."""
    places = np.arange(window) - (window - 1) / 2
    kernel = np.outer(*[np.exp(-(places**2) / (2 * 1.5**2))] * 2)
    kernel /= kernel.sum()
    weights = np.array(WEIGHTS[:scales]) / sum(WEIGHTS[:scales])
    product = 1.0
    for scale in range(scales):
        mean, other = (convolve2d(image, kernel, mode="valid") for image in (first, second))
        variance, spread = (
            convolve2d(image**2, kernel, mode="valid") - centre**2 for image, centre in ((first, mean), (second, other))
        )
        covariance = convolve2d(first * second, kernel, mode="valid") - mean * other
        shown = (2 * covariance + 0.03**2) / (variance + spread + 0.03**2)
        if scale == scales - 1:
            shown = shown * (2 * mean * other + 0.01**2) / (mean**2 + other**2 + 0.01**2)
        product *= shown.mean() ** weights[scale]
        first, second = (
            image[: len(image) // 2 * 2, : len(image) // 2 * 2].reshape(len(image) // 2, 2, -1, 2).mean(axis=(1, 3))
            for image in (first, second)
        )
    return product


def test_an_image_is_as_similar_to_itself_as_can_be():
    assert ms_ssim(images(0, 32, 3), images(0, 32, 3)).tolist() == pytest.approx([1, 1])
    assert ms_ssim(torch.zeros(1, 1, 8, 8), torch.zeros(1, 1, 8, 8)).tolist() == [1]


@pytest.mark.parametrize(("size", "scales"), [(28, 2), (32, 2), (50, 3), (176, 5)])
def test_it_equals_the_formula_at_every_size(size, scales):
    first = images(0, size)
    second = 0.7 * first + 0.3 * images(1, size)
    expected = [by_definition(*(part[row, 0].numpy() for part in (first, second)), scales) for row in range(2)]
    assert num_scales(size) == scales
    assert ms_ssim(first, second).tolist() == pytest.approx(expected, rel=1e-10)


def test_small_images_have_one_scale_and_a_smaller_window():
    first, second = images(0, 8), (images(0, 8) + images(1, 8)) / 2
    expected = by_definition(first[0, 0].numpy(), second[0, 0].numpy(), 1, window=7)
    assert ms_ssim(first, second)[0] == pytest.approx(expected)


def test_constant_images_differ_in_luminance_alone():
    dark, light = torch.full((1, 1, 11, 11), 0.25), torch.full((1, 1, 11, 11), 0.5)
    assert float(ms_ssim(dark, light)) == pytest.approx((0.25 + 1e-4) / (0.3125 + 1e-4), rel=1e-6)


def test_opposite_images_have_no_similarity_and_no_nan():
    first = images(0, 32)
    assert ms_ssim(first, 1 - first).tolist() == [0, 0]


def test_bytes_are_the_same_images():
    levels = (255 * images(0, 28, 3)).round(), (255 * images(1, 28, 3)).round()
    expected = ms_ssim(*(part / 255 for part in levels))
    assert torch.allclose(ms_ssim(*(part.to(torch.uint8) for part in levels)), expected, atol=1e-12)
    with pytest.raises(ValueError, match="one shape"):
        ms_ssim(images(0, 28), images(0, 32))


def test_pairs_are_of_one_class_and_share_no_image():
    classes = torch.tensor([0, 1, 2, 1] * 30 + [3])
    pairs = class_pairs(classes, most=20, seed=4)
    assert torch.equal(classes[pairs.first], classes[pairs.second])
    assert torch.equal(classes[pairs.first], pairs.classes)
    assert pairs.classes.bincount(minlength=4).tolist() == [15, 20, 15, 0]
    assert len(torch.cat(pairs[:2]).unique()) == 100
    assert not torch.equal(class_pairs(classes, most=20, seed=5).first, pairs.first)


def test_the_mean_over_classes_is_covered_by_its_interval():
    classes = torch.tensor([0] * 30 + [1] * 10 + [2])
    hits = []
    for seed in range(300):
        values = classes + normal(seed, torch.arange(41), (), dtype=torch.float64) * (1 + classes)
        found = pairs_mean(values, classes)  # the class of one pair is out
        hits.append(found.low <= 0.5 <= found.high)
    assert 0.90 < np.mean(hits) < 0.98
    assert math.isnan(pairs_mean(torch.ones(1), torch.zeros(1)).value)
