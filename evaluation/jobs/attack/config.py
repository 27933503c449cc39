"""What `advgan attack` attacks, and with what."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from advgan.config import Number, Place, ReadData
from evaluation.jobs.suites import AttackOptions

Format = Literal["png", "npz", "torchattacks", "autoattack"]
"""In which adversarial images are kept."""


class AttackConfig(AttackOptions):
    """The settings of an attack."""

    model: Annotated[str, Place.CLASSIFIER] = "resnet"
    data: ReadData | None = None
    """None: the data that the model's run was trained on, else the embedded digits."""
    num_samples: int | None = Field(default=None, ge=1)
    """Test images, drawn in proportion to their classes; None: all."""
    curve_points: int = Field(default=8, ge=0)
    """Budgets on the curve of accuracy against eps; 0 leaves it out."""
    probes: int = Field(default=64, ge=0)
    """Images on which the numbers themselves are questioned, with passes of their own; 0 leaves that out."""
    save: tuple[Format, ...] = ()
    """Formats in which the adversarial images are kept: `png`, `npz`, `torchattacks`, `autoattack`."""
    mean: tuple[Number, ...] | None = None
    std: tuple[Number, ...] | None = None
    input_size: int | None = Field(default=None, ge=1)
    """Pixels a side that a foreign model wants: images are resized inside it, and attacked as they are; None: its own,
    or what the data have."""
    layout: Literal["NCHW", "NHWC", "flat"] | None = None
    """Order of the axes of images for a foreign model; None: tried."""
    batch_size: Annotated[int, Field(ge=1)] | Literal["auto"] = 256
    """`auto` begins large and halves when memory runs out."""
    chunk_size: int | None = Field(default=None, ge=1)
    """Images that are attacked, kept and shared out together; None: a sixteenth of all, at least a batch."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """bfloat16 attacks faster on a GPU; every success is confirmed in float32."""
    channels_last: bool = False
    """Order the network's values so; pays off on a GPU. See `advgan.machine.devices.memory_format` for the CPU."""
    compile: bool = False
    """Let torch.compile make the network faster; pays off where an attack takes minutes."""

    @model_validator(mode="after")
    def _mean_with_std(self) -> "AttackConfig":
        if (self.mean is None) != (self.std is None):
            raise ValueError("--mean and --std belong together: give both or neither")
        return self
