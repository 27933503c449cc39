"""What is wrong elsewhere with attacks that see scores alone."""

import torch
from torch import nn
from torch.nn import functional as F

from attacks import Classifier
from attacks.black_box.estimation import slope
from attacks.black_box.one_pixel import one_pixel
from attacks.black_box.spsa import spsa
from attacks.norms import LINF
from attacks.random import normal, seeded, uniform
from attacks.samples import Samples


def test_foolbox_nes_weighs_noise_by_the_loss_of_the_whole_batch() -> None:
    """Foolbox multiplies each sample's noise by the batch's summed loss: the cosine falls from .85 to .08 at 256."""
    with seeded(0):
        layer = nn.Linear(16, 3, dtype=torch.float64)
    classifier = Classifier(nn.Sequential(nn.Flatten(), layer))
    images = uniform(0, torch.arange(256), (1, 4, 4), dtype=torch.float64)
    labels = torch.arange(256) % 3

    def estimate(count: int) -> torch.Tensor:
        samples = Samples.of(images[:count], labels[:count], eps=0.1, norm=LINF, targeted=False, indices=None)
        total = torch.zeros_like(samples.images)
        for stream in range(60):
            direction = normal(0, samples.indices, (1, 4, 4), stream=stream, dtype=torch.float64)
            total += slope(classifier, samples, samples.images, direction, radius=1e-3)
        return total

    whole = Samples.of(images, labels, eps=0.1, norm=LINF, targeted=False, indices=None)
    exact = classifier.gradient(images, whole.objective).gradient
    for count in (1, 16, 256):
        cosine = F.cosine_similarity(estimate(count).flatten(1), exact[:count].flatten(1))
        assert cosine.min() > 0.6
        assert cosine.mean() > 0.85
    torch.testing.assert_close(estimate(256)[:16], estimate(16))


def test_torchattacks_spsa_draws_one_noise_for_the_whole_batch() -> None:
    """Torchattacks perturbs all samples by the same signs: what one does not see, none of them does."""
    seen: list[torch.Tensor] = []

    class Watched(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            seen.append(images)
            return F.pad(images.flatten(1).sum(1, keepdim=True), (1, 0))

    images, labels = torch.full((16, 1, 4, 4), 0.5), torch.ones(16, dtype=torch.int64)
    spsa(Classifier(Watched()), images, labels, eps=0.01, queries=4)
    first_probe = seen[1]
    assert len({tuple(image.flatten().tolist()) for image in first_probe}) == 16


def test_torchattacks_one_pixel_attacks_image_by_image() -> None:
    """Torchattacks evolves one image after the other: here a query is one call for all samples together."""
    calls = []

    class Counted(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            calls.append(len(images))
            return F.pad(images.flatten(1).sum(1, keepdim=True), (1, 0))

    images, labels = torch.full((50, 1, 4, 4), 0.5), torch.ones(50, dtype=torch.int64)
    one_pixel(Classifier(Counted()), images, labels, queries=30, population=10)
    assert calls == [50] * 30
