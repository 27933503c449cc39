import math

import pytest
import torch

from attacks.random import normal
from evaluation.diversity.vendi import vendi_score


def gaussian(seed, count, dim=8):
    """Of falling variance, so that one eigenvalue is the largest for sure."""
    return normal(seed, torch.arange(count), (dim,), dtype=torch.float64) / torch.arange(1, dim + 1).sqrt() + 0.2


def by_definition(features, order=1.0):
    """From the eigenvalues of the whole N x N matrix of cosines."""
    rows = features / features.norm(dim=1, keepdim=True)
    values = torch.linalg.eigvalsh(rows @ rows.T / len(rows))
    values = values[values > 1e-12]
    if order == 1:
        return math.exp(-float((values * values.log()).sum()))
    return float((values**order).sum()) ** (1 / (1 - order))


def test_equal_rows_amount_to_one_and_orthogonal_rows_to_their_number():
    assert vendi_score(torch.ones(5, 3)) == pytest.approx((1, 1, 1))
    assert vendi_score(7 * torch.eye(6)) == pytest.approx((6, 6, 6))
    assert vendi_score(torch.eye(2).repeat(5, 1), order=3).value == pytest.approx(2)


def test_unequal_shares_have_the_entropy_of_the_shares():
    rows = torch.eye(3)[[0, 0, 0, 1, 1, 2]]
    shares = torch.tensor([3, 2, 1], dtype=torch.float64) / 6
    assert vendi_score(rows).value == pytest.approx(math.exp(-float((shares * shares.log()).sum())))
    assert vendi_score(rows, order=2).value == pytest.approx(1 / float((shares**2).sum()))
    assert vendi_score(rows, order=math.inf).value == pytest.approx(2)


@pytest.mark.parametrize("order", [1, 0.5, 2, 3])
@pytest.mark.parametrize(("count", "dim"), [(40, 8), (12, 30)])
def test_the_smaller_matrix_gives_the_same(count, dim, order):
    features = gaussian(0, count, dim)
    assert vendi_score(features, order=order).value == pytest.approx(by_definition(features, order), rel=1e-9)


def test_the_linear_kernel_weighs_long_rows_more_and_equals_the_cosine_for_equal_lengths():
    rows = torch.diag(torch.tensor([1.0, 2.0]))
    shares = torch.tensor([0.2, 0.8], dtype=torch.float64)
    assert vendi_score(rows, kernel="linear").value == pytest.approx(math.exp(-float((shares * shares.log()).sum())))
    unit = gaussian(0, 20) / gaussian(0, 20).norm(dim=1, keepdim=True)
    assert vendi_score(unit, kernel="linear") == pytest.approx(vendi_score(unit))


@pytest.mark.parametrize("order", [1, 2, math.inf])
@pytest.mark.parametrize("kernel", ["cosine", "linear"])
def test_intervals_cover_the_expectation(kernel, order):
    found = [vendi_score(gaussian(seed, 80), kernel=kernel, order=order) for seed in range(200)]
    truth = sum(one.value for one in found) / len(found)
    assert 0.9 <= sum(one.low <= truth <= one.high for one in found) / len(found) <= 0.99


def test_what_has_no_score_is_refused():
    with pytest.raises(ValueError, match="must be positive"):
        vendi_score(torch.eye(3), order=0)
    with pytest.raises(ValueError, match="1 of 3 rows of features hold NaN"):
        vendi_score(torch.tensor([[1.0, 0], [math.nan, 0], [0, 1]]))
    with pytest.raises(ValueError, match="all 3 rows of features are 0"):
        vendi_score(torch.zeros(3, 2), kernel="linear")


def test_black_images_are_one_image_more():
    """Rows of zeros have no direction of their own: alike among themselves, and unlike all others."""
    black = torch.zeros(4, 3)
    assert vendi_score(black) == pytest.approx((1, 1, 1))
    assert vendi_score(torch.cat([torch.eye(3), black[:1]])) == pytest.approx((4, 4, 4))
    assert vendi_score(torch.cat([torch.eye(3)[[0, 0, 0, 0]], black])).value == pytest.approx(2)


@pytest.mark.parametrize("size", [1e-200, 1e200])
def test_rows_whose_squares_are_out_of_range_keep_their_direction(size):
    rows = gaussian(0, 12).double()
    assert vendi_score(size * rows).value == pytest.approx(vendi_score(rows).value)
