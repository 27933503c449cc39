"""Mean and covariance that another tool computed and saved: all that a Fréchet distance needs, and nothing else."""

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from advgan.data.reading.array_files import check_growth
from advgan.error_text import one_line
from evaluation.record.findings import Finding

KEYS = ("mu", "sigma")
"""Keys of the mean and the covariance in files of pytorch-fid, clean-fid, TTUR and EDM."""
_ASYMMETRY = 1e-6
"""Tolerated asymmetry of a covariance, relative to its largest entry, by rounding."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Statistics:
    """The first two moments of a set of features, seen by an extractor that the file does not name."""

    name: str
    digest: str
    mean: Tensor
    """(D,) float64."""
    covariance: Tensor
    """(D, D) float64, symmetric."""
    num: int | None = None
    """Images that they were made of; None where the file does not say."""


def is_statistics(names: Any) -> bool:
    """Whether the arrays of a file are statistics."""
    return set(KEYS) <= set(names)


def read_statistics(path: Path, *, name: str) -> Statistics:
    """Read `mu` (D,) and `sigma` (D, D), and `num` where the file has it, from an `.npz`.

    Raises ValueError in one line where they are damaged, do not fit each other, or cannot be a covariance.
    """
    check_growth(path)
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {key: np.asarray(file[key], dtype=np.float64) for key in KEYS}
            num = int(file["num"]) if "num" in file.files else None
    except Exception as error:  # a damaged file can raise nearly anything
        raise ValueError(
            f"{name} holds statistics that cannot be read ({one_line(error, longest=120)}): write them again"
        ) from None
    mean, covariance = (torch.from_numpy(arrays[key]) for key in KEYS)
    _check(name, mean, covariance)
    digest = sha256(mean.numpy().tobytes() + covariance.numpy().tobytes()).hexdigest()[:12]
    return Statistics(name=name, digest=digest, mean=mean, covariance=covariance, num=num)


def statistics_findings(statistics: Statistics) -> list[Finding]:
    """What precomputed statistics do not allow."""
    unknown = " Nor does it say how many images there were, so there is no noise floor." if not statistics.num else ""
    return [
        Finding(
            "warning",
            "Precomputed statistics",
            f"{statistics.name} holds a mean and a covariance of {len(statistics.mean)} features, but neither the "
            f"images nor how they were resized and by which network they were seen.{unknown}",
            "Only a Fréchet distance can be made of it, and only an equal protocol makes it mean something: give the "
            "images themselves where you have them.",
            code="precomputed-statistics",
        )
    ]


def _check(name: str, mean: Tensor, covariance: Tensor) -> None:
    size = len(mean) if mean.ndim == 1 else 0
    if size == 0 or covariance.shape != (size, size):
        raise ValueError(
            f"{name}: mu {tuple(mean.shape)} and sigma {tuple(covariance.shape)} do not belong together: (D,) and "
            "(D, D) are needed"
        )
    if not bool(mean.isfinite().all()) or not bool(covariance.isfinite().all()):
        raise ValueError(f"{name} holds NaN or infinity: make the statistics again")
    if float((covariance - covariance.T).abs().max()) > _ASYMMETRY * float(covariance.abs().max()):
        raise ValueError(f"{name}: sigma is not symmetric, so it is no covariance: make the statistics again")
    deviations = covariance.diagonal().clamp(min=0).sqrt()  # a negative variance is then beyond its own bound
    if bool((covariance.abs() > deviations.outer(deviations) * (1 + _ASYMMETRY) + 1e-12).any()):
        raise ValueError(f"{name}: sigma has correlations beyond 1, so it is no covariance: make the statistics again")
