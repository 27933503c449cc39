"""Cells: a partition of feature space by k-means, in which two sets are counted and compared (NDB, C_T)."""

import warnings

import numpy as np
import torch
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from torch import Tensor

from attacks.random import permutation
from evaluation.features.features import as_double

MOST_DIRECTIONS = 64
"""Number of principal components to which features are reduced before k-means, as in Meehan et al. (2020)."""
MOST_FITTED = 10_000
"""Samples that the cells are fitted to where there are more."""
_FITTED = 1 << 21
"""Stream of attacks.random for the samples that cells are fitted to."""


class Cells:
    """Cells of k-means (Lloyd, 1982) about centres fitted to (N, D) features, seeded.

    Fewer than `num_cells` are ever filled where there are fewer different rows. Raises ValueError where there are fewer
    rows than cells.
    """

    def __init__(self, features: Tensor, num_cells: int, *, seed: int = 0) -> None:
        if not 1 <= num_cells <= len(features):
            raise ValueError(f"{num_cells} cells cannot be fitted to {len(features)} samples: ask for fewer cells")
        some = permutation(seed, len(features), stream=_FITTED)[:MOST_FITTED]
        rows = _array(features[some.to(features.device)])
        self.num_cells = num_cells
        self._projection = None
        if min(rows.shape) > MOST_DIRECTIONS:
            self._projection = PCA(MOST_DIRECTIONS, random_state=seed).fit(rows)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # of fewer different rows than cells
            self._means = KMeans(num_cells, n_init=1, random_state=seed).fit(self._projected(rows))

    def of(self, features: Tensor) -> Tensor:
        """The cell of each row: (N, D) to (N,) int64 in [0, num_cells), on the CPU."""
        parts = [self._means.predict(self._projected(_array(part))) for part in features.split(MOST_FITTED)]
        return torch.from_numpy(np.concatenate(parts)).long()

    def _projected(self, rows: np.ndarray) -> np.ndarray:
        return rows if self._projection is None else self._projection.transform(rows)


def _array(features: Tensor) -> np.ndarray:
    return as_double(features).cpu().numpy()
