import math

import numpy as np
import pytest
import torch

from evaluation.fidelity.frechet import frechet_distance, frechet_from_statistics
from evaluation.fidelity.frechet_interval import frechet_estimate, frechet_noise, pulls


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def spectrum_of(dim, decay=0.0):
    return torch.arange(1, dim + 1, dtype=torch.float64) ** -float(decay)


def drawn(count, spectrum, generator, *, shift=0.0):
    return (torch.randn(count, len(spectrum), dtype=torch.float64, generator=generator) + shift) * spectrum.sqrt()


def centred(features):
    return features - features.mean(dim=0)


def moments(features, weights):
    """Mean and covariance of rows of these weights; of weights 1 they are the usual, the covariance over N - 1."""
    count, shares = len(features), weights / weights.sum()
    mean = shares @ features
    rows = features - mean
    return mean, rows.T @ (shares[:, None] * rows) * count / (count - 1)


def slopes(real, fake, side, step=1e-4):
    """Derivative of the distance by the weight of each row of one set, by differences, about their mean."""
    found = []
    for row in range(len((real, fake)[side])):
        values = []
        for change in (step, -step):
            weights = [torch.ones(len(features), dtype=torch.float64) for features in (real, fake)]
            weights[side][row] += change
            pairs = [moments(features, own) for features, own in zip((real, fake), weights, strict=True)]
            values.append(frechet_from_statistics(*pairs))
        found.append((values[0] - values[1]) / (2 * step))
    return centred(torch.tensor(found, dtype=torch.float64)) * len(found)


@pytest.mark.parametrize("counts", [(20, 15), (15, 8), (7, 9)])
def test_a_pull_is_the_derivative_of_the_distance_by_a_rows_weight(counts):
    """Of few rows, whose covariance is singular, too."""
    generator = seeded()
    real = centred(drawn(counts[0], spectrum_of(10, 1), generator))
    fake = centred(drawn(counts[1], spectrum_of(10, 0.5), generator))
    found = pulls(real, fake)
    for side, pulled in enumerate((found.real, found.fake)):
        expected = centred(pulled) * len(pulled) / (len(pulled) - 1)  # as the covariance is over N - 1
        assert torch.allclose(slopes(real, fake, side), expected, rtol=1e-3, atol=1e-3)


def test_the_pull_on_the_gap_of_the_means_is_their_derivative():
    """Of one column, with equal variances: the map between them is a shift, and only the gap is left to pull at."""
    real = drawn(40, spectrum_of(1), seeded())
    found = pulls(real, real + 3)
    assert torch.allclose(found.real, -6 * centred(real).squeeze(), atol=1e-9)
    assert torch.allclose(found.fake, 6 * centred(real).squeeze(), atol=1e-9)


def test_columns_that_depend_on_each_other_do_not_change_the_pulls():
    generator = seeded()
    real, fake = drawn(60, spectrum_of(5), generator), drawn(50, spectrum_of(5), generator, shift=0.3)
    mix = torch.linalg.qr(torch.randn(12, 5, dtype=torch.float64, generator=generator))[0].T
    inside, embedded = pulls(real, fake), pulls(real @ mix, fake @ mix)
    assert torch.allclose(inside.real, embedded.real, atol=1e-6)
    assert torch.allclose(inside.fake, embedded.fake, atol=1e-6)


def test_the_pulls_of_some_rows_are_those_of_all():
    generator = seeded()
    real, fake = drawn(200, spectrum_of(6), generator), drawn(150, spectrum_of(6), generator)
    some, every = pulls(real, fake, most=40), pulls(real, fake)
    assert len(some.real) == len(some.fake) == 40
    assert all(bool((every.real - pull).abs().min() < 1e-12) for pull in some.real)


