"""Intervals of neighbourhood scores: how often they hold what they should."""

import math

import numpy as np
import pytest
import torch

from attacks.random import normal
from evaluation.features.tiles import clouds
from evaluation.neighbourhoods.half_splits import Near, design_effects
from evaluation.neighbourhoods.precision_recall import neighbourhoods, precision_recall
from evaluation.statistics.share_intervals import mean_count, share


def gaussian(seed, count, dim, *, scale=1.0, shift=0.0):
    return scale * normal(seed, torch.arange(count), (dim,), dtype=torch.float64) + shift


def held(scores):
    """Share of intervals that hold the mean of all values, by score."""
    found = {}
    for name in scores[0]:
        middle = sum(score[name].value for score in scores) / len(scores)
        found[name] = sum(score[name].low <= middle <= score[name].high for score in scores) / len(scores)
    return found


CASES = {  # real, fake, dimensions, and what is done to the fakes
    "equal in 2": (200, 150, 2, {}),
    "equal in 8": (150, 300, 8, {}),
    "equal in 32": (200, 200, 32, {}),
    "narrow in 8": (200, 200, 8, {"scale": 0.6}),
    "wide in 8": (200, 150, 8, {"scale": 1.5}),
    "shifted in 32": (200, 150, 32, {"shift": 0.4}),
    "narrow in 64": (200, 150, 64, {"scale": 0.8}),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_intervals_hold_the_expectation_95_times_in_100(name):
    """Over 400 data sets; only at 0 and 1 themselves, where few values are possible, oftener."""
    real, fake, dim, change = CASES[name]
    scores = [
        precision_recall(gaussian(2 * trial, real, dim), gaussian(2 * trial + 1, fake, dim, **change), seed=trial)
        for trial in range(400)
    ]
    for score, share_held in held(scores).items():
        values = {found[score].value for found in scores}
        assert 0.92 <= share_held <= (0.98 if len(values) > 12 else 1), (score, share_held)


def test_design_effects_are_those_of_simulation():
    """Precision with 100 reals and 200 fakes varies as if there were half as many: simulated once, 400 sets."""
    effects = [
        design_effects(gaussian(2 * t, 150, 8), gaussian(2 * t + 1, 300, 8), manifold=3, density=5, seed=t)
        for t in range(10)
    ]
    mean = [sum(values) / 10 for values in zip(*effects, strict=True)]
    assert mean[:3] == pytest.approx([1.94, 1.24, 1.32], rel=0.25)


def test_the_interval_of_density_is_as_wide_as_simulation_says():
    """Mostly by the 60 reals: 2.3 times the standard deviation each way for the quantile of so few."""
    sets = [(gaussian(2 * trial, 60, 4), gaussian(2 * trial + 1, 600, 4)) for trial in range(100)]
    deviation = torch.stack([neighbourhoods(*pair).density.mean() for pair in sets]).std()
    found = [precision_recall(*pair)["density"] for pair in sets[:8]]
    width = sum(estimate.high - estimate.low for estimate in found) / 8
    assert width / 4 == pytest.approx(float(deviation), rel=0.2)


def test_a_ball_ends_before_the_kth_neighbour_that_is_in_the_same_half():
    """Of its four neighbours the second and the fourth are with it: 3 may be nearer than a point in a ball of 2."""
    (cloud,) = clouds(torch.arange(5.0)[:, None] ** 2)
    together = np.array([[0, 1, 0, 1]], dtype=np.uint64)
    assert (Near(cloud).balls(together, 2) & np.uint64(1)).tolist() == [[1, 1, 1, 1, 0]]
    assert (Near(cloud).balls(together, 1) & np.uint64(1)).tolist() == [[1, 1, 0, 0, 0]]
    assert Near(cloud).rank(np.array([0, 0]), np.array([1.0, 1.1]) * cloud.scale**2).tolist() == [0, 1]


def test_the_seed_deals_the_halves_and_nothing_else():
    real, fake = gaussian(0, 80, 4), gaussian(1, 60, 4)
    first, again, other = (precision_recall(real, fake, seed=seed) for seed in (0, 0, 1))
    assert first == again
    assert {name: found.value for name, found in first.items()} == {name: f.value for name, f in other.items()}
    assert first["precision"] != other["precision"]


def test_an_interval_lies_within_what_is_possible():
    far = precision_recall(gaussian(0, 60, 4), gaussian(1, 60, 4, shift=100.0))
    assert all(found.value == found.low == 0 < found.high < 0.2 for found in far.values())
    same = precision_recall(gaussian(0, 60, 4), gaussian(0, 60, 4))
    assert all(0.8 < same[name].low < same[name].value == same[name].high == 1 for name in ("precision", "recall"))


@pytest.mark.parametrize("sizes", [(6, 6), (7, 40), (40, 9)])
def test_small_sets_have_intervals_too(sizes):
    for found in precision_recall(gaussian(0, sizes[0], 3), gaussian(1, sizes[1], 3)).values():
        assert 0 <= found.low <= found.value <= found.high < math.inf


def test_large_sets_are_cut_in_proportion():
    real, fake = gaussian(0, 4200, 3), gaussian(1, 1400, 3)
    effects = design_effects(real, fake, manifold=3, density=5, seed=0)
    assert 1.5 < effects.recall < 6  # each fake counts for three reals


def test_a_design_effect_of_1_gives_wilsons_interval():
    flags = torch.arange(100_000) % 4 == 0
    found = share(flags, 1.0, others=10**9)
    assert (found.low, found.high) == pytest.approx((0.247327, 0.252693), abs=1e-5)


def test_a_share_of_four_times_the_variance_has_twice_the_interval():
    flags = torch.arange(100_000) % 4 == 0
    one, four = (share(flags, effect, others=10**9) for effect in (1.0, 4.0))
    assert (four.high - four.low) / (one.high - one.low) == pytest.approx(2, rel=1e-3)


def test_a_mean_of_counts_has_the_usual_interval_where_there_are_many():
    counts = (torch.arange(100_000) % 3).double()
    found = mean_count(counts, 0.0, others=10**9)
    margin = 1.96 * float(counts.std()) / math.sqrt(100_000)
    assert (found.low, found.high) == pytest.approx((1 - margin, 1 + margin), abs=1e-4)
    assert mean_count(counts, 1.0, others=1000).high - 1 == pytest.approx(1.96 / math.sqrt(1000), rel=0.05)
