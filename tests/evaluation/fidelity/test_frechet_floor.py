import math

import numpy as np
import pytest
import torch

from evaluation.features.moments import Moments
from evaluation.fidelity.frechet import frechet_distance
from evaluation.fidelity.frechet_floor import (
    expected_distance,
    floor_from_covariance,
    frechet_floor,
    frechet_floor_estimate,
)
from evaluation.fidelity.population_spectrum import Spectrum, companion_bias, population_spectrum

SPECTRA = {
    "flat": lambda dim: torch.ones(dim, dtype=torch.float64),
    "1/k": lambda dim: 1 / torch.arange(1, dim + 1, dtype=torch.float64),
    "1/k^2": lambda dim: 1 / torch.arange(1, dim + 1, dtype=torch.float64) ** 2,
    "exponential": lambda dim: torch.exp(-0.2 * torch.arange(dim, dtype=torch.float64)),
}


FLOORS = 25
"""Trials whose floor is computed: each knows it to a few per cent, and to less where rows are many."""


def drawn(count, spectrum, generator):
    return torch.randn(count, len(spectrum), dtype=torch.float64, generator=generator) * spectrum.sqrt()


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def known(spectrum):
    return Spectrum(spectrum.numpy(), np.ones(len(spectrum)))


def simulated(spectrum, num_real, num_fake, trials):
    """Mean distance of fresh samples, with its standard error, and the mean floor of the real ones."""
    generator, distances, floors = seeded(), [], []
    for trial in range(trials):
        real, fake = (drawn(count, spectrum, generator) for count in (num_real, num_fake))
        distances.append(frechet_distance(real, fake))
        if trial < FLOORS:
            floors.append(frechet_floor(real, num_fake))
    return np.mean(distances), np.std(distances) / math.sqrt(trials), np.mean(floors)


def check(name, dim, num_real, num_fake, trials, *, within=0.03):
    spectrum = SPECTRA[name](dim)
    measured, error, floor = simulated(spectrum, num_real, num_fake, trials)
    assert expected_distance(known(spectrum), num_real, num_fake) == pytest.approx(
        measured, abs=max(4 * error, 1e-3 * measured)
    )
    assert floor == pytest.approx(expected_distance(known(spectrum), num_real, num_fake), rel=within)


@pytest.mark.parametrize(
    ("name", "num_real", "num_fake"),
    [
        ("flat", 32, 32),
        ("flat", 32, 192),
        ("flat", 64, 64),
        ("flat", 256, 128),
        ("flat", 3840, 3840),
        ("1/k", 32, 32),
        ("1/k", 192, 32),
        ("1/k", 66, 128),
        ("1/k", 640, 640),
    ],
)
def test_the_floor_is_what_fresh_samples_of_one_gaussian_score(name, num_real, num_fake):
    check(name, 64, num_real, num_fake, trials=30 if num_real < 1000 else 15)


@pytest.mark.slow
@pytest.mark.parametrize("name", SPECTRA)
@pytest.mark.parametrize("sizes", [(0.5, 0.5), (0.5, 3), (3, 0.5), (1, 1), (1, 2), (4, 1), (10, 10), (60, 60)])
def test_from_half_as_many_rows_as_columns_to_60_times_as_many_it_is_within_3_percent(name, sizes):
    """Fast decay leaves few columns that count, so that 3 % takes many trials to see."""
    trials = 400 if name in ("flat", "1/k") else 3000
    check(name, 64, *(round(64 * size) for size in sizes), trials=trials if sizes[0] < 60 else 150, within=0.03)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["flat", "1/k"])
@pytest.mark.parametrize("size", [0.5, 1, 8])
def test_it_holds_for_256_columns_too(name, size):
    check(name, 256, round(256 * size), round(256 * size), trials=60)


@pytest.mark.parametrize("name", SPECTRA)
def test_for_many_rows_it_is_the_first_order_formula(name):
    """(1/N + 1/M) (3 sum h / 2 + sum over pairs of h g / (2 (h + g)))."""
    spectrum = SPECTRA[name](64)
    pairs = spectrum[:, None] * spectrum / (2 * (spectrum[:, None] + spectrum))
    first_order = 1.5 * spectrum.sum() + pairs.sum() - pairs.diagonal().sum()
    expected = float(first_order) * (1e-7 + 2e-7)
    assert expected_distance(known(spectrum), 10_000_000, 5_000_000) == pytest.approx(expected, rel=1e-4)


def test_the_floor_of_one_feature_is_its_closed_form():
    """The means' gap, and that of two standard deviations, each of mean c4 sigma (Student's bias)."""
    features = drawn(50, torch.ones(1, dtype=torch.float64), seeded())
    c4 = [math.sqrt(2 / (n - 1)) * math.exp(math.lgamma(n / 2) - math.lgamma((n - 1) / 2)) for n in (50, 25)]
    expected = (1 / 50 + 1 / 25 + 2 - 2 * c4[0] * c4[1]) * float(features.var())
    assert frechet_floor(features, 25) == pytest.approx(expected, rel=5e-3)


def test_it_scales_with_the_features_squared_and_does_not_see_rotations_or_shifts():
    features = drawn(100, SPECTRA["1/k"](20), seeded())
    rotation = torch.linalg.qr(torch.randn(20, 20, dtype=torch.float64, generator=seeded(1)))[0]
    floor = frechet_floor(features, 80)
    assert frechet_floor(3 * features, 80) == pytest.approx(9 * floor, rel=1e-6)
    assert frechet_floor(features @ rotation + 7, 80) == pytest.approx(floor, rel=1e-6)


