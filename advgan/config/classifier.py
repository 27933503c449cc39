"""The network of a classifier and how it is trained."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from advgan.config.places import Place, is_python_source
from advgan.config.section import Budget, Positive, Section, Share


class NetworkConfig(Section):
    """Architecture of a classifier. Its input size, channels and classes come from the data."""

    name: Annotated[str, Place.CLASSIFIER] = "cnn"
    """`mlp`, `cnn`, `resnet`, `torchvision:NAME`, `timm:NAME` (`@WEIGHTS` for pretrained) or `file.py:builder`."""
    depth: int | None = Field(default=None, ge=1, le=1000)
    """Hidden layers (mlp), convolutions (cnn) or residual blocks a stage (resnet); None: the network's own default."""
    width: int | None = Field(default=None, ge=1, le=1 << 16)
    """Units of a hidden layer, or channels of the first stage; None: the network's own default."""
    stages: int | None = Field(default=None, ge=1, le=6)
    """Stages of a resnet, each on maps of half the side; None: 3. With 4, depth 2 and width 64 it is the usual
    pre-activation ResNet-18 for CIFAR-10."""

    @property
    def called(self) -> str:
        """The name without the folders that a file of a user's lies in."""
        return Path(self.name).name if is_python_source(self.name) else self.name


class DefenseConfig(Section):
    """Adversarial training: each batch is attacked before it is learnt."""

    name: Literal["none", "fgsm", "pgd"] = "none"
    eps: Budget = 0.3
    norm: Literal["linf", "l2", "l1"] = "linf"
    steps: int = Field(default=10, ge=1)
    step_size: Positive | None = None
    """None: 2.5 * eps / steps, or 1.25 * eps for a single step from a random start."""
    warmup_epochs: float = Field(default=1.0, ge=0)
    """Epochs over which eps rises linearly from 0; large budgets collapse to one class without it."""

    def idle(self) -> dict[str, str]:
        if self.name == "none":
            reason = "there is no defense; choose one with --defense pgd, or leave it out"
            return dict.fromkeys(("eps", "norm", "steps", "step_size", "warmup_epochs"), reason)
        return {"steps": "the defense fgsm takes one step; choose --defense pgd"} if self.name == "fgsm" else {}


class ClassifierTraining(Section):
    """The training recipe of a classifier."""

    epochs: int = Field(default=10, ge=1)
    batch_size: int = Field(default=64, ge=1)
    optimizer: Literal["adamw", "sgd"] = "adamw"
    learning_rate: Positive = 2e-3
    weight_decay: float = Field(default=5e-4, ge=0)
    decays_everything: bool = False
    """Decay biases and the scales of normalisation layers too, as most published recipes do."""
    nesterov: bool = True
    """Nesterov momentum for sgd, whose momentum is 0.9."""
    schedule: Literal["constant", "cosine", "one-cycle", "drops"] = "one-cycle"
    drop_epochs: tuple[int, ...] = ()
    """Epochs, counted from 0, with whose start the schedule `drops` goes on at a tenth of its rate."""
    label_smoothing: Share = 0.0
    augmentation: Literal["none", "shift", "flip", "shift-flip"] = "none"
    """`shift`: random crops after padding by an eighth; `flip`: random horizontal mirror."""
    average_decay: Share = 0.0
    """Decay of the exponential moving average of the weights, which is then what is saved and scored; 0: off."""
    precision: Literal["float32", "bfloat16"] = "float32"
    deterministic: bool = True
    """On a CUDA device: kernels that give the same bits every time, so that a resumed run ends as one that was left
    alone. false: the fastest that cuDNN finds by trial (cudnn.benchmark)."""
    cuda_graphs: Literal["auto", False] = "auto"
    """Record the attack of a defense once and replay it, wherever the device can; changes no result. false: never."""
    extra_fraction: Share | None = None
    """Share of each batch drawn from the extra images; None: in proportion to their number."""
    defense: DefenseConfig = DefenseConfig()
    seed: int = Field(default=0, ge=0)

    def idle(self) -> dict[str, str]:
        found = {} if self.optimizer == "sgd" else {"nesterov": "it is an option of sgd; set training.optimizer sgd"}
        if self.defense.name == "none":
            found["cuda_graphs"] = "it records the attack of a defense, and there is none; choose --defense pgd"
        return found

    @model_validator(mode="after")
    def _drops_have_epochs(self) -> "ClassifierTraining":
        if (self.schedule == "drops") != bool(self.drop_epochs):
            raise ValueError(
                f"schedule {self.schedule} with drop_epochs {list(self.drop_epochs)}: schedule drops needs drop_epochs "
                "such as [100, 150], and no other has them"
            )
        return self
