"""The settings of `advgan attack`."""

from typing import Annotated, Literal

from pydantic import Field

from advgan.config import Place, ReadData
from evaluation.jobs.foreign_model import ForeignModel
from evaluation.jobs.suites import AttackOptions

Format = Literal["png", "npz", "torchattacks", "autoattack"]
"""File formats of adversarial images, see `evaluation.under_attack.adversarial_sets`."""


class AttackConfig(AttackOptions, ForeignModel):
    """The settings of an attack."""

    model: Annotated[str, Place.CLASSIFIER] = "resnet"
    data: ReadData | None = None
    """None: the data that the model's run was trained on, else the embedded digits."""
    num_samples: int | None = Field(default=None, ge=1)
    """Test images, drawn in proportion to their classes; None: all."""
    curve_points: int = Field(default=8, ge=0)
    """Budgets on the curve of accuracy against eps; 0 leaves it out."""
    probes: int = Field(default=64, ge=0)
    """Images for the trust panel, which checks for masked gradients by further passes; 0 leaves it out."""
    save: tuple[Format, ...] = ()
    """Formats in which the adversarial images are kept: `png`, `npz`, `torchattacks`, `autoattack`."""
    batch_size: Annotated[int, Field(ge=1)] | Literal["auto"] = 256
    """`auto` begins large and halves when memory runs out."""
    chunk_size: int | None = Field(default=None, ge=1)
    """Images in a chunk, which is attacked by one process and stored; None: a sixteenth of all, at least a batch."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """bfloat16 attacks faster on a GPU; every success is confirmed in float32."""
    eight_bit: bool = False
    """Count only images of 8 bits: each attack judges its success by the rounded image, and returns such images."""
    channels_last: bool = False
    """Use the channels_last memory format; faster on a GPU. See `advgan.machine.devices.memory_format` for the CPU."""
    compile: bool = False
    """Let torch.compile make the network faster; pays off where an attack takes minutes."""
