import math

import pytest
import torch

from attacks.random import normal
from evaluation.diversity import diversity
from evaluation.diversity.diversity import class_diversity, class_diversity_estimate, mean_distances, spread


def gaussian(seed, count, dim=4):
    return normal(seed, torch.arange(count), (dim,), dtype=torch.float64)


def test_mean_distances_are_those_to_all_others(monkeypatch):
    features = gaussian(0, 30) + 50
    expected = torch.cdist(features, features, compute_mode="donot_use_mm_for_euclid_dist").sum(dim=1) / 29
    assert torch.allclose(mean_distances(features), expected, rtol=1e-9)
    monkeypatch.setattr(diversity, "_CHUNK", 7)
    assert torch.allclose(mean_distances(features), expected, rtol=1e-9)


def test_the_estimate_is_the_ratio_of_the_spreads():
    fake, real = 0.5 * gaussian(0, 60), gaussian(1, 90)
    classes, labels = torch.arange(60) % 3, torch.arange(90) % 4  # the fourth class is never drawn
    expected = class_diversity(*(spread(part, of, num_classes=4) for part, of in ((fake, classes), (real, labels))))
    found = class_diversity_estimate(fake, classes, real, labels)
    assert found.value == pytest.approx(expected)
    assert found.low < 0.5 < found.high


def test_one_image_a_class_has_no_diversity():
    classes = torch.arange(40) % 4
    fake = gaussian(0, 4)[classes]
    assert class_diversity_estimate(fake, classes, gaussian(1, 40), classes) == pytest.approx((0, 0, 0))


def test_intervals_cover_the_expectation():
    classes, scale = torch.arange(60) % 2, torch.tensor([1.0, 3.0])[torch.arange(60) % 2, None]
    found = [
        class_diversity_estimate(0.7 * scale * gaussian(2 * seed, 60), classes, gaussian(2 * seed + 1, 60), classes)
        for seed in range(200)
    ]
    truth = sum(one.value for one in found) / len(found)
    assert truth == pytest.approx(0.7 * (1 + 3) / 2, rel=0.01)
    assert 0.91 <= sum(one.low <= truth <= one.high for one in found) / len(found) <= 0.995


def test_classes_of_a_few_images_do_not_count():
    assert math.isnan(
        class_diversity_estimate(gaussian(0, 4), torch.arange(4) % 2, gaussian(1, 4), torch.arange(4)).value
    )
