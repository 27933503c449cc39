"""The state of a GAN's training: everything that changes during training, and the content of a checkpoint."""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from advgan.config import GanNetworks, GanTraining
from advgan.learning.optimizers import load_moments, player_optimizer
from advgan.models.gans.families import build_discriminator, build_generator
from advgan.models.interface import Discriminator, Generator
from attacks.random import seeded

INITIALIZATION = -1
"""Stream of the initial weights; dropout uses the step."""


@dataclass
class Gauges:
    """Running statistics that training itself uses: scalars on the device, the same in every process."""

    augmentation: Tensor
    """Share of images that are augmented."""
    sign: Tensor
    """Moving average of the mean sign of real logits (ADA's overfitting heuristic): 1 where all real logits are > 0."""
    real_logit: Tensor
    fake_logit: Tensor
    """Moving averages of mean logits."""
    accuracy: Tensor
    """Accuracy of the discriminator on real and fake images in its last step."""


@dataclass
class State:
    """All that changes in training, which is all that a checkpoint holds."""

    generator: Generator
    discriminator: Discriminator
    average: Generator
    """The moving average of the generator, in eval mode: what is sampled and scored."""
    generator_optimizer: Optimizer
    discriminator_optimizer: Optimizer
    gauges: Gauges
    packing: int = 1
    """Images that the discriminator judges together."""
    penalty_share: Tensor | None = None
    """Share of the weights of r1 and r2 in this step, a scalar on the device; None where it does not move. A function
    of the step, so no part of a checkpoint."""
    generator_mean: list[Tensor] = field(default_factory=list)
    discriminator_mean: list[Tensor] = field(default_factory=list)
    """Means of the parameters over training, for historical averaging; empty without it."""
    step: int = 0
    """Generator steps done."""
    batches: int = 0
    """Discriminator steps done, each with a batch of its own."""

    @property
    def device(self) -> torch.device:
        return next(self.generator.parameters()).device

    def to_tree(self) -> dict[str, Any]:
        """Nest everything as dicts of tensors and plain values, not copied."""
        return {
            "generator": self.generator.state_dict(),
            "discriminator": self.discriminator.state_dict(),
            "average": self.average.state_dict(),
            "generator_optimizer": self.generator_optimizer.state_dict()["state"],
            "discriminator_optimizer": self.discriminator_optimizer.state_dict()["state"],
            "gauges": dict(vars(self.gauges)),
            "generator_mean": self.generator_mean,
            "discriminator_mean": self.discriminator_mean,
            "step": self.step,
            "batches": self.batches,
        }

    def load(self, tree: Mapping[str, Any]) -> None:
        """Take over what `to_tree` gave. Learning rates and betas stay those of this state: they are configuration."""
        self.generator.load_state_dict(tree["generator"])
        self.discriminator.load_state_dict(tree["discriminator"])
        self.average.load_state_dict(tree["average"])
        load_moments(self.generator_optimizer, tree["generator_optimizer"])
        load_moments(self.discriminator_optimizer, tree["discriminator_optimizer"])
        for name, gauge in vars(self.gauges).items():
            gauge.copy_(tree["gauges"][name])
        for name in ("generator_mean", "discriminator_mean"):
            for mean, held in zip(getattr(self, name), tree[name], strict=True):
                mean.copy_(held)
        self.step, self.batches = tree["step"], tree["batches"]


def start(
    networks: GanNetworks,
    training: GanTraining,
    *,
    size: int,
    channels: int,
    num_classes: int,
    device: torch.device | str = "cpu",
) -> State:
    """Build the state before the first step. The weights are a function of the configuration, on every device.

    Under a penalty on gradients a discriminator with batch norm is built with layer norm, since batch norm would couple
    its samples. Raises ValueError for settings that do not go together.
    """
    _check(networks, training)
    shape = {"size": size, "channels": channels, "num_classes": num_classes}
    with seeded(training.seed, stream=INITIALIZATION):
        generator = build_generator(networks, **shape).to(device)
        discriminator = build_discriminator(networks, **shape, penalised=training.penalises_gradients).to(device)
    for player in (generator, discriminator):
        assert isinstance(player, nn.Module)
        player.to(memory_format=image_layout(device, training))
    remembers = training.historical_averaging > 0
    return State(
        generator=generator,
        discriminator=discriminator,
        average=deepcopy(generator).requires_grad_(False).eval(),
        generator_optimizer=player_optimizer(generator, training, training.generator_learning_rate),
        discriminator_optimizer=player_optimizer(discriminator, training, training.discriminator_learning_rate),
        gauges=_gauges(training, device),
        packing=networks.packing,
        penalty_share=None if training.ramp.penalties is None else torch.ones((), device=device),
        generator_mean=_copies(generator) if remembers else [],
        discriminator_mean=_copies(discriminator) if remembers else [],
    )


def image_layout(device: torch.device | str, training: GanTraining) -> torch.memory_format:
    """The memory format of images and weights: channels last for bfloat16 on CUDA, whose kernels are made for it.

    Not part of a checkpoint.
    """
    is_made_for = torch.device(device).type == "cuda" and training.precision == "bfloat16"
    return torch.channels_last if is_made_for else torch.contiguous_format


def _check(networks: GanNetworks, training: GanTraining) -> None:
    if training.batch_size % (networks.packing * training.accumulation):
        raise ValueError(
            f"batch_size {training.batch_size} must be a multiple of accumulation {training.accumulation} times "
            f"packing {networks.packing}, so that every part holds whole packs"
        )
    each = training.batch_size // (networks.packing * training.accumulation)
    if networks.minibatch != "none" and each < 2 and training.accumulation > 1:
        raise ValueError(
            f"minibatch {networks.minibatch} compares the images of a part, and accumulation {training.accumulation} "
            f"leaves {each} of batch_size {training.batch_size} in one: lower accumulation, or set minibatch none"
        )
    if training.labelled is not None and networks.discriminator_labels != "classes":
        raise ValueError(
            f"training.labelled {training.labelled} is for a semi-supervised GAN: "
            "set networks.discriminator_labels classes"
        )
    if training.adversarial == 0 and not training.feature_matching:
        raise ValueError("adversarial 0 leaves the generator nothing to learn from: set feature_matching above 0")


def _gauges(training: GanTraining, device: torch.device | str) -> Gauges:
    share = 0.0 if training.augmentation_moves else float(bool(training.augmentation))
    values = {"augmentation": share, "sign": 0.0, "real_logit": 0.0, "fake_logit": 0.0, "accuracy": 0.5}
    return Gauges(**{name: torch.tensor(value, device=device) for name, value in values.items()})


def _copies(network: Generator | Discriminator) -> list[Tensor]:
    return [parameter.detach().clone() for parameter in network.parameters()]
