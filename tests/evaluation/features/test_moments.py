import numpy as np
import pytest
import torch

from attacks.random import normal
from evaluation.features.moments import Moments


def drawn(count, *, offset=0.0):
    return normal(0, torch.arange(count), (5,), dtype=torch.float64) + offset


@pytest.mark.parametrize("ddof", [0, 1])
def test_the_covariance_is_numpys(ddof):
    features = drawn(40)
    expected = np.cov(features.numpy(), rowvar=False, ddof=ddof)
    assert np.allclose(Moments.of(features).covariance(ddof=ddof), expected, rtol=1e-13)


@pytest.mark.parametrize("size", [1, 3, 7, 40])
def test_batches_of_any_size_give_what_the_whole_does(size):
    features = drawn(40)
    first, *rest = (Moments.of(batch) for batch in features.split(size))
    joined, whole = sum(rest, start=first), Moments.of(features)
    assert joined.count == 40
    assert torch.allclose(joined.mean, whole.mean, rtol=1e-13, atol=1e-15)
    assert torch.allclose(joined.scatter, whole.scatter, rtol=1e-12, atol=1e-12)


def test_parts_of_two_processes_can_be_joined_in_either_order():
    left, right = Moments.of(drawn(10)), Moments.of(drawn(30, offset=2.0))
    assert torch.allclose((left + right).scatter, (right + left).scatter, rtol=1e-13)
    assert torch.allclose((left + right).mean, (right + left).mean, rtol=1e-13)


def test_a_mean_of_1e8_costs_no_digits():
    """Sums of squares about 0 have none left."""
    features = drawn(64, offset=1e8)
    first, *rest = (Moments.of(batch) for batch in features.split(10))
    expected = np.cov(features.numpy() - 1e8, rowvar=False)
    assert np.allclose(sum(rest, start=first).covariance(), expected, rtol=1e-6)


def test_float32_rows_are_summed_in_float64():
    features = drawn(500, offset=100.0).float()
    assert Moments.of(features).mean.dtype == torch.float64
    assert torch.equal(Moments.of(features).mean, features.double().mean(dim=0))


def test_what_has_no_moments_is_refused():
    with pytest.raises(ValueError, match="at least one row"):
        Moments.of(torch.zeros(0, 3))
    with pytest.raises(ValueError, match="NaN or infinity"):
        Moments.of(torch.full((2, 3), torch.inf))
    with pytest.raises(ValueError, match="moments of 3 and 4 columns"):
        Moments.of(torch.zeros(2, 3)) + Moments.of(torch.zeros(2, 4))
    with pytest.raises(ValueError, match="1 row is too few for a covariance over N - 1"):
        Moments.of(torch.zeros(1, 3)).covariance()