def test_it_falls_with_the_number_of_fakes_to_a_limit():
    features = drawn(100, SPECTRA["1/k"](20), seeded())
    floors = [frechet_floor(features, count) for count in (10, 100, 1000, 10**6, 10**7)]
    assert sorted(floors, reverse=True) == floors
    assert floors[-1] == pytest.approx(floors[-2], rel=1e-4)


def test_features_that_never_change_change_nothing():
    features = drawn(100, SPECTRA["flat"](20), seeded())
    padded = torch.cat([features, torch.ones(100, 30, dtype=torch.float64)], dim=1)
    assert frechet_floor(padded, 80) == pytest.approx(frechet_floor(features, 80), rel=1e-6)
    assert frechet_floor(torch.ones(10, 3), 10) == 0


@pytest.mark.parametrize(("name", "sizes"), [("flat", (20, 80)), ("1/k", (80, 200))])
def test_its_interval_is_about_as_wide_as_floors_vary_and_holds_the_expectation(name, sizes):
    spectrum, generator = SPECTRA[name](40), seeded()
    truth = expected_distance(known(spectrum), *sizes)
    estimates = [frechet_floor_estimate(drawn(sizes[0], spectrum, generator), sizes[1]) for _ in range(40)]
    assert sum(estimate.low < truth < estimate.high for estimate in estimates) >= 34
    width = np.mean([estimate.high - estimate.low for estimate in estimates]) / (2 * 1.96)
    assert 0.75 < width / np.std([estimate.value for estimate in estimates]) < 1.6


@pytest.mark.parametrize("count", [32, 64, 256])
def test_the_spectrum_of_the_population_is_recovered_up_to_what_is_smooth_in_it(count):
    """The eigenvalues of the samples are spread far wider: their second moment is too large by 1 + D / N and more."""
    spectrum, generator = torch.tensor([4.0, 1.0], dtype=torch.float64).repeat_interleave(32), seeded()
    moments = []
    for _ in range(30):
        eigenvalues = torch.linalg.eigvalsh(Moments.of(drawn(count, spectrum, generator)).covariance()).clamp(min=0)
        found = population_spectrum(eigenvalues.numpy(), count - 1)
        assert found.trace == pytest.approx(float(eigenvalues.sum()))
        moments.append(found.counts @ found.eigenvalues**2)
    assert np.mean(moments) == pytest.approx(float(spectrum.square().sum()), rel=0.05)


def test_the_bias_of_a_samples_transform_is_that_of_bai_and_silverstein():
    """Companion transform at -1 of 16 equal eigenvalues and 24 degrees; its limit solves 1 / x = 1 + c / (1 + x)."""
    dim, degrees, place = 16, 24, -1.0
    limit = (-dim / degrees + math.sqrt((dim / degrees) ** 2 + 4)) / 2
    assert 1 / limit == pytest.approx(1 + dim / degrees / (1 + limit))
    rows = torch.randn(20_000, degrees, dim, dtype=torch.float64, generator=seeded())
    eigenvalues = torch.linalg.eigvalsh(rows.mT @ rows / degrees)
    transforms = ((1 / (eigenvalues - place)).sum(dim=1) - (degrees - dim) / place) / degrees
    found = companion_bias(np.ones(1), np.full(1, float(dim)), np.array([limit + 0j]), degrees)
    assert found[0].real == pytest.approx(float(transforms.mean()) - limit, rel=0.1)


def test_a_covariance_is_enough_and_less_than_two_samples_are_refused():
    features = drawn(50, SPECTRA["flat"](8), seeded())
    covariance = torch.from_numpy(np.cov(features.numpy(), rowvar=False))
    assert floor_from_covariance(covariance, 50, 30).value == pytest.approx(frechet_floor(features, 30))
    with pytest.raises(ValueError, match="50 real and 1 fake samples"):
        frechet_floor(features, 1)


WIDE = 12_288
"""Features of an image of 64x64 pixels in colour: a matrix of all of them has 1.1 GiB."""


@pytest.fixture
def narrow(monkeypatch):
    """No product of rows may be as large as the covariance of all features."""
    product = torch.Tensor.__matmul__

    def watched(left, right):
        assert left.shape[0] < WIDE
        return product(left, right)

    monkeypatch.setattr(torch.Tensor, "__matmul__", watched)


@pytest.mark.parametrize("count", [2, 40])
def test_fewer_rows_than_columns_need_no_matrix_of_the_columns(narrow, count):
    rows = torch.randn(count, WIDE, generator=seeded())
    found = frechet_floor_estimate(rows, 30)
    assert found.low < found.value < found.high < math.inf
    assert found.value == pytest.approx(2 * WIDE, rel=0.2), "both spans are orthogonal: the traces alone are left"


@pytest.mark.parametrize("counts", [(20, 30), (48, 48), (20, 100)])
def test_rows_and_their_covariance_tell_the_same_floor(counts):
    features = drawn(counts[0], SPECTRA["1/k"](48), seeded()) + 3
    covariance = torch.from_numpy(np.cov(features.numpy(), rowvar=False))
    eigenvalues = np.clip(np.linalg.eigvalsh(covariance.numpy()), 0, None)
    expected = expected_distance(population_spectrum(eigenvalues, counts[0] - 1), *counts)
    assert frechet_floor(features, counts[1]) == pytest.approx(expected, rel=1e-6)
    assert floor_from_covariance(covariance, *counts).value == pytest.approx(expected, rel=1e-6)
