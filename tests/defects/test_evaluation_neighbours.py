"""What goes wrong with neighbourhood scores in prdc 0.2 and torch-fidelity 0.4.0, and does not here."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor
from torch_fidelity.metric_prc import prc_features_to_metric

from attacks.random import normal
from evaluation.features.neighbours import nearest, nearest_others
from evaluation.neighbourhoods.precision_recall import neighbourhoods, null_coverage, precision_recall


def gaussian(seed: int, count: int, dim: int = 8) -> Tensor:
    return normal(seed, torch.arange(count), (dim,), dtype=torch.float64)


def open_balls(real: Tensor, fake: Tensor, k: int) -> tuple[float, float, float, float]:
    """The scores by prdc's rule: strictly nearer than the k-th neighbour."""
    own, others, across = (torch.cdist(a, b) for a, b in ((real, real), (fake, fake), (real, fake)))
    real_radii, fake_radii = (distances.kthvalue(k + 1, dim=1).values for distances in (own, others))
    inside = across < real_radii[:, None]
    precise, recalled = inside.any(dim=0), (across < fake_radii).any(dim=1)
    flags = (precise, recalled, inside.double().sum(dim=0) / k, across.amin(dim=1) < real_radii)
    return tuple(float(values.double().mean()) for values in flags)  # type: ignore[return-value]


def test_prdc_open_balls_score_a_repeated_set_0_against_itself() -> None:
    """Rows that are there more than k times have radius 0, and an open ball of radius 0 does not hold its centre."""
    rows = gaussian(0, 30).repeat(7, 1)
    assert open_balls(rows, rows, 5) == (0, 0, 0, 0)
    found = precision_recall(rows, rows)
    assert [found[name].value for name in ("precision", "recall", "coverage")] == [1, 1, 1]
    assert found["density"].value == 7 / 5


def test_torch_fidelity_takes_the_generated_set_first() -> None:
    """Given (real, fake), the order of every other metric, it returns recall as precision and precision as recall."""
    real, fake = gaussian(0, 300), 0.3 * gaussian(1, 300)
    swapped = prc_features_to_metric(real, fake, verbose=False)
    found = precision_recall(real, fake)
    assert found["precision"].value > 0.9 > 0.2 > found["recall"].value
    assert (swapped["precision"], swapped["recall"]) == pytest.approx((found["recall"].value, found["precision"].value))


def test_torch_fidelity_float32_distances_of_a_row_to_itself() -> None:
    """Far from the origin float32 products cancel: a row seems as far from itself as from its neighbours."""
    rows = gaussian(0, 200, 64).float() + 1000
    assert float(torch.cdist(rows, rows, compute_mode="use_mm_for_euclid_dist").diagonal().max()) > 5
    assert float(nearest(rows, rows, 1)[0].max()) == 0
    real, fake = gaussian(1, 300, 64), gaussian(2, 300, 64)
    offset = [(rows * 2**10).round() / 2**10 for rows in (real, fake)]  # so that 1000 more rounds nothing
    found = neighbourhoods(*offset)
    assert all(torch.equal(a, b) for a, b in zip(found, neighbourhoods(*(rows + 1000 for rows in offset)), strict=True))


def test_torch_matmul_precision_changes_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that lets float32 products be made of bfloat16 or TF32 gets other neighbours; here it is held off."""
    used, addmm, before = set(), torch.addmm, torch.get_float32_matmul_precision()

    def watched(*args: Tensor, alpha: float) -> Tensor:
        used.add(torch.get_float32_matmul_precision())
        return addmm(*args, alpha=alpha)

    monkeypatch.setattr(torch, "addmm", watched)
    try:
        torch.set_float32_matmul_precision("medium")
        neighbourhoods(gaussian(0, 400, 64).float(), gaussian(1, 300, 64).float())
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(before)
    assert used == {"highest"}


def test_prdc_and_torch_fidelity_hold_whole_matrices() -> None:
    """They keep all N x M distances, three times; here a tile is the most that is held, whatever N and M."""
    largest = 0

    class Watch(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
            nonlocal largest
            made = function(*args, **(kwargs or {}))
            if isinstance(made, Tensor):
                largest = max(largest, made.numel())
            return made

    real, fake = gaussian(0, 2500, 4).float(), gaussian(1, 2300, 4).float()
    with Watch():
        neighbourhoods(real, fake)
    assert largest <= 1024 * 1024 < 2500 * 2300


def test_prdc_needs_more_samples_than_it_says() -> None:
    """With N = k + 1 samples, each of which has k neighbours, numpy's partition is asked for a place past the end."""
    distances = torch.cdist(gaussian(0, 6), gaussian(0, 6)).numpy()
    with pytest.raises(ValueError, match="out of bounds"):
        np.argpartition(distances, 6, axis=-1)  # prdc's nearest_k + 1
    assert neighbourhoods(gaussian(0, 6), gaussian(1, 6)).density.isfinite().all()


def test_k_too_large_for_the_set_is_clipped() -> None:
    """Where a set has no k other samples, the farthest must not stand in for the k-th: it is refused."""
    with pytest.raises(ValueError, match="real features are \\(5, 8\\): at least 6 rows"):
        precision_recall(gaussian(0, 5), gaussian(1, 50))
    with pytest.raises(ValueError, match="5 nearest neighbours need as many other samples, and there are 4"):
        nearest_others(gaussian(0, 5), 5)


def test_torch_fidelity_scores_nan_features() -> None:
    """One broken image makes distances NaN, which are nearer than nothing: precision falls, and nobody says why."""
    real, fake = gaussian(0, 50), gaussian(1, 50)
    fake[7, 3] = math.nan
    assert prc_features_to_metric(fake, real, verbose=False)["precision"] < 1
    with pytest.raises(ValueError, match="fake features hold NaN or infinity"):
        precision_recall(real, fake)


def test_a_perfect_generator_is_expected_to_cover_everything() -> None:
    """Coverage of equal distributions is far from 1 where fakes are few; beside it stands what to expect."""
    found = [float(neighbourhoods(gaussian(t, 300), gaussian(t + 99, 60)).covered.double().mean()) for t in range(12)]
    assert sum(found) / 12 == pytest.approx(null_coverage(300, 60), abs=0.03)
    assert null_coverage(300, 60) < 0.61


def test_intervals_given_the_other_set_are_too_narrow() -> None:
    """Wilson's interval of a share takes the neighbourhoods as given: it forgets most of what varies."""
    sets = [(gaussian(2 * trial, 60), gaussian(2 * trial + 1, 300)) for trial in range(80)]
    values = np.array([float(neighbourhoods(*pair).fake_in_real.double().mean()) for pair in sets])
    assert values.var() > 2.5 * values.mean() * (1 - values.mean()) / 300
    found = [precision_recall(*pair)["precision"] for pair in sets[:8]]
    widths = np.array([estimate.high - estimate.low for estimate in found]) / (2 * 2.0)
    assert (widths**2).mean() == pytest.approx(values.var(), rel=0.4)
