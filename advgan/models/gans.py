"""The table of GAN families, and networks from a configuration."""

from collections.abc import Callable
from typing import NamedTuple

from advgan.config import GanNetworks
from advgan.models.dcgan import DcganDiscriminator, DcganGenerator, Normalization
from advgan.models.interface import Discriminator, Generator
from advgan.models.mlp_gan import MlpDiscriminator, MlpGenerator


class Shape(NamedTuple):
    """What the data decide: the side and channels of the images, and the classes that a network is told (0: none)."""

    size: int
    channels: int
    num_classes: int


class Family(NamedTuple):
    """How one family of networks is built, and the smallest images that it draws."""

    generator: Callable[[GanNetworks, Shape], Generator]
    discriminator: Callable[[GanNetworks, Shape, Normalization], Discriminator]
    smallest: int


def _mlp_generator(networks: GanNetworks, shape: Shape) -> Generator:
    return MlpGenerator(
        size=shape.size,
        channels=shape.channels,
        num_classes=shape.num_classes,
        latent_dim=networks.latent_dim,
        latent_kind=networks.latent_kind,
        units=8 * networks.width,
    )


def _mlp_discriminator(networks: GanNetworks, shape: Shape, normalization: Normalization) -> Discriminator:
    return MlpDiscriminator(
        size=shape.size, channels=shape.channels, num_classes=shape.num_classes, units=8 * networks.width
    )


def _dcgan_generator(networks: GanNetworks, shape: Shape) -> Generator:
    return DcganGenerator(
        size=shape.size,
        channels=shape.channels,
        num_classes=shape.num_classes,
        latent_dim=networks.latent_dim,
        latent_kind=networks.latent_kind,
        width=networks.width,
    )


def _dcgan_discriminator(networks: GanNetworks, shape: Shape, normalization: Normalization) -> Discriminator:
    return DcganDiscriminator(
        size=shape.size,
        channels=shape.channels,
        num_classes=shape.num_classes,
        width=networks.width,
        normalization=normalization,
    )


GANS: dict[str, Family] = {
    "mlp": Family(_mlp_generator, _mlp_discriminator, smallest=1),
    "dcgan": Family(_dcgan_generator, _dcgan_discriminator, smallest=8),
}


def build_generator(networks: GanNetworks, *, size: int, channels: int, num_classes: int) -> Generator:
    """Build a generator with the global random generator's weights; `num_classes` counts the classes of the data."""
    return _family(networks, size).generator(networks, _shape(networks, size, channels, num_classes))


def build_discriminator(
    networks: GanNetworks, *, size: int, channels: int, num_classes: int, normalization: Normalization = "batch"
) -> Discriminator:
    """Build a discriminator; `normalization` "layer" for one whose samples must not see each other (penalties)."""
    shape = _shape(networks, size, channels, num_classes)
    return _family(networks, size).discriminator(networks, shape, normalization)


def _family(networks: GanNetworks, size: int) -> Family:
    family = GANS[networks.family]
    if size < family.smallest:
        raise ValueError(
            f"family {networks.family} draws images from {family.smallest} pixels up, these have {size}: "
            f"resize them to {family.smallest} or choose family mlp"
        )
    return family


def _shape(networks: GanNetworks, size: int, channels: int, num_classes: int) -> Shape:
    if networks.conditional and num_classes < 1:
        raise ValueError("a conditional GAN needs labelled data, and these have no classes: set conditional false")
    return Shape(size, channels, num_classes if networks.conditional else 0)
