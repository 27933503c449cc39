import math

import numpy as np
import pytest
import torch

from evaluation.fidelity import frechet_infinity as module
from evaluation.fidelity.frechet_infinity import frechet_infinity, infinity_findings
from evaluation.statistics.intervals import Estimate


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def drawn(count, dim, generator, *, scale=1.0, shift=0.0):
    return torch.randn(count, dim, dtype=torch.float64, generator=generator) * scale + shift


def test_a_shift_that_is_all_there_is_comes_out_exactly():
    """Sets that differ by a shift alone are at that distance in every part, so that nothing is taken off."""
    real = drawn(400, 6, seeded())
    found = frechet_infinity(real, real + 2, seed=1)
    # The parts of both sets are dealt by streams of their own, so only the whole sets are matched row by row.
    assert found.distances[0] == pytest.approx(24)
    assert found.limit.value == pytest.approx(24, abs=1)
    assert found.limit.low < 24 < found.limit.high


def test_points_on_a_line_through_the_floors_give_its_value_at_0(monkeypatch):
    floors = iter([0.5, 1.0, 2.0])
    monkeypatch.setattr(module, "expected_distance", lambda *_: next(floors))
    monkeypatch.setattr(module, "_mean_distance", lambda real, fake, quarters, share: 3 + 0.8 * 0.5 * share)
    found = frechet_infinity(drawn(200, 4, seeded()), drawn(200, 4, seeded(1)))
    assert found.limit.value == pytest.approx(3)
    assert found.slope == pytest.approx(0.8)
    assert found.residual == pytest.approx(0, abs=1e-12)


def test_the_line_is_fitted_with_the_parts_sizes_for_weights():
    floors, distances = np.array([1.0, 2.1, 4.7]), np.array([3.0, 4.4, 6.0])
    slope, intercept = np.polyfit(floors, distances, 1, w=np.sqrt([1, 1 / 2, 1 / 4]))
    found = [float(weights @ distances) for weights in module._line(floors)]
    assert found == pytest.approx([intercept, slope])


def test_points_on_no_line_have_a_limit_without_an_interval_and_a_finding(monkeypatch):
    distances = {1: 3.0, 2: 9.0, 4: 3.0}
    monkeypatch.setattr(module, "_mean_distance", lambda real, fake, quarters, share: distances[share])
    found = frechet_infinity(drawn(200, 4, seeded()), drawn(200, 4, seeded(1)))
    assert found.residual > 1
    assert math.isnan(found.limit.low)
    (finding,) = infinity_findings(found.limit, num_real=200, num_fake=200, columns=4)
    assert finding.code == "frechet-infinity-bend"


@pytest.mark.parametrize(("columns", "codes"), [(100, []), (101, ["frechet-infinity-few"])])
def test_halves_with_singular_covariances_are_a_finding(columns, codes):
    found = infinity_findings(Estimate(1.0, 0.9, 1.1), num_real=200, num_fake=300, columns=columns)
    assert [finding.code for finding in found] == codes


def test_quarters_smaller_than_the_columns_stay_out():
    real, fake = drawn(100, 26, seeded()), drawn(120, 26, seeded(1))
    assert len(frechet_infinity(real, fake).distances) == 2
    assert len(frechet_infinity(real[:, :25], fake[:, :25]).distances) == 3


def test_it_is_a_function_of_the_seed():
    real, fake = drawn(100, 8, seeded()), drawn(120, 8, seeded(1))
    assert frechet_infinity(real, fake, seed=1) == frechet_infinity(real, fake, seed=1)
    assert frechet_infinity(real, fake, seed=1) != frechet_infinity(real, fake, seed=2)


@pytest.mark.parametrize("count", [40, 41, 42, 43])
def test_quarters_are_disjoint_whole_and_as_evenly_spread_over_sorted_classes(count):
    quarters = module._dealt(count, 0, 0)
    assert torch.equal(torch.cat(quarters).sort().values, torch.arange(count))
    assert all(torch.equal((part // 4).sort().values[:10], torch.arange(10)) for part in quarters)
    assert not torch.equal(quarters[0], torch.arange(0, count, 4)[: len(quarters[0])])


def test_balanced_classes_do_not_bend_the_line():
    """Random parts of them would be far apart by their classes alone, and their limit far below 0."""
    centres = 10 * drawn(10, 8, seeded(5))
    real, fake = (drawn(400, 8, seeded(seed)) + centres[torch.arange(400) // 40] for seed in (0, 1))
    found = frechet_infinity(real, fake)
    assert abs(found.limit.value) < 2 * found.distances[0]


def covered(columns, counts, alternative, trials):
    generator, scale, shift = seeded(), torch.ones(columns, dtype=torch.float64), 0.0
    if alternative == "shifted":
        shift = 0.3
    if alternative == "collapsed":
        scale[columns // 2 :] = 0.3
    truth = columns * shift**2 + float((1 - scale).square().sum())
    limits = [
        frechet_infinity(
            drawn(counts[0], columns, generator), drawn(counts[1], columns, generator, scale=scale, shift=shift)
        ).limit
        for _ in range(trials)
    ]
    share = sum(limit.low < truth < limit.high for limit in limits) / trials
    return share, np.mean([limit.value for limit in limits]) - truth, np.std([limit.value for limit in limits])


ALTERNATIVES = ("equal", "shifted", "collapsed")


@pytest.mark.parametrize("alternative", ALTERNATIVES)
def test_the_limit_is_found_where_a_line_in_1_over_n_misses_it(alternative):
    """At N = 2 D that line's limit is 1 to 3 standard deviations off."""
    share, bias, spread = covered(16, (32, 40), alternative, trials=25)
    assert abs(bias) < 0.75 * spread
    assert share >= 0.76


@pytest.mark.slow
@pytest.mark.parametrize("alternative", ALTERNATIVES)
@pytest.mark.parametrize("counts", [(64, 64), (160, 288), (640, 640)])
def test_its_interval_holds_the_limit_in_92_to_98_percent_of_400_data_sets(counts, alternative):
    share, _, _ = covered(32, counts, alternative, trials=400)
    assert 0.909 <= share <= 0.989


def test_too_few_rows_and_constant_features_are_refused():
    with pytest.raises(ValueError, match="at least 32 rows"):
        frechet_infinity(torch.zeros(31, 4), torch.zeros(40, 4))
    with pytest.raises(ValueError, match="real features do not vary"):
        frechet_infinity(torch.zeros(32, 4), drawn(40, 4, seeded()))
