import math

import numpy as np
import pytest
import torch
from scipy.stats import wasserstein_distance_nd

from evaluation.fidelity.mind import _directions, _sliced, mind, mind_estimate


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def drawn(count, dim, generator, *, scale=1.0, shift=0.0):
    return torch.randn(count, dim, dtype=torch.float64, generator=generator) * scale + shift


def by_definition(real, fake, directions):
    """Equal sizes: the mean squared difference of ranks along each direction, times 3 D."""
    ranked = [np.sort(features.numpy() @ directions.numpy(), axis=0) for features in (real, fake)]
    return 3 * real.shape[1] * float(np.square(ranked[0] - ranked[1]).mean())


@pytest.mark.parametrize("counts", [(50, 50), (7, 7)])
def test_a_shift_of_mu_in_each_of_d_coordinates_is_3_d_mu_squared(counts):
    real = drawn(counts[0], 12, seeded())
    assert mind(real, real + 0.5) == pytest.approx(3 * 12 * 0.25, rel=1e-12)


def test_for_more_columns_than_directions_a_shift_is_right_on_average():
    real = drawn(20, 60, seeded())
    found = [mind(real, real + 0.5, seed=seed, num_directions=20) for seed in range(40)]
    assert np.mean(found) == pytest.approx(3 * 60 * 0.25, rel=0.1)
    assert np.std(found) > 0


def test_scaling_one_set_has_a_closed_form():
    """3 D times the mean of (t - s)^2 |x.u|^2 over directions is 3 (t - s)^2 times the mean of |x|^2."""
    real = drawn(40, 9, seeded())
    assert mind(real, 3 * real) == pytest.approx(3 * 4 * float(real.square().sum(dim=1).mean()), rel=1e-12)


def test_equal_sets_are_at_0_and_the_order_of_rows_and_sets_does_not_matter():
    real, fake = drawn(30, 5, seeded()), drawn(45, 5, seeded(1), shift=0.3)
    assert mind(real, real.flip(0)) == pytest.approx(0, abs=1e-12)
    assert mind(real, fake) == pytest.approx(mind(fake.flip(0), real), rel=1e-12)


def test_it_is_the_mean_over_ranks_along_each_direction():
    real, fake = drawn(80, 7, seeded()), drawn(80, 7, seeded(1), shift=0.2)
    directions = _directions(real, 3, 100)
    assert mind(real, fake, seed=3, num_directions=100) == pytest.approx(by_definition(real, fake, directions))


@pytest.mark.parametrize(("n", "m"), [(6, 4), (5, 7), (3, 12)])
def test_sets_of_different_sizes_are_matched_by_quantiles_as_copies_of_each_would_be(n, m):
    real, fake = drawn(n, 3, seeded()), drawn(m, 3, seeded(1))
    common = math.lcm(n, m)
    copies = real.repeat_interleave(common // n, dim=0), fake.repeat_interleave(common // m, dim=0)
    assert mind(real, fake) == pytest.approx(mind(*copies), rel=1e-12)


def test_in_one_dimension_it_is_3_times_the_optimal_transport_cost():
    """By scipy's linear programme, whose cost is the distance itself: squared here by moving 0 and 1 only."""
    real, fake = torch.tensor([[0.0], [0.0], [1.0]]), torch.tensor([[0.0], [1.0], [1.0], [1.0]])
    cost = wasserstein_distance_nd(real.numpy(), fake.numpy())
    assert mind(real, fake) == pytest.approx(3 * cost, rel=1e-9)


def test_directions_are_orthonormal_sets_and_a_function_of_the_seed():
    found = _directions(torch.zeros(1, 8), 0, 20)
    assert found.shape == (8, 24)
    assert torch.allclose(found[:, :8].T @ found[:, :8], torch.eye(8, dtype=torch.float64), atol=1e-12)
    assert torch.equal(found, _directions(torch.zeros(1, 8), 0, 20))
    assert not torch.equal(found, _directions(torch.zeros(1, 8), 1, 20))
    assert _directions(torch.zeros(1, 30), 0, 20).shape == (30, 20)


@pytest.mark.parametrize("counts", [(9, 9), (9, 12), (12, 7)])
def test_the_pulls_give_the_variance_of_their_definition(counts):
    """The pull of a row by differences: the distance with a little more of that row, all others being copied."""
    real, fake = drawn(counts[0], 2, seeded()), drawn(counts[1], 2, seeded(1), shift=0.4)
    directions = _directions(real, 0, 2)
    copies = 400
    slopes = []
    for sets in ((real, fake), (fake, real)):
        own = []
        for row in range(len(sets[0])):
            weights = torch.full((len(sets[0]),), copies)
            weights[row] += 1
            heavier = _sliced(sets[0].repeat_interleave(weights, dim=0), sets[1], directions).value
            weights[row] -= 2
            lighter = _sliced(sets[0].repeat_interleave(weights, dim=0), sets[1], directions).value
            own.append(len(sets[0]) * (heavier - lighter) * copies / 2)
        slopes.append(np.array(own))
    expected = sum(np.var(own, ddof=1) / (len(own) - 1) for own in slopes)
    assert _sliced(real, fake, directions).jackknife == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize(("shift", "scale"), [(0.0, 1.0), (0.3, 1.0), (0.0, 0.5)])
@pytest.mark.parametrize("counts", [(60, 60), (50, 120)])
def test_the_interval_holds_the_expectation_at_these_sample_sizes(shift, scale, counts):
    generator = seeded()
    found = np.array(
        [
            mind_estimate(
                drawn(counts[0], 8, generator),
                drawn(counts[1], 8, generator, shift=shift, scale=scale),
                num_directions=16,
            )
            for _ in range(100)
        ]
    )
    expectation = found[:, 0].mean()
    assert ((found[:, 1] < expectation) & (expectation < found[:, 2])).mean() >= 0.87


def test_at_equal_distributions_the_interval_is_as_wide_as_fresh_samples_vary():
    """The jackknife alone would make it wider by the root of 2."""
    generator = seeded()
    found = np.array(
        [mind_estimate(drawn(80, 12, generator), drawn(80, 12, generator), num_directions=24) for _ in range(150)]
    )
    width = (found[:, 2] - found[:, 1]).mean() / (2 * 1.96)
    assert width == pytest.approx(found[:, 0].std(), rel=0.25)


@pytest.mark.slow
@pytest.mark.parametrize(("shift", "scale"), [(0.0, 1.0), (0.1, 1.0), (0.3, 1.0), (0.0, 0.5)])
@pytest.mark.parametrize("counts", [(60, 60), (60, 150), (300, 300)])
def test_it_holds_it_in_92_to_98_percent_of_400_data_sets(shift, scale, counts):
    generator = seeded()
    found = np.array(
        [
            mind_estimate(
                drawn(counts[0], 16, generator),
                drawn(counts[1], 16, generator, shift=shift, scale=scale),
                num_directions=48,
            )
            for _ in range(400)
        ]
    )
    expectation = found[:, 0].mean()
    assert 0.909 <= ((found[:, 1] < expectation) & (expectation < found[:, 2])).mean() <= 0.989


def test_few_rows_have_a_value_without_an_interval_and_others_are_refused():
    estimate = mind_estimate(drawn(7, 3, seeded()), drawn(9, 3, seeded(1)))
    assert math.isfinite(estimate.value)
    assert math.isnan(estimate.low)
    with pytest.raises(ValueError, match="real features have 3 columns, fake 4"):
        mind(torch.zeros(5, 3), torch.zeros(5, 4))
