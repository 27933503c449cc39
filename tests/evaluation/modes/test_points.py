import math

import pytest
import torch
from torch import Tensor

from advgan.config import DataConfig
from advgan.data import load_data
from advgan.data.points import POINTS
from evaluation.features.features import Features, extract
from evaluation.modes.modes import label_agreement, modes, reverse_mode_divergence
from evaluation.modes.points import (
    captured_estimate,
    high_quality,
    mode_counts,
    mode_scores,
    modes_captured,
    points_extractor,
    reverse_kl,
)

RING = POINTS["ring"]


def seen(points: Tensor, name: str = "ring") -> Features:
    return extract(points_extractor(name), POINTS[name].images(points), batch_size=7)


def at(*placed: tuple[int, float]) -> Tensor:
    """Points so many standard deviations to the right of a mode."""
    return torch.tensor([(RING.means[mode][0] + away * RING.deviation, RING.means[mode][1]) for mode, away in placed])


def test_features_are_the_coordinates() -> None:
    points = torch.tensor([[0.3, -0.2], [5.0, -7.0]])
    assert torch.allclose(seen(points).values, points, atol=1e-5)


def test_high_quality_ends_at_three_deviations() -> None:
    found = seen(at((0, 0), (0, 2.99), (3, -2.99), (0, 3.01), (5, -3.01), (1, 40)))
    assert found.sure.tolist() == [True, True, True, False, False, False]
    assert found.classes[:3].tolist() == [0, 0, 3]
    assert found.probabilities[:3].amax(1).tolist() == [1, 1, 1]
    assert torch.equal(found.probabilities[3:], torch.full((3, 8), 1 / 8, dtype=torch.float64))
    assert mode_counts(found).tolist() == [2, 0, 0, 1, 0, 0, 0, 0]
    assert modes_captured(found) == 2
    assert high_quality(found).value == 0.5
    assert high_quality(found).low < 0.5 < high_quality(found).high


def test_the_reverse_divergence_of_hand_made_samples() -> None:
    assert reverse_kl(seen(at(*[(mode, 0) for mode in range(8)]))).value == pytest.approx(0, abs=1e-12)
    assert reverse_kl(seen(at((3, 0), (3, 1), (4, 50)))).value == pytest.approx(math.log(8))
    assert reverse_kl(seen(at((0, 0), (1, 0), (2, 0), (3, 0)))).value == pytest.approx(math.log(2))
    expected = 0.75 * math.log(8 * 0.75) + 0.25 * math.log(8 * 0.25)
    assert reverse_kl(seen(at((0, 0), (0, 1), (0, -1), (5, 0)))).value == pytest.approx(expected)
    assert math.isnan(reverse_kl(seen(at((0, 9), (1, 9)))).value)


@pytest.mark.parametrize("name", ["ring", "grid"])
def test_agreement_with_the_definition_point_by_point(name: str) -> None:
    known = POINTS[name]
    noise = torch.randn(600, 2, generator=torch.Generator().manual_seed(0))
    which = torch.randint(0, len(known.means) // 2, (600,), generator=torch.Generator().manual_seed(1))
    points = torch.tensor(known.means)[which] + 1.6 * known.deviation * noise
    counts = [0] * len(known.means)
    for x, y in points.double().tolist():
        distances = [math.hypot(x - a, y - b) / known.deviation for a, b in known.means]
        nearest = min(range(len(distances)), key=distances.__getitem__)
        counts[nearest] += distances[nearest] < 3
    shares = [count / sum(counts) for count in counts if count]
    entropy = -sum(share * math.log(share) for share in shares)
    found = seen(points, name)
    assert mode_counts(found).tolist() == counts
    assert 0.3 < high_quality(found).value == sum(counts) / 600 < 0.95
    assert reverse_kl(found).value == pytest.approx(math.log(len(known.means)) - entropy)


@pytest.mark.parametrize(("name", "share"), [("gaussian", math.erf(3 / 2**0.5)), ("ring", 1 - math.exp(-4.5))])
def test_true_points_are_of_high_quality_as_often_as_theory_says(name: str, share: float) -> None:
    found = extract(points_extractor(name), load_data(DataConfig(source=name)).test.unit())
    assert high_quality(found).low < share < high_quality(found).high
    assert modes_captured(found) == len(POINTS[name].means)
    assert reverse_kl(found).value < 3 * (len(POINTS[name].means) - 1) / (2 * 10_000) + 1e-12


def test_points_far_outside_count_for_no_mode() -> None:
    """Not even for the first one, which their equal probabilities would name."""
    real, fake = seen(at(*[(mode, 0) for mode in range(8)])), seen(at((2, 0), (3, 80), (4, 80), (5, 1)))
    assert modes(real, fake).fake_counts.tolist() == [0, 0, 1, 0, 0, 1, 0, 0]
    assert modes(real, fake).covered == 2
    assert modes(real, fake, confidence=0.0).covered == 3
    assert reverse_mode_divergence(modes(real, fake)).estimate.value == pytest.approx(math.log(4))
    assert label_agreement(fake, torch.tensor([2, 0, 0, 0])).value == 0.25
    nowhere = seen(at((3, 80), (4, 80)))
    assert math.isnan(reverse_mode_divergence(modes(real, nowhere)).estimate.value)


def test_scores_are_rows_with_their_protocol() -> None:
    rows = {score.metric: score for score in mode_scores(seen(at((0, 0), (1, 0), (2, 9))), subject="s", data="d")}
    assert set(rows) == {"modes_captured", "reverse_kl", "high_quality"}
    assert rows["modes_captured"].value == 2
    assert rows["reverse_kl"].value == pytest.approx(math.log(4))
    assert rows["high_quality"].value == pytest.approx(2 / 3)
    assert "3 standard deviations" in rows["high_quality"].protocol
    assert rows["modes_captured"].low <= 2 <= rows["modes_captured"].high <= 8
    assert rows["reverse_kl"].low < math.log(4) < rows["reverse_kl"].high <= math.log(8)


def test_points_lie_in_every_mode_beyond_doubt_when_there_are_thousands() -> None:
    found = extract(points_extractor("ring"), load_data(DataConfig(source="ring")).test.unit())
    assert captured_estimate(found) == pytest.approx((8, 8, 8))
    value, low, high = reverse_kl(found)
    assert 0 <= low < 7 / (2 * 10_000) < high
    assert low <= value <= high
