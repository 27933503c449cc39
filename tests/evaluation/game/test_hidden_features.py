import pytest
import torch
from torch import nn

from advgan.config import GanNetworks
from advgan.models.gans.families import build_discriminator
from evaluation.game.discriminator import view_of
from evaluation.game.hidden_features import hidden_features


class Centred(nn.Module):
    """A discriminator whose features are those of a batch norm that takes the statistics of its batch."""

    def __init__(self, num_classes: int = 0) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.scale = nn.Parameter(torch.ones(()))

    def features(self, images, labels=None):
        rows = images.flatten(1) * self.scale
        return rows - rows.mean(dim=0)


def test_features_keep_the_order_of_the_images_and_the_mode_of_the_network() -> None:
    networks = GanNetworks(width=4, discriminator_norm="layer")
    discriminator = build_discriminator(networks, size=8, channels=1, num_classes=0).train()
    images = torch.rand(50, 1, 8, 8)
    found = hidden_features(discriminator, images, batch_size=16)
    assert torch.allclose(found, discriminator.features(images * 2 - 1), atol=1e-5)
    assert discriminator.training


def test_images_sorted_by_class_are_not_a_batch_each() -> None:
    """A batch of one class would centre it away."""
    images = torch.cat([torch.zeros(300, 1, 2, 2), torch.ones(300, 1, 2, 2)])
    found = hidden_features(Centred(), images, batch_size=150)
    assert found[:300].max() < -0.8
    assert found[300:].min() > 0.8


def test_no_batch_is_a_small_rest() -> None:
    sizes = []
    discriminator = Centred()
    inner = discriminator.features
    discriminator.features = lambda images, labels=None: sizes.append(len(images)) or inner(images)
    hidden_features(discriminator, torch.rand(257, 1, 2, 2), batch_size=256)
    assert sizes == [129, 128]


def test_features_that_are_not_an_images_own_are_refused() -> None:
    with pytest.raises(ValueError, match="depend on labels"):
        hidden_features(Centred(10), torch.rand(4, 1, 2, 2))
    packing = view_of(nn.Identity(), packing=2)
    with pytest.raises(ValueError, match="judges packs: 4 images gave 2 rows"):
        hidden_features(Centred(), torch.rand(4, 1, 2, 2), view=packing)
