import math

import numpy as np
import pytest
import torch
from scipy import stats

from attacks.random import normal
from evaluation.memorisation.copy_test import FEWEST, copy_test, copying, num_cells, rank_test


def gaussian(seed, count, dim=3):
    return normal(seed, torch.arange(count), (dim,), dtype=torch.float64)


@pytest.mark.parametrize("decimals", [None, 0])
def test_the_rank_test_is_that_of_mann_and_whitney_with_ties(decimals):
    first, second = gaussian(0, 30, 1)[:, 0] - 0.3, gaussian(1, 45, 1)[:, 0]
    if decimals is not None:
        first, second = first.round(), second.round()
    z, _ = rank_test(first, second)
    peer = stats.mannwhitneyu(first.numpy(), second.numpy(), method="asymptotic", use_continuity=False)
    assert z < 0
    assert 2 * stats.norm.sf(-z) == pytest.approx(peer.pvalue)


def test_its_variance_is_1_for_one_distribution_and_that_of_the_statistic_for_two():
    one = [rank_test(gaussian(2 * s, 40, 1)[:, 0], gaussian(2 * s + 1, 30, 1)[:, 0]) for s in range(200)]
    two = [rank_test(5 * gaussian(2 * s, 40, 1)[:, 0], gaussian(2 * s + 1, 30, 1)[:, 0]) for s in range(200)]
    assert np.mean([variance for _, variance in one]) == pytest.approx(1, abs=0.1)
    assert np.mean([variance for _, variance in two]) == pytest.approx(np.var([z for z, _ in two]), rel=0.25)
    assert rank_test(torch.ones(30), torch.ones(30)) == (0, 1)


def test_copies_are_negative_new_images_near_0_and_noise_positive():
    real, held_out, new = gaussian(0, 300), gaussian(1, 200), gaussian(2, 200)
    assert copy_test(real, real[:200] + 0.01 * new, held_out).interval.high < -5
    assert copy_test(real, new * 2, held_out).interval.low > 3
    found = copy_test(real, new, held_out)
    assert found.interval.low < 0 < found.interval.high
    assert found.p_value > 0.01
    assert found.cells > 1


def test_only_the_cells_with_enough_of_both_count():
    near, far = torch.zeros(FEWEST), torch.ones(FEWEST)
    cells = torch.zeros(FEWEST, dtype=torch.int64)
    lone = torch.tensor([1] * 5)
    found = copying(near, torch.cat([far, far[:5]]), cells, torch.cat([cells, lone]))
    expected, _ = rank_test(near, far)
    assert (found.cells, found.z) == (1, pytest.approx(expected))
    assert found.share == pytest.approx(FEWEST / (FEWEST + 5))
    assert math.isnan(copying(near, far, cells, cells + 1).z)


def test_cells_weigh_by_their_held_out_images():
    fake, held_out = torch.cat([torch.zeros(30), torch.ones(30)]), torch.cat([torch.ones(60), torch.zeros(20)])
    cells, others = torch.arange(60) // 30, torch.tensor([0] * 60 + [1] * 20)
    first, second = rank_test(fake[:30], held_out[:60])[0], rank_test(fake[30:], held_out[60:])[0]
    found = copying(fake, held_out, cells, others)
    assert found.z == pytest.approx(0.75 * first + 0.25 * second)
    assert found.p_value == pytest.approx(2 * stats.norm.sf(abs(found.z) / math.hypot(0.75, 0.25)))


def test_the_level_and_the_interval_hold_for_new_images():
    cells, others = torch.arange(90) % 3, torch.arange(120) % 3
    found = [
        copying(*(gaussian(2 * s + part, count, 1)[:, 0] for part, count in enumerate((90, 120))), cells, others)
        for s in range(300)
    ]
    assert np.mean([one.p_value < 0.05 for one in found]) == pytest.approx(0.05, abs=0.03)
    assert np.mean([one.interval.low <= 0 <= one.interval.high for one in found]) > 0.92


def test_small_sets_have_few_cells():
    assert num_cells(1000, 1000, 1000) == 10
    assert num_cells(1000, 1000, 85) == 2
    assert num_cells(1000, 30, 1000) == 1
