"""Streaming mean and covariance of features: all that the Fréchet distance needs."""

from dataclasses import dataclass

from torch import Tensor

from evaluation.features.features import as_double


@dataclass(frozen=True, eq=False)
class Moments:
    """Number, mean (D,) and scatter (D, D) of rows, in float64; the scatter is the sum of products of deviations.

    Every part is centred on its own mean and parts are joined pairwise (Chan et al., 1983), so that no digits are lost
    where the mean is large beside the spread; sums of squares about 0 lose them all at a ratio of 1e8.
    """

    count: int
    mean: Tensor
    scatter: Tensor

    @classmethod
    def of(cls, features: Tensor) -> "Moments":
        """Take the moments of (N, D) features, N at least 1. Raises ValueError for another shape, NaN or infinity."""
        mean, rows = centred(features)
        return cls(len(rows), mean, rows.T @ rows)

    def __add__(self, other: "Moments") -> "Moments":
        """Join two parts, of one process or of several; the order changes the last digits only.

        Raises ValueError where they have another number of columns.
        """
        if self.mean.shape != other.mean.shape:
            raise ValueError(f"moments of {len(self.mean)} and {len(other.mean)} columns: use one extractor")
        count = self.count + other.count
        gap = other.mean.to(self.mean.device) - self.mean
        scatter = self.scatter + other.scatter.to(gap.device)
        scatter.addr_(gap, gap, alpha=self.count * other.count / count)
        return Moments(count, self.mean + gap * (other.count / count), scatter)

    def covariance(self, *, ddof: int = 1) -> Tensor:
        """Divide the scatter by N - ddof: 1 as most tools have it, 0 as the StyleGAN code.

        Raises ValueError where nothing is left to divide by: one row has no covariance.
        """
        if self.count <= ddof:
            raise ValueError(f"{self.count} row is too few for a covariance over N - {ddof}: give more images")
        return self.scatter / (self.count - ddof)


def centred(features: Tensor) -> tuple[Tensor, Tensor]:
    """The mean (D,) of (N, D) features and their deviations from it (N, D), in float64.

    Raises ValueError for another shape, no rows, NaN or infinity.
    """
    if features.ndim != 2 or len(features) == 0:
        raise ValueError(f"features are {tuple(features.shape)}: moments need at least one row of (N, D)")
    if not bool(features.isfinite().all()):
        raise ValueError("features hold NaN or infinity: the images or the extractor are broken")
    rows = as_double(features)
    mean = rows.mean(dim=0)
    return mean, rows - mean
