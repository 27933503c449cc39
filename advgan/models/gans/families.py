"""The table of GAN families, and networks from a configuration."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from advgan.config import GanNetworks
from advgan.models.gans.biggan import BigganDiscriminator, BigganGenerator
from advgan.models.gans.dcgan import DcganDiscriminator, DcganGenerator
from advgan.models.gans.infogan import InfoganDiscriminator, InfoganGenerator
from advgan.models.gans.lapgan import LapganDiscriminator, LapganGenerator
from advgan.models.gans.mlp_gan import MlpDiscriminator, MlpGenerator
from advgan.models.gans.points import PointsDiscriminator, PointsGenerator
from advgan.models.gans.progressive import ProgressiveDiscriminator, ProgressiveGenerator
from advgan.models.gans.r3gan import R3ganDiscriminator, R3ganGenerator
from advgan.models.gans.sngan import SnganDiscriminator, SnganGenerator
from advgan.models.interface import Discriminator, Generator, Shape
from advgan.models.layers.doubling import doubles


class Family(NamedTuple):
    """How one family of networks is built, and which settings it follows."""

    generator: Callable[[GanNetworks, Shape], Generator]
    discriminator: Callable[[GanNetworks, Shape], Discriminator]
    sizes: Callable[[int], bool]
    says: str
    """The sizes in words."""
    choices: Mapping[str, tuple[str, ...]]
    """Settings of GanNetworks with string values, and the values that this family supports; `auto` means the first.
    Settings that are not listed must keep their default."""
    numbers: tuple[str, ...]
    """The same for settings that are numbers or switches."""


LABELS = ("projection", "concat", "auxiliary", "classes")
MINIBATCH = ("none", "discrimination", "deviation")
SHARED = ("dropout", "packing", "categorical", "continuous")
"""Numbers that every family but the pyramid follows."""
RESIDUAL = {
    "generator_labels": ("batch-norm",),
    "discriminator_labels": LABELS,
    "generator_norm": ("batch",),
    "discriminator_norm": ("spectral", "none"),
    "minibatch": MINIBATCH,
    "resampling": ("nearest", "bilinear"),
    "pooling": ("sum", "mean"),
}
RESIDUAL_NUMBERS = ("synchronised", "rectified_shortcuts")
DOUBLED = "of 4 to 7 pixels doubled any number of times (8, 16, 28, 32, 64, 128, ...)"

GANS: dict[str, Family] = {
    "mlp": Family(
        MlpGenerator,
        MlpDiscriminator,
        sizes=lambda size: size >= 1,
        says="of any size",
        choices={
            "generator_labels": ("concat",),
            "discriminator_labels": LABELS,
            "generator_norm": ("none",),
            "discriminator_norm": ("none", "spectral"),
            "minibatch": MINIBATCH,
        },
        numbers=SHARED,
    ),
    "points": Family(
        PointsGenerator,
        PointsDiscriminator,
        sizes=lambda size: size == 1,
        says="of one pixel, which are points",
        choices={
            "generator_labels": ("concat",),
            "discriminator_labels": LABELS,
            "generator_norm": ("batch", "none"),
            "discriminator_norm": ("none", "spectral"),
            "minibatch": MINIBATCH,
        },
        numbers=SHARED,
    ),
    "dcgan": Family(
        DcganGenerator,
        DcganDiscriminator,
        sizes=lambda size: size >= 8,
        says="from 8 pixels up",
        choices={
            "generator_labels": ("concat", "batch-norm"),
            "discriminator_labels": LABELS,
            "generator_norm": ("batch", "virtual", "none"),
            "discriminator_norm": ("batch", "layer", "spectral", "none"),
            "minibatch": MINIBATCH,
        },
        numbers=("synchronised", "sparse", "outer_biases", *SHARED),
    ),
    "sngan": Family(
        SnganGenerator,
        SnganDiscriminator,
        sizes=doubles,
        says=DOUBLED,
        choices={**RESIDUAL, "generator_labels": ("batch-norm", "inner-batch-norm")},
        numbers=(*RESIDUAL_NUMBERS, *SHARED),
    ),
    "biggan": Family(
        BigganGenerator,
        BigganDiscriminator,
        sizes=doubles,
        says=DOUBLED,
        choices=RESIDUAL,
        numbers=(*RESIDUAL_NUMBERS, *SHARED),
    ),
    "progressive": Family(
        ProgressiveGenerator,
        ProgressiveDiscriminator,
        sizes=doubles,
        says=DOUBLED,
        choices={
            "generator_labels": ("concat",),
            "discriminator_labels": LABELS,
            "generator_norm": ("none",),
            "discriminator_norm": ("none",),
            "minibatch": ("deviation", "none"),
        },
        numbers=SHARED,
    ),
    "r3gan": Family(
        R3ganGenerator,
        R3ganDiscriminator,
        sizes=doubles,
        says=DOUBLED,
        choices={
            "generator_labels": ("concat", "embedding"),
            "discriminator_labels": (*LABELS, "product"),
            "generator_norm": ("none",),
            "discriminator_norm": ("none",),
            "resampling": ("bilinear", "filter"),
            "output": ("tanh", "linear"),
        },
        numbers=("deepest", *SHARED),
    ),
    "lapgan": Family(
        LapganGenerator,
        LapganDiscriminator,
        sizes=lambda size: size >= 8,
        says="from 8 pixels up",
        choices={
            "generator_labels": ("concat",),
            "discriminator_labels": ("concat", "projection"),
            "generator_norm": ("none", "batch"),
            "discriminator_norm": ("none", "batch", "layer", "spectral"),
            "minibatch": MINIBATCH,
        },
        numbers=("synchronised", "dropout"),
    ),
    "infogan": Family(
        InfoganGenerator,
        InfoganDiscriminator,
        sizes=lambda size: size >= 4,
        says="from 4 pixels up",
        choices={
            "generator_labels": ("concat",),
            "discriminator_labels": LABELS,
            "generator_norm": ("batch", "none"),
            "discriminator_norm": ("batch", "layer", "spectral", "none"),
            "minibatch": MINIBATCH,
        },
        numbers=("synchronised", *SHARED),
    ),
}
WORDS = (
    "generator_labels",
    "discriminator_labels",
    "generator_norm",
    "discriminator_norm",
    "minibatch",
    "resampling",
    "pooling",
    "output",
)
NUMBERS = ("synchronised", "sparse", "outer_biases", "rectified_shortcuts", "deepest", *SHARED)


def resolved(networks: GanNetworks, *, penalised: bool = False) -> GanNetworks:
    """Replace every `auto` by what it means; `penalised`: gradients at single images are penalised.

    Raises ValueError for a setting that the family would not follow.
    """
    family, chosen = GANS[networks.family], {}
    for name in WORDS:
        value, known = getattr(networks, name), family.choices.get(name, ())
        if value == "auto" and known:
            chosen[name] = "layer" if penalised and known[0] == "batch" and name == "discriminator_norm" else known[0]
        elif value not in known and value != GanNetworks.model_fields[name].default:
            raise ValueError(
                f"networks.{name} {value}: family {networks.family} has {', '.join(known) or 'no such choice'}"
            )
    for name in NUMBERS:
        if name not in family.numbers and getattr(networks, name) != GanNetworks.model_fields[name].default:
            raise ValueError(
                f"networks.{name} {getattr(networks, name)}: family {networks.family} has no such setting; leave it out"
            )
    return networks.model_copy(update=chosen)


def build_generator(networks: GanNetworks, *, size: int, channels: int, num_classes: int) -> Generator:
    """Build a generator, its weights drawn from torch's global generator; `num_classes` is that of the data."""
    shape = _shape(networks, size, channels, num_classes if networks.conditional else 0)
    return GANS[networks.family].generator(resolved(networks), shape)


def build_discriminator(
    networks: GanNetworks, *, size: int, channels: int, num_classes: int, penalised: bool = False
) -> Discriminator:
    """Build a discriminator; `penalised` avoids batch norm, for gradient penalties at single images.

    Its input has the channels of `packing` images, concatenated.
    """
    knows = networks.conditional or networks.discriminator_labels == "classes"
    shape = _shape(networks, size, channels * networks.packing, num_classes if knows else 0)
    if networks.discriminator_width is not None:
        networks = networks.model_copy(update={"width": networks.discriminator_width})
    return GANS[networks.family].discriminator(resolved(networks, penalised=penalised), shape)


def _shape(networks: GanNetworks, size: int, channels: int, num_classes: int) -> Shape:
    family = GANS[networks.family]
    if not family.sizes(size):
        raise ValueError(
            f"family {networks.family} draws images {family.says}, these have {size}: "
            "resize them with --set data.resize=N, or choose family mlp"
        )
    if networks.conditional and num_classes == 0:
        raise ValueError("a conditional GAN needs labelled data, and these have no classes: set conditional false")
    return Shape(size, channels, num_classes)
