"""What goes wrong with kernel distances, Inception scores and class counts elsewhere, and does not here."""

import math

import numpy as np
import pytest
import torch

from attacks.random import integers, normal
from evaluation.fidelity.inception_score import inception_score, split_scores
from evaluation.fidelity.kernel import kernel_estimate
from evaluation.fidelity.kernel_subsets import kernel_subsets, subset_estimate
from evaluation.modes.rows import mode_rows
from evaluation.statistics.histograms import reverse_divergence


def gaussian(seed: int, count: int, dim: int = 6) -> torch.Tensor:
    return normal(seed, torch.arange(count), (dim,), dtype=torch.float64)


def test_clean_fid_and_stylegan3_draw_unseeded_subsets() -> None:
    """The kernel distance depends on no global generator, over all pairs or over subsets."""
    real, fake = gaussian(0, 90), gaussian(1, 80)
    found = []
    for seed in (0, 1):
        np.random.seed(seed)
        torch.manual_seed(seed)
        found.append((kernel_estimate(real, fake), kernel_subsets(real, fake, num_subsets=5, size=40).tolist()))
    assert found[0] == found[1]


def test_torch_fidelity_and_torchmetrics_sell_the_spread_of_overlapping_subsets_as_a_standard_error() -> None:
    """Small subsets spread far more than the value does; the interval is as wide as fresh samples spread."""
    fresh = torch.tensor([kernel_estimate(gaussian(2 * k, 300), gaussian(2 * k + 1, 300)).value for k in range(60)])
    real, fake = gaussian(0, 300), gaussian(1, 300)
    spread = float(kernel_subsets(real, fake, num_subsets=50, size=30).std())
    assert spread > 4 * float(fresh.std())
    found = subset_estimate(real, fake, num_subsets=2000, size=30)
    assert (found.high - found.low) / 2 < 8 * float(fresh.std())


def test_torch_fidelity_returns_nan_for_fewer_images_than_splits() -> None:
    """Fewer images than an Inception score needs are refused in one line."""
    with pytest.raises(ValueError, match="over 10 splits needs 20 images, not 9"):
        inception_score(torch.full((9, 4), 0.25))


def test_torch_fidelity_returns_exactly_1_for_as_many_images_as_splits() -> None:
    """A split of one image always scores 1, whatever it shows; so two images a split are the least."""
    sure = torch.eye(10)
    with pytest.raises(ValueError, match="not 10"):
        inception_score(sure)
    assert inception_score(sure.repeat(2, 1), num_splits=1).value == pytest.approx(10)


def test_stylegan3_p_log_p_is_nan_where_a_probability_underflows() -> None:
    """A probability of exactly 0 adds nothing to the divergence."""
    underflown = torch.tensor([[0.0, 200.0], [200.0, 0.0]]).softmax(dim=1).repeat(20, 1)
    assert bool((underflown == 0).any())
    assert bool((underflown * underflown.log()).isnan().any())
    assert inception_score(underflown, num_splits=1).value == pytest.approx(2)


def test_torchmetrics_cuts_chunks_of_unequal_number() -> None:
    """Twelve images make as many splits as are asked for, all of them used, with sizes that differ by one at most."""
    probabilities = (3 * normal(0, torch.arange(12), (5,))).softmax(dim=1)
    assert len(probabilities.chunk(5)) == 4
    assert len(split_scores(probabilities, num_splits=5)) == 5


def test_dgm_eval_drops_the_images_that_fill_no_split() -> None:
    """Each image counts: one more changes the score."""
    probabilities = (3 * normal(0, torch.arange(105), (5,))).softmax(dim=1)
    changed = probabilities.clone()
    changed[-1] = torch.eye(5)[0]
    assert bool((split_scores(probabilities, seed=None) != split_scores(changed, seed=None)).any())


def test_torchmetrics_takes_the_score_in_float32() -> None:
    """Probabilities in float32 or float64 give the same sum, in float64."""
    probabilities = (3 * normal(0, torch.arange(5000), (100,))).softmax(dim=1)
    exact = split_scores(probabilities.double())
    assert torch.equal(split_scores(probabilities), exact)


def test_the_kernel_in_float32_loses_a_small_distance_far_from_the_origin() -> None:
    """Uncentred float32 sums are wrong in the second digit where features have a large mean; ours are not."""
    real, fake = (gaussian(seed, 400, 16).float() + 60 for seed in (0, 1))
    kernel = [((a @ b.T / 16 + 1) ** 3).numpy() for a, b in ((real, real), (fake, fake), (real, fake))]
    inside = sum(float(k.sum() - np.trace(k)) / (400 * 399) for k in kernel[:2])
    naive = inside - 2 * float(kernel[2].mean())
    exact = kernel_estimate(real.double(), fake.double()).value
    assert abs(naive - exact) > 0.01 * abs(exact)
    assert kernel_estimate(real, fake).value == pytest.approx(exact, rel=1e-4)


def test_a_missing_mode_does_not_vanish_from_the_divergence() -> None:
    """Classes that one side lacks stay in the histogram: with one missing, KL(fake || real) is positive or infinite."""
    real, fake = torch.tensor([20] * 5), torch.tensor([20] * 4 + [0])
    assert float(reverse_divergence(real, fake)) == pytest.approx(math.log(5 / 4))
    assert float(reverse_divergence(fake, real)) == math.inf


def test_a_count_of_modes_without_its_sample_size_and_interval() -> None:
    """Three modes of four seen in a few images are reported as a number that more images may change."""
    from evaluation.features.features import Features
    from evaluation.features.seen import Sample, Seen

    def sample(classes: torch.Tensor) -> Sample:
        return Sample(features=Features(torch.zeros(len(classes), 1), torch.eye(4)[classes], "cnn", "0"))

    seen = Seen(real=sample(integers(0, torch.arange(100), 4)), fake=sample(torch.tensor([0, 0, 1, 2, 2])))
    ((_, estimate, samples, _),) = mode_rows(seen, ["modes_covered"])
    assert (estimate.value, samples) == (3, 5)
    assert estimate.low < 3 < estimate.high