def test_far_apart_the_variance_is_that_of_the_gap_of_the_means():
    """4 |gap|^2 (1/N + 1/M) for variance 1 in every direction."""
    generator = seeded()
    real, fake = drawn(2000, spectrum_of(4), generator), drawn(1000, spectrum_of(4), generator, shift=50.0)
    noise = frechet_noise(real, fake)
    assert noise.linear + noise.quadratic == pytest.approx(4 * 4 * 50**2 * (1 / 2000 + 1 / 1000), rel=0.1)


def test_at_equal_distributions_only_half_of_the_jackknifes_variance_counts():
    """Whose other half is the quadratic form's variance a second time: fresh samples say so."""
    generator = seeded()
    pairs = [(drawn(250, spectrum_of(16), generator), drawn(250, spectrum_of(16), generator)) for _ in range(200)]
    spread = np.var([frechet_distance(real, fake) for real, fake in pairs])
    noises = [frechet_noise(real, fake) for real, fake in pairs[:40]]
    assert np.mean([noise.linear + noise.quadratic for noise in noises]) == pytest.approx(spread, rel=0.35)
    assert np.mean([noise.linear + 2 * noise.quadratic for noise in noises]) > 1.6 * spread


def test_it_is_a_function_of_the_seed_and_agrees_with_the_distance():
    real, fake = drawn(100, spectrum_of(8), seeded()), drawn(90, spectrum_of(8), seeded(1), shift=0.2)
    estimate = frechet_estimate(real, fake, seed=3)
    assert estimate == frechet_estimate(real, fake, seed=3)
    assert estimate.value == frechet_distance(real, fake)
    assert 0 < estimate.low < estimate.value < estimate.high


def test_below_8_rows_and_at_distance_0_there_is_a_value_without_an_interval():
    real = drawn(7, spectrum_of(4), seeded())
    for estimate in (frechet_estimate(real, real + 1), frechet_estimate(torch.zeros(9, 2), torch.zeros(9, 2))):
        assert math.isfinite(estimate.value)
        assert math.isnan(estimate.low)


def test_constant_sets_apart_have_no_noise():
    assert frechet_estimate(torch.zeros(9, 3), torch.ones(9, 3)) == (3.0, 3.0, 3.0)


def coverage(dim, decay, counts, alternative, trials):
    spectrum, generator = spectrum_of(dim, decay), seeded()
    other, shift = spectrum.clone(), 0.0
    if alternative == "shifted":
        shift = 0.3
    if alternative == "scaled":
        other *= 1.5
    if alternative == "collapsed":
        other[dim // 2 :] *= 0.1
    found = np.array(
        [
            frechet_estimate(drawn(counts[0], spectrum, generator), drawn(counts[1], other, generator, shift=shift))
            for _ in range(trials)
        ]
    )
    expectation = found[:, 0].mean()
    return float(((found[:, 1] < expectation) & (expectation < found[:, 2])).mean())


ALTERNATIVES = ("equal", "shifted", "scaled", "collapsed")


@pytest.mark.parametrize("alternative", ALTERNATIVES)
@pytest.mark.parametrize("counts", [(20, 20), (70, 60)])
def test_the_interval_holds_the_expectation_at_these_sample_sizes(alternative, counts):
    assert coverage(32, 0, counts, alternative, trials=50) >= 0.86


@pytest.mark.slow
@pytest.mark.parametrize("alternative", ALTERNATIVES)
@pytest.mark.parametrize("counts", [(32, 32), (32, 256), (64, 64), (128, 192), (640, 640)])
@pytest.mark.parametrize("decay", [0, 1])
def test_it_holds_it_in_92_to_98_percent_of_400_data_sets(decay, counts, alternative):
    """Of 400 a share has a standard error of 1.1 %, which the ends allow for once.

    With 1/k a few columns make the noise, which is then skewed: a shift or a scale along them comes out at 90 %.
    """
    least = 0.88 if decay == 1 and alternative in ("shifted", "scaled") else 0.909
    assert least <= coverage(64, decay, counts, alternative, trials=400) <= 0.989
