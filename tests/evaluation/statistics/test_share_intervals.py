import math

import pytest
import torch

from evaluation.statistics.share_intervals import mean_count


@pytest.mark.parametrize("effect", [0.0, math.nan])
@pytest.mark.parametrize("value", [0.2, 1.0, 12.0])
def test_counts_that_do_not_vary_have_the_interval_of_poissons(value, effect):
    """Blurred fakes lie in the same neighbourhoods, all of them; no variance is seen, and none is no certainty."""
    found = mean_count(torch.full((400,), value, dtype=torch.float64), effect, others=10**9)
    assert found.low < value < found.high
    if effect == 0:
        error = math.sqrt(value / 400)
        assert found.high - found.low == pytest.approx(2 * 1.96 * error, rel=0.1)


def test_the_interval_of_equal_counts_goes_over_into_that_of_zeros():
    nearly = mean_count(torch.full((40,), 1e-9, dtype=torch.float64), 0.0, others=40)
    nothing = mean_count(torch.zeros(40, dtype=torch.float64), 0.0, others=40)
    assert nearly.high == pytest.approx(nothing.high, rel=1e-3)
