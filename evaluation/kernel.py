"""The kernel distance (KID): the squared maximum mean discrepancy with a cubic kernel, unbiased at any sample size."""

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from evaluation.features import as_double, check_features
from evaluation.intervals import NUM_GROUPS, Estimate, deal, jackknife_interval

_CHUNK = 1024


def polynomial_kernel(first: Tensor, second: Tensor) -> Tensor:
    """(x.y / D + 1)^3 for all pairs: (N, D) and (M, D) to (N, M)."""
    return (first @ second.T / first.shape[1] + 1) ** 3


def kernel_distance(real_features: Tensor, fake_features: Tensor) -> float:
    """Estimate the squared MMD over all pairs of samples (Bińkowski et al., 2018), in float64.

    Both are (N, D). Pairs within a set leave out the sample itself, so the expectation at equal distributions is 0 and
    a value slightly below 0 is as good as 0. The usual mean over 100 subsets of 1000 estimates the same number with
    noise of its own on top; this is its limit.
    """
    return kernel_estimate(real_features, fake_features).value


def kernel_estimate(
    real_features: Tensor, fake_features: Tensor, *, seed: int = 0, num_groups: int = NUM_GROUPS
) -> Estimate:
    """The distance with its delete-a-group jackknife interval; all replicates come from one pass over the pairs."""
    real, fake = as_double(real_features), as_double(fake_features)
    check_features(real, fake, least=2)
    num_groups = min(num_groups, len(real), len(fake))
    real_groups, fake_groups = (
        one_hot(deal(len(features), num_groups, seed=seed, stream=stream), num_groups).to(features)
        for stream, features in enumerate((real, fake))
    )
    within_real, within_fake = _within(real, real_groups), _within(fake, fake_groups)
    across = _across(real, real_groups, fake, fake_groups)
    sizes = real_groups.sum(dim=0), fake_groups.sum(dim=0)

    def estimate(keep: Tensor) -> float:
        num_real, num_fake = float(sizes[0][keep].sum()), float(sizes[1][keep].sum())
        if min(num_real, num_fake) < 2:
            return float("nan")
        return float(
            within_real[keep][:, keep].sum() / (num_real * (num_real - 1))
            + within_fake[keep][:, keep].sum() / (num_fake * (num_fake - 1))
            - 2 * across[keep][:, keep].sum() / (num_real * num_fake)
        )

    everything = torch.ones(num_groups, dtype=torch.bool, device=real.device)
    value = estimate(everything)
    left_out = torch.eye(num_groups, dtype=torch.bool, device=real.device)
    return Estimate(value, *jackknife_interval(value, [estimate(~row) for row in left_out]))


def _across(real: Tensor, real_groups: Tensor, fake: Tensor, fake_groups: Tensor) -> Tensor:
    """Sum of the kernel over all pairs, by group of the real and of the fake sample: (G, G)."""
    total = real.new_zeros(real_groups.shape[1], fake_groups.shape[1])
    for rows, groups in zip(real.split(_CHUNK), real_groups.split(_CHUNK), strict=True):
        total += groups.T @ (polynomial_kernel(rows, fake) @ fake_groups)
    return total


def _within(features: Tensor, groups: Tensor) -> Tensor:
    """Sum of the kernel over all pairs of different samples of one set, by their groups: (G, G).

    Only sums over the same groups in both directions are right: pairs from different chunks are entered on one side.
    """
    total = features.new_zeros(groups.shape[1], groups.shape[1])
    for start in range(0, len(features), _CHUNK):
        stop = min(start + _CHUNK, len(features))
        block = polynomial_kernel(features[start:stop], features[start:])
        block[:, : stop - start].fill_diagonal_(0)
        total += groups[start:stop].T @ block[:, : stop - start] @ groups[start:stop]
        total += 2 * groups[start:stop].T @ block[:, stop - start :] @ groups[stop:]  # and the same pairs turned round
    return total
