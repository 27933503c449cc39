import pytest
import torch
from torch import Tensor

from attacks.random import seeded
from evaluation.statistics.intervals import NORMAL
from evaluation.statistics.occupancy import covered_interval

EVEN = torch.ones(100, dtype=torch.float64)
HALF = torch.cat([torch.ones(100), torch.zeros(100)]).double()
ZIPF = 1 / (1 + torch.arange(100, dtype=torch.float64))
THOUSAND = torch.ones(1000, dtype=torch.float64)


def coverage(weights: Tensor, count: int, trials: int) -> float:
    shares = weights / weights.sum()
    truth = float((1 - (1 - shares) ** count).sum())
    with seeded(0):
        picks = torch.multinomial(shares.expand(trials, -1), count, replacement=True)
    bounds = [covered_interval(row.bincount(minlength=len(shares))) for row in picks]
    return sum(low <= truth <= high for low, high in bounds) / trials


def test_classes_hit_often_leave_no_doubt() -> None:
    assert covered_interval(torch.full((10,), 200)) == pytest.approx((10, 10))


def test_nothing_missed_among_barely_hit_classes_is_no_certainty() -> None:
    low, high = covered_interval(torch.full((10,), 3))
    assert 6 < low < 9
    assert high == 10


def test_of_missed_classes_some_might_have_been_hit() -> None:
    """The rule of three, for each of the three: at 3.7 / 3 expected hits all three are missed in 2.5 % of samples."""
    low, high = covered_interval(torch.tensor([200] * 7 + [0] * 3))
    assert low == pytest.approx(7)
    assert high == pytest.approx(7 + 3 * (1 - 0.025 ** (1 / 3)))


def test_of_a_fixed_number_of_images_all_in_classes_of_their_own_the_number_hardly_varies() -> None:
    """Of Poisson counts it would: 15 / 16 of the 50 classes. What is left is half the error of that."""
    low, high = covered_interval(torch.tensor([1] * 50 + [0] * 5000))
    assert (50 - low, high - 50) == pytest.approx((NORMAL * (15 / 16 * 50**0.5 / 2) ** 0.5,) * 2)


def test_the_ends_stay_between_none_and_all_classes() -> None:
    assert covered_interval(torch.tensor([1, 0, 0])).high <= 3
    assert covered_interval(torch.tensor([1, 1, 1])).low >= 0
    assert covered_interval(torch.zeros(2, dtype=torch.int64)) == (0, 2)


@pytest.mark.parametrize("count", [60, 100, 200])
def test_intervals_cover_the_expected_number_as_often_as_they_say(count: int) -> None:
    assert coverage(EVEN, count, 200) >= 0.9


@pytest.mark.slow
@pytest.mark.parametrize(
    ("weights", "count"),
    [
        *((EVEN, count) for count in (50, 100, 200, 300)),
        *((HALF, count) for count in (100, 200)),
        *((ZIPF, count) for count in (50, 100, 200, 400, 800)),
        *((THOUSAND, count) for count in (500, 1000, 2000, 3000)),
    ],
)
def test_coverage_where_not_every_class_is_hit(weights: Tensor, count: int) -> None:
    assert 0.92 <= coverage(weights, count, 400) <= 0.985
