"""Points on a line or in the plane whose distribution is known: mixtures of equal round Gaussians, the modes.

A point is an image of one pixel with a channel for each coordinate, in float32. `ring` and `grid` are those of Lin et
al. (2018, PacGAN, after Srivastava et al., 2017), 100,000 training points each; `gaussian` is the usual first example.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from advgan.data.imageset import Data, ImageSet
from attacks.random import integers, normal

NUM_TRAIN = 100_000
NUM_HELD_OUT = 10_000
_STREAM = 1 << 41  # far from those of splits and epochs, whose seed may be the same


@dataclass(frozen=True)
class PointModes:
    """A mixture of equally likely isotropic Gaussians of one standard deviation, and the square that holds them.

    Coordinates from `middle - reach` to `middle + reach` are mapped to [0, 1]. No drawn point leaves that range: the
    normal values of `attacks.random` stay within 5.8 standard deviations. Generated points may, and are not clipped.
    """

    means: tuple[tuple[float, ...], ...]
    deviation: float
    middle: float
    reach: float

    @property
    def dim(self) -> int:
        """Number of coordinates."""
        return len(self.means[0])

    @property
    def classes(self) -> tuple[str, ...]:
        """The mode as a name, such as "(1.00, 0.00)"."""
        return tuple("(" + ", ".join(f"{round(value, 2) + 0.0:.2f}" for value in mean) + ")" for mean in self.means)

    def images(self, points: Tensor) -> Tensor:
        """Coordinates (N, D) to images (N, D, 1, 1) in the unit range."""
        return ((points - self.middle) / (2 * self.reach) + 0.5)[:, :, None, None]

    def points(self, images: Tensor) -> Tensor:
        """The inverse: images (N, D, 1, 1), inside the unit range or not, to coordinates (N, D)."""
        return (images.flatten(1) - 0.5) * (2 * self.reach) + self.middle

    def distances(self, points: Tensor) -> Tensor:
        """Distances from points (N, D) to every mode, in standard deviations: (N, K) float64."""
        means = torch.tensor(self.means, dtype=torch.float64)
        return torch.cdist(points.cpu().double(), means, compute_mode="donot_use_mm_for_euclid_dist") / self.deviation


_RING = tuple((math.cos(math.pi * turn / 4), math.sin(math.pi * turn / 4)) for turn in range(8))
_GRID = tuple((float(x), float(y)) for x in range(-4, 5, 2) for y in range(-4, 5, 2))

POINTS = {
    "gaussian": PointModes(((4.0,),), deviation=0.5, middle=4.0, reach=4.0),
    "ring": PointModes(_RING, deviation=0.01, middle=0.0, reach=1.25),
    "grid": PointModes(_GRID, deviation=0.05, middle=0.0, reach=5.0),
}
"""N(4, 0.5) in [0, 8]; 8 modes on the circle of radius 1, in [-1.25, 1.25]^2; 5x5 modes from -4 to 4, in [-5, 5]^2."""


def draw_points(name: str, *, seed: int, count: int | None = None) -> Data:
    """Draw the three splits of one of `POINTS`; point k of a split is a function of (seed, k), whatever the `count`.

    The labels are the numbers of the modes.
    """
    sizes = (count or NUM_TRAIN, NUM_HELD_OUT, NUM_HELD_OUT)
    train, validation, test = (_draw(name, size, seed, _STREAM + 2 * part) for part, size in enumerate(sizes))
    return Data(name, train, validation, test)


def _draw(name: str, count: int, seed: int, stream: int) -> ImageSet:
    modes, indices = POINTS[name], torch.arange(count)
    labels = integers(seed, indices, len(modes.means), stream=stream)
    noise = normal(seed, indices, (modes.dim,), stream=stream + 1, dtype=torch.float64)
    points = torch.tensor(modes.means, dtype=torch.float64)[labels] + modes.deviation * noise
    return ImageSet(modes.images(points).float(), labels, modes.classes, name)
