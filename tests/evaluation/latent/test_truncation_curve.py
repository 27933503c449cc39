import math

import pytest
import torch
from torch import Tensor, nn

from advgan.models.latents import LatentSpace
from evaluation.features.features import Extractor, Features
from evaluation.latent.truncation_curve import TruncationPoint, trades_monotonically, truncation_curve
from evaluation.statistics.intervals import Estimate


class Plain(nn.Module):
    """Draws its two latents as two grey levels about the middle: real images of the plane are its own samples."""

    num_classes = 0

    def __init__(self, kind: str = "normal") -> None:
        super().__init__()
        self.space = LatentSpace(2, kind)
        self.scale = nn.Parameter(torch.tensor(0.2))

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        return (latents * self.scale).clamp(-1, 1)[:, :, None, None]


def pixels(images: Tensor) -> tuple[Tensor, Tensor]:
    return images.flatten(1), torch.ones(len(images), 1)


EXTRACTOR = Extractor("pixels", "0", pixels, rounds=False)


def real_of(generator: Plain) -> Features:
    latents = torch.randn(600, 2, generator=torch.Generator().manual_seed(9))
    values, probabilities = pixels((generator(latents).detach() + 1) / 2)
    return Features(values, probabilities, "pixels", "0")


def test_a_perfect_generator_trades_recall_for_precision() -> None:
    """Its truncated samples lie where real ones are dense: the fewer tails, the fewer real images are reached."""
    generator = Plain()
    points = truncation_curve(generator, real_of(generator), EXTRACTOR, num_samples=400, thresholds=(1.0, 0.3))
    assert [point.threshold for point in points] == [0.3, 1.0, None]
    assert trades_monotonically(points)
    assert points[0].precision.value > points[-1].precision.value - 1e-9
    # A real image is out of reach where a coordinate lies well beyond the threshold: P(|z| < t)^2 are within it.
    for point in points[:2]:
        inside = math.erf(point.threshold / math.sqrt(2)) ** 2
        assert point.recall.value == pytest.approx(inside, abs=0.12)
    assert points[-1].recall.value > 0.9


def test_every_break_of_the_order_is_seen() -> None:
    def point(precision: float, recall: float) -> TruncationPoint:
        return TruncationPoint(1.0, Estimate(precision, 0, 1), Estimate(recall, 0, 1))

    assert trades_monotonically([point(0.9, 0.1), point(0.8, 0.1), point(0.8, 0.5)])
    assert not trades_monotonically([point(0.9, 0.1), point(0.91, 0.5)])
    assert not trades_monotonically([point(0.9, 0.5), point(0.8, 0.4)])


def test_latents_without_tails_are_refused() -> None:
    with pytest.raises(ValueError, match="uniform latents have no tails"):
        truncation_curve(Plain("uniform"), real_of(Plain()), EXTRACTOR, num_samples=20)
