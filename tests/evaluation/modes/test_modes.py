import math

import pytest
import torch
from torch import Tensor

from evaluation.features.features import Features
from evaluation.modes.modes import (
    covered_estimate,
    high_quality_share,
    label_agreement,
    modes,
    reverse_mode_divergence,
    shuffled_agreement,
)
from evaluation.statistics.histograms import reverse_divergence


def features(classes, num_classes=4, confidence=1.0):
    """Features of images that the classifier assigns so, with that confidence."""
    probabilities = torch.full((len(classes), num_classes), (1 - confidence) / (num_classes - 1), dtype=torch.float64)
    probabilities[torch.arange(len(classes)), torch.tensor(classes)] = confidence
    return Features(torch.zeros(len(classes), 2), probabilities, "classifier", "0")


def test_histograms_hits_and_misses():
    found = modes(features([0, 1, 2, 3] * 5), features([0] * 7 + [2]))
    assert found.real_counts.tolist() == [5, 5, 5, 5]
    assert found.fake_counts.tolist() == [7, 0, 1, 0]
    assert (found.covered, found.missed) == (2, [1, 3])


def test_a_hit_takes_as_many_and_as_sure_images_as_are_asked_for():
    real, fake = features([0, 1, 2, 3]), features([0] * 7 + [2], confidence=0.6)
    assert modes(real, fake, least=2).covered == 1
    assert modes(real, fake, confidence=0.59).covered == 2
    assert modes(real, fake, confidence=0.61).covered == 0


def test_a_class_without_real_images_is_neither_covered_nor_missed():
    found = modes(features([0, 1]), features([0, 3]))
    assert (found.covered, found.missed) == (1, [1])


def divergence(real: Tensor, fake: Tensor) -> float:
    """Of two sets of class numbers."""
    return float(reverse_divergence(real.bincount(minlength=4), fake.bincount(minlength=4)))


def test_the_divergence_is_that_of_the_fakes_from_the_reals():
    real, fake = torch.tensor([0, 0, 0, 1]), torch.tensor([0, 1])
    assert divergence(real, fake) == pytest.approx(0.5 * math.log(0.5 / 0.75) + 0.5 * math.log(0.5 / 0.25))
    assert divergence(real, real) == 0
    assert divergence(torch.tensor([0, 1, 2, 3]), torch.tensor([2, 2])) == pytest.approx(math.log(4))


def test_a_class_that_no_real_image_has_makes_it_infinite_without_an_interval():
    estimate = reverse_mode_divergence(modes(features([0, 1] * 10), features([0, 3] * 10))).estimate
    assert estimate.value == math.inf
    assert math.isnan(estimate.low)


def test_its_interval_is_as_wide_as_the_spread_of_fresh_samples():
    generator = torch.Generator().manual_seed(0)
    real_shares, fake_shares = torch.tensor([0.4, 0.3, 0.2, 0.1]), torch.tensor([0.1, 0.1, 0.1, 0.7])
    values, widths = [], []
    for _ in range(60):
        real = torch.multinomial(real_shares, 400, replacement=True, generator=generator).tolist()
        fake = torch.multinomial(fake_shares, 300, replacement=True, generator=generator).tolist()
        estimate = reverse_mode_divergence(modes(features(real), features(fake))).estimate
        assert 0 <= estimate.low <= estimate.value <= estimate.high
        values.append(estimate.value)
        widths.append(estimate.high - estimate.low)
    assert sum(widths) / 60 == pytest.approx(2 * 1.96 * torch.tensor(values).std().item(), rel=0.25)


def test_equal_distributions_diverge_by_the_bias_that_is_stated():
    generator = torch.Generator().manual_seed(0)
    draws = [torch.randint(0, 4, (200,), generator=generator) for _ in range(200)]
    average = sum(divergence(a, b) for a, b in zip(draws[::2], draws[1::2], strict=True)) / 100
    assert average == pytest.approx(3 * (1 / 200 + 1 / 200) / 2, rel=0.25)


def test_label_agreement_counts_the_images_of_the_wanted_class():
    fake = features([0, 1, 2, 3])
    assert label_agreement(fake, torch.tensor([0, 1, 2, 0])).value == 0.75
    with pytest.raises(ValueError, match="as many labels"):
        label_agreement(fake, torch.tensor([0]))


def test_shuffled_labels_agree_by_chance_and_keep_their_shares():
    labels = torch.arange(4).repeat(500)
    fake = features(labels.tolist())
    assert label_agreement(fake, labels).value == 1
    found = shuffled_agreement(fake, labels)
    assert found.low < 0.25 < found.high
    assert shuffled_agreement(features([2] * 100), torch.full((100,), 2)).value == 1


def test_covered_classes_have_an_interval_and_those_without_real_images_do_not_count():
    found = covered_estimate(modes(features([0, 1, 2] * 9), features([0] * 40 + [1, 1] + [3] * 5)))
    assert found.value == 2
    assert found.low < 2 < found.high <= 3


def test_high_quality_is_a_share_of_sure_images():
    seen = features([0, 1, 2, 3] * 5, confidence=0.85)
    assert high_quality_share(seen).value == 0
    assert high_quality_share(seen, confidence=0.85).value == 1
    with pytest.raises(ValueError, match="it is a probability"):
        high_quality_share(seen, confidence=1.1)
