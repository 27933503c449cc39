import math

import numpy as np
import pytest
import torch
from scipy import stats

from attacks.random import integers, normal
from evaluation.diversity import birthday
from evaluation.diversity.birthday import batch_of_half, duplicate_level, near_duplicates, paired, support_size


def gaussian(seed, count, dim=3):
    return normal(seed, torch.arange(count), (dim,), dtype=torch.float64)


def drawn(seed, shares, count):
    """Samples of one coordinate that name which of the images they are."""
    shares = np.asarray(shares, dtype=float) / sum(shares)
    return torch.from_numpy(np.random.default_rng(seed).choice(len(shares), count, p=shares))[:, None].double()


def test_a_uniform_of_known_support_is_estimated_by_its_size():
    values = [support_size(drawn(seed, [1] * 300, 200), 0.5).value for seed in range(40)]
    assert np.median(values) == pytest.approx(300, rel=0.1)


@pytest.mark.parametrize("shares", [[1] * 200, [1 / rank for rank in range(1, 201)]])
def test_intervals_cover_the_true_support(shares):
    truth = sum(shares) ** 2 / sum(share**2 for share in shares)
    found = [support_size(drawn(seed, shares, 150), 0.5) for seed in range(200)]
    assert sum(one.low <= truth <= one.high for one in found) / len(found) > 0.91


def test_the_interval_of_few_duplicates_is_the_exact_one_of_a_count():
    numbers = torch.cat([torch.arange(97), torch.tensor([0, 1, 2])])[:, None].double()  # 3 duplicates in 4950 pairs
    found = support_size(numbers, 0.5)
    assert found.value == pytest.approx(4950 / 3)
    expected = 4950 / stats.chi2.ppf(0.975, 8) * 2, 4950 / stats.chi2.ppf(0.025, 6) * 2  # Garwood (1936)
    assert found[1:] == pytest.approx(expected)


def test_no_duplicate_gives_a_lower_bound():
    found = support_size(torch.arange(100)[:, None], 0.5)
    assert found.value == found.high == math.inf
    assert found.low == pytest.approx(4950 / -math.log(0.025))  # the support at which none is seen in 2.5 % of cases


def test_a_constant_generator_draws_one_image():
    assert support_size(torch.ones(50, 3), 0.0) == pytest.approx((1, 1, 1), rel=0.1)


def test_half_of_the_batches_of_the_named_size_hold_a_duplicate():
    size = round(batch_of_half(400))
    hits = [len(integers(0, torch.arange(size), 400, stream=stream).unique()) < size for stream in range(400)]
    assert np.mean(hits) == pytest.approx(0.5, abs=0.075)


def test_the_level_is_half_the_distance_of_the_tenth_pair():
    features = gaussian(0, 60)
    assert duplicate_level(features) == pytest.approx(float(torch.pdist(features).sort().values[9]) / 2)
    assert int(near_duplicates(features, 2 * duplicate_level(features)).sum()) == 20
    with pytest.raises(ValueError, match="fewer than 10 pairs"):
        duplicate_level(features[:4])


def test_near_duplicates_are_counted_in_chunks_and_at_any_offset(monkeypatch):
    features = gaussian(0, 50)
    expected = (torch.cdist(features, features) <= 0.8).sum(dim=1) - 1
    monkeypatch.setattr(birthday, "_CHUNK", 7)
    assert torch.equal(near_duplicates(features, 0.8), expected)
    assert near_duplicates((features + 1e4).repeat(2, 1), 0.0).tolist() == [1] * 100


def test_a_large_set_is_sampled_by_its_seed(monkeypatch):
    monkeypatch.setattr(birthday, "MOST_PAIRED", 20)
    features = gaussian(0, 50)
    assert torch.equal(paired(features, seed=1), paired(features, seed=1))
    assert paired(features, seed=1).tolist() != paired(features, seed=2).tolist()
    assert len(paired(features, seed=1)) == 20
