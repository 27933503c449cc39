"""Perceptual path length: how much an image changes, as an extractor sees it, for a small step in latent space."""

from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import stats
from torch import Tensor

from advgan.models.interface import Generator
from attacks.random import uniform
from evaluation.features.features import Extractor, as_double
from evaluation.latent.paths import Ends, along, look_along
from evaluation.statistics.intervals import CONFIDENCE, UNKNOWN, Estimate

STEP = 1e-4
TRIMMED = (1, 99)
"""Percentiles beyond which lengths are left out, as outliers."""
_TIMES = 42  # stream of where on the path a step is taken


def path_lengths(
    generator: Generator,
    extractor: Extractor,
    ends: Ends,
    *,
    sampling: Literal["full", "end"] = "full",
    step: float = STEP,
    seed: int = 0,
    batch_size: int = 128,
) -> Tensor:
    """Measure d(G(z(t)), G(z(t + step)))^2 / step^2 on each path (Karras et al., 2019): (N,) float64.

    The distance is that of the extractor's features. `full` sampling takes t anywhere on the path, evenly, `end` takes
    t = 0. The default step is the paper's; images stay float, so that it is not lost in rounding.
    """
    if not 0 < step < 1:
        raise ValueError(f"the step of a path length is {step:g}: it must be between 0 and 1, such as {STEP:g}")
    numbers = torch.arange(len(ends))
    starts = uniform(seed, numbers, (), stream=_TIMES, dtype=torch.float64) * (1 - step) * (sampling == "full")
    latents = along(generator.space, ends, torch.stack([starts, starts + step], dim=1))
    seen = as_double(look_along(generator, extractor, latents, ends.labels, batch_size=2 * -(-batch_size // 2)))
    return (seen[:, 1] - seen[:, 0]).square().sum(dim=1) / step**2


def trimmed_mean(values: NDArray[np.float64], axis: int = -1) -> NDArray[np.float64]:
    """Average over an axis what lies between the 1st and the 99th percentile, both included.

    The percentiles are values of the sample, the first rounded to the lower and the last to the higher one, as in the
    code of Karras et al. (2019): of fewer than 102 values none is left out, of 1,000 the 9 on either side.
    """
    low = np.percentile(values, TRIMMED[0], axis=axis, method="lower", keepdims=True)
    high = np.percentile(values, TRIMMED[1], axis=axis, method="higher", keepdims=True)
    kept = (low <= values) & (values <= high)
    found: NDArray[np.float64] = np.where(kept, values, 0).sum(axis=axis) / kept.sum(axis=axis)
    return found


def path_length(lengths: Tensor, *, seed: int = 0, num_resamples: int = 2000) -> Estimate:
    """Average lengths (N,) of independent paths without their outliers, with the percentile bootstrap interval.

    Each resample is trimmed anew. The interval is about the expectation of the trimmed mean at this number of paths.
    Raises ValueError for lengths that are not finite.
    """
    if not bool(lengths.isfinite().all()):
        raise ValueError("path lengths hold NaN or infinity: the generator or the extractor is broken")
    values = as_double(lengths).cpu().numpy()
    value = float(trimmed_mean(values))
    if len(values) < 2 or values.min() == values.max():
        return Estimate(value, *UNKNOWN)
    batch = max(1, 10_000_000 // len(values))
    result = stats.bootstrap(
        (values,),
        trimmed_mean,
        n_resamples=num_resamples,
        batch=batch,
        method="percentile",
        confidence_level=CONFIDENCE,
        rng=seed,
    )
    return Estimate(value, float(result.confidence_interval.low), float(result.confidence_interval.high))
