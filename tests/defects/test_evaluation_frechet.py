"""Defects of other tools' Fréchet distances and their relatives, each reproduced there, and absent here."""

import math
import warnings

import numpy as np
import pytest
import torch
from scipy import linalg

from evaluation.features.moments import Moments
from evaluation.fidelity.cmmd import cmmd
from evaluation.fidelity.frechet import frechet_distance, frechet_from_statistics
from evaluation.fidelity.frechet_floor import frechet_floor
from evaluation.fidelity.frechet_interval import frechet_estimate
from evaluation.fidelity.mind import mind


def drawn(count, dim, seed, *, shift=0.0, scale=1.0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, dim, dtype=torch.float64, generator=generator) * scale + shift


def statistics(features):
    return features.mean(dim=0), torch.from_numpy(np.cov(features.numpy(), rowvar=False))


def test_imaginary_parts_with_fewer_images_than_features():
    """pytorch-fid and clean-fid take a root that is complex there, and refuse it or drop the imaginary part."""
    real, fake = drawn(30, 64, 0), drawn(40, 64, 1)
    product = statistics(real)[1].numpy() @ statistics(fake)[1].numpy()
    assert np.iscomplexobj(np.linalg.eigvals(product))
    exact = linalg.svdvals((real - real.mean(0)).numpy() @ (fake - fake.mean(0)).numpy().T).sum() / math.sqrt(29 * 39)
    parts = [float(statistics(features)[1].trace()) for features in (real, fake)]
    gap = float((real.mean(0) - fake.mean(0)).square().sum())
    assert frechet_distance(real, fake) == pytest.approx(gap + sum(parts) - 2 * exact, rel=1e-12)


def test_a_product_of_symmetric_matrices_is_not_symmetric():
    """eigvalsh of S1 S2, once tried in torch-fidelity, reads one triangle only and gives another number."""
    real, fake = drawn(200, 8, 0, scale=torch.arange(1, 9)), drawn(200, 8, 1) @ drawn(8, 8, 2)
    (_, first), (_, second) = statistics(real), statistics(fake)
    wrong = np.sqrt(np.clip(np.linalg.eigvalsh((first @ second).numpy()), 0, None)).sum()
    right = (
        float(first.trace() + second.trace() + (real.mean(0) - fake.mean(0)).square().sum())
        - frechet_distance(real, fake)
    ) / 2
    assert abs(wrong / right - 1) > 1e-3
    assert right == pytest.approx(np.sqrt(np.linalg.eigvals((first @ second).numpy()).real).sum(), rel=1e-10)


def test_scipy_1_18_takes_the_option_disp_away():
    """Six tools pass disp=False to scipy's root, which warns that it will be gone; ours takes no root."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert frechet_distance(drawn(50, 8, 0), drawn(20, 8, 1)) > 0


def test_an_offset_on_the_diagonal_changes_the_distance():
    """pytorch-fid adds 1e-6 to both diagonals where its root fails, and says so in a print: the number is another."""
    real, fake = (torch.cat([drawn(90, 4, seed) * 1e-3, torch.zeros(90, 60).double()], dim=1) for seed in (0, 1))
    assert frechet_distance(real, fake) == pytest.approx(frechet_distance(real[:, :4], fake[:, :4]), rel=1e-9)


def test_means_in_float32():
    """torch-fidelity's mean of float32 features is float32: at a mean of 1000 it is wrong by more than 1e-6."""
    features = (drawn(5000, 4, 0) + 1000).float()
    exact = features.double().mean(dim=0)
    assert float((torch.from_numpy(np.mean(features.numpy(), axis=0)).double() - exact).abs().max()) > 1e-6
    assert frechet_distance(features, features) == 0
    assert torch.equal(Moments.of(features).mean, exact)


def test_sums_of_squares_about_zero():
    """torchmetrics and stylegan3 add up raw second moments, which lose all digits of a covariance at a large mean."""
    features = drawn(500, 3, 0, shift=1e8)
    raw = features.T @ features / 500 - features.mean(dim=0)[:, None] * features.mean(dim=0)
    expected = statistics(features - 1e8)[1]
    assert float((raw * 500 / 499 - expected).abs().max()) > 0.1
    assert torch.allclose((Moments.of(features[:200]) + Moments.of(features[200:])).covariance(), expected, rtol=1e-6)


def test_a_set_that_is_at_a_distance_from_itself():
    """Rounding of eigvals gives -7e-15 in torch-fidelity, and a root of noise more where rows are few."""
    for count in (20, 64, 400):
        features = drawn(count, 64, 0)
        assert 0 <= frechet_distance(features, features) < 1e-10


def test_one_image_gives_a_silent_nan():
    """numpy's covariance of one row is NaN with a warning, and so is every distance made of it."""
    with pytest.raises(ValueError, match="at least 2 rows"):
        frechet_distance(drawn(1, 4, 0), drawn(9, 4, 1))
    nothing = torch.zeros(4), torch.full((4, 4), torch.nan)
    with pytest.raises(ValueError, match="from two images at least"):
        frechet_from_statistics(nothing, statistics(drawn(9, 4, 1)))
    with pytest.raises(ValueError, match="1 row is too few"):
        Moments.of(drawn(1, 4, 0)).covariance()


def test_nan_features_are_passed_on():
    """No library looks: the result is NaN, or LAPACK's complaint about an argument's number."""
    broken = drawn(9, 4, 0)
    broken[3, 2] = torch.nan
    for measure in (frechet_distance, frechet_estimate, mind, cmmd):
        with pytest.raises(ValueError, match="fake features hold NaN or infinity"):
            measure(drawn(9, 4, 1), broken)


def test_the_bootstrap_doubles_the_bias():
    """Drawing with replacement repeats rows: the mean of its distances is far above the distance and its interval."""
    real, fake = drawn(300, 32, 0), drawn(300, 32, 1, shift=0.05)
    estimate = frechet_estimate(real, fake)
    generator = torch.Generator().manual_seed(0)
    again = [
        frechet_distance(*(each[torch.randint(300, (300,), generator=generator)] for each in (real, fake)))
        for _ in range(10)
    ]
    assert np.mean(again) > 1.7 * estimate.value
    assert estimate.low < estimate.value < estimate.high < min(again)


def test_small_samples_look_like_a_bad_generator():
    """k-diffusion 51, torch-fidelity 32: 'my FID is 30, not 2' is what real images score at that size."""
    small, large = drawn(70, 64, 0), drawn(2000, 64, 0)
    assert frechet_distance(small, drawn(70, 64, 1)) == pytest.approx(frechet_floor(small, 70), rel=0.15)
    assert frechet_floor(small, 70) > 25 * frechet_floor(large, 2000)


def test_sets_of_different_sizes_are_cut_to_the_smaller():
    """torch-fidelity's MIND throws away what one set has more; here every sample counts."""
    real, fake = drawn(40, 3, 0), drawn(40, 3, 1)
    longer = torch.cat([fake, drawn(20, 3, 2, shift=5.0)])
    assert mind(real, longer) > 2 * mind(real, longer[:40])


def test_the_paper_s_cmmd_is_above_0_for_a_perfect_generator():
    """Its estimate counts every sample as its own neighbour, which adds a bias that grows as samples get fewer."""
    found = [cmmd(drawn(50, 16, seed), drawn(50, 16, seed + 100)) for seed in range(30)]
    values = np.array([each.unbiased.value for each in found])
    assert min(each.biased for each in found) > 0.2
    assert abs(values.mean()) < 3 * values.std() / math.sqrt(30)
