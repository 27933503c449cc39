"""The two networks of a GAN."""

from typing import Literal

from pydantic import Field, model_validator

from advgan.config.section import Section, Share

Families = Literal["mlp", "points", "dcgan", "sngan", "biggan", "progressive", "r3gan", "lapgan", "infogan"]


class GanNetworks(Section):
    """A generator and its discriminator. Their image size, channels and classes come from the data."""

    family: Families = "dcgan"
    """Which networks; the other settings shape them, and one that a family would not follow is an error."""
    width: int = Field(default=32, ge=1, le=1 << 14)
    """Units (mlp times 8, points times 2 and 4) or channels of the layer nearest to the image; sngan and biggan have 4
    times as many, at every size up to 32 pixels."""
    latent_dim: int = Field(default=64, ge=1, le=1 << 16)
    """Length of the noise; codes come on top."""
    latent_kind: Literal["normal", "uniform", "sphere"] = "normal"
    """`normal`: N(0, 1); `uniform`: U(-1, 1); `sphere`: normal, scaled to the length sqrt(latent_dim)."""
    conditional: bool = False
    """Give the class label to both networks."""
    generator_labels: Literal["auto", "concat", "embedding", "batch-norm", "inner-batch-norm"] = "auto"
    """How a conditional generator uses the label: appended to the latents, one-hot or as a learnt `embedding` of their
    length; or as scale and shift of its batch norms, of all or of those in blocks (`inner-batch-norm`)."""
    discriminator_labels: Literal["projection", "product", "concat", "auxiliary", "classes"] = "projection"
    """How the discriminator uses it: `projection`, `product` (R3GAN's own head, without a term that is blind to the
    label) and `concat` ask whether image and label fit; `auxiliary` also names the class (AC-GAN); `classes` has a
    logit per class and none for fake (the K+1 classes of a semi-supervised GAN)."""
    generator_norm: Literal["auto", "batch", "virtual", "none"] = "auto"
    """`auto`: what the paper of the family has."""
    discriminator_norm: Literal["auto", "batch", "layer", "spectral", "none"] = "auto"
    """`auto`: what the paper of the family has, but layer norm for batch norm under a penalty on gradients, which is
    defined for each sample alone."""
    synchronised: bool = False
    """Batch norm over the batches of all processes of torchrun instead of each its own."""
    minibatch: Literal["none", "discrimination", "deviation"] = "none"
    """What the discriminator learns of the rest of its batch: learnt distances, or the standard deviation."""
    discriminator_width: int | None = Field(default=None, ge=1, le=1 << 14)
    """`width` of the discriminator; None: the generator's."""
    deepest: int = Field(default=8, ge=1, le=1 << 14)
    """The most channels of an r3gan's maps, in multiples of `width`; 1: as many at every size."""
    resampling: Literal["auto", "nearest", "bilinear", "filter"] = "auto"
    """How maps are doubled: in the generator of an sngan or biggan, and in an r3gan, where `filter` also halves by the
    same [1, 3, 3, 1] / 8 and meets zeros beyond the border, as its authors' code does."""
    pooling: Literal["auto", "sum", "mean"] = "auto"
    """How the last maps of an sngan's or biggan's discriminator become features."""
    rectified_shortcuts: bool = False
    """The shortcuts of an sngan's or biggan's discriminator take the maps behind the ReLU, as they do in codes whose
    ReLU works in place (mimicry, StudioGAN)."""
    outer_biases: bool = True
    """Biases of a dcgan's layers next to the image and of its head; the paper's code has them, pytorch/examples not."""
    output: Literal["auto", "tanh", "linear"] = "auto"
    """What an r3gan's generator ends in."""
    sparse: bool = False
    """ReLU and max pooling in a dcgan's discriminator, whose gradients are mostly 0: what is advised against."""
    dropout: Share = 0.0
    """Dropout before the last layer of the discriminator."""
    packing: int = Field(default=1, ge=1, le=1 << 10)
    """Images that the discriminator judges together (PacGAN)."""
    categorical: int = Field(default=0, ge=0, le=1 << 16)
    """Values of the categorical code of an InfoGAN; 0: none."""
    continuous: int = Field(default=0, ge=0, le=1 << 16)
    """Continuous codes of an InfoGAN, U(-1, 1) each."""

    def idle(self) -> dict[str, str]:
        if self.conditional:
            return {}
        found = {"generator_labels": "the generator is unconditional; add --conditional"}
        if self.discriminator_labels != "classes":
            found["discriminator_labels"] = "the discriminator is unconditional; add --conditional"
        return found

    @model_validator(mode="after")
    def _labels_are_used_once(self) -> "GanNetworks":
        if self.packing > 1 and self.conditional:
            raise ValueError("networks.packing joins images of different classes: set networks.conditional false")
        if self.discriminator_labels == "classes" and self.conditional:
            raise ValueError(
                "networks.discriminator_labels classes has an unconditional generator: leave networks.conditional false"
            )
        if self.categorical == 1:
            raise ValueError("networks.categorical 1 is a code with a single value: use 0, or 2 and more")
        return self
