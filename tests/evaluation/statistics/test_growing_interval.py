import pytest

from evaluation.statistics.growing_interval import growing_interval
from evaluation.statistics.intervals import NORMAL


def test_without_a_first_order_it_is_the_value_and_its_error() -> None:
    assert growing_interval(0.3, second=0.04, raw_slope=0) == pytest.approx((0.3 - 0.2 * NORMAL, 0.3 + 0.2 * NORMAL))


def test_its_ends_are_where_the_value_is_just_not_unlikely() -> None:
    excess, second, slope = 2.0, 0.3, 0.7
    for end in growing_interval(excess, second=second, raw_slope=slope):
        assert (excess - end) ** 2 == pytest.approx(NORMAL**2 * (second + slope * end))


def test_the_noiseless_first_order_counts_only_where_there_is_an_excess() -> None:
    assert growing_interval(1.0, second=1.0, raw_slope=0.1, first=5.0) == growing_interval(
        1.0, second=1.0, raw_slope=0.1
    )
    narrow, wide = (growing_interval(3.0, second=1.0, raw_slope=0.1, first=first) for first in (0.0, 5.0))
    assert wide.high - wide.low > narrow.high - narrow.low


def test_it_holds_the_value_even_where_that_is_below_what_can_be() -> None:
    low, high = growing_interval(-1.0, second=0.01, raw_slope=3.0)
    assert low <= -1.0 <= high
