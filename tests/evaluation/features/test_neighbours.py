import pytest
import torch

from attacks.random import normal
from evaluation.features import tiles
from evaluation.features.neighbours import nearest, nearest_others
from evaluation.features.tiles import clouds, squared_distances, tile


def gaussian(seed, count, dim=8):
    return normal(seed, torch.arange(count), (dim,), dtype=torch.float64)


def distances(rows, columns):
    return torch.cdist(rows.double(), columns.double(), compute_mode="donot_use_mm_for_euclid_dist")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("k", [1, 4, 30])
def test_the_nearest_are_those_of_all_distances(dtype, k):
    rows, columns = gaussian(0, 70).to(dtype), gaussian(1, 1500).to(dtype)
    expected = distances(rows, columns).topk(k, largest=False)
    found, indices = nearest(rows, columns, k)
    assert torch.equal(indices, expected.indices)
    torch.testing.assert_close(found, expected.values, rtol=1e-14, atol=0)


def test_a_sample_is_not_its_own_neighbour_but_its_copy_is():
    rows = torch.cat([gaussian(0, 1200).float(), gaussian(0, 3).float()])
    found, indices = nearest_others(rows, 2)
    assert indices[:3, 0].tolist() == [1200, 1201, 1202]
    assert indices[1200:, 0].tolist() == [0, 1, 2]
    assert (found[:, 0] == 0).sum() == 6
    everything = distances(rows, rows).fill_diagonal_(torch.inf)
    torch.testing.assert_close(found, everything.topk(2, largest=False).values, rtol=1e-14, atol=0)


def test_tiles_change_nothing(monkeypatch):
    rows, columns = gaussian(0, 40), gaussian(1, 50)
    whole = nearest(rows, columns, 6), nearest_others(rows, 6)
    monkeypatch.setattr(tiles, "_rows_at_once", lambda features: 9)  # the last tile has 4 rows, fewer than neighbours
    for (before, first), (after, second) in zip(
        whole, (nearest(rows, columns, 6), nearest_others(rows, 6)), strict=True
    ):
        assert torch.equal(before, after)
        assert torch.equal(first, second)


@pytest.mark.parametrize("offset", [0, 1e4])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("dim", [1, 40, 700])
def test_a_tile_bounds_the_distances(dtype, dim, offset):
    left, right = clouds(gaussian(0, 50, dim).float() + offset, 3 * gaussian(1, 60, dim).float() + offset)
    rows, columns = torch.arange(50).repeat_interleave(60), torch.arange(60).repeat(50)
    exact = squared_distances(left, rows, right, columns).reshape(50, 60)
    bounds = tile(left, slice(0, 50), right, slice(0, 60), dtype)
    assert (bounds.lower <= exact).all()
    assert (exact <= bounds.lower + bounds.row_slack[:, None] + bounds.column_slack).all()
    assert (bounds.row_slack[:, None] + bounds.column_slack).max() < 1e-3 * exact.max()


@pytest.mark.parametrize("k", [0, 5])
def test_there_must_be_k_others(k):
    with pytest.raises(ValueError, match=f"{k} nearest neighbours need as many other samples, and there are 4"):
        nearest_others(gaussian(0, 5), k)
    with pytest.raises(ValueError, match="there are 4"):
        nearest(gaussian(0, 9), gaussian(1, 4), k)


def test_no_row_has_no_neighbours():
    found, indices = nearest(gaussian(0, 0), gaussian(1, 4), 2)
    assert found.shape == indices.shape == (0, 2)
