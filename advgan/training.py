"""GAN training: the state, and the loop, whole.

Everything random is a function of (seed, step): the order of the images, the latents, the points of the penalty and any
dropout. So a state holds no generator, and a resumed run equals an uninterrupted one bit for bit.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.optim import Adam

from advgan.averaging import update_average, warm_decay
from advgan.config import GanNetworks, GanTraining
from advgan.data import ImageSet, batches
from advgan.losses import LOSSES
from advgan.models.gans import build_discriminator, build_generator
from advgan.models.interface import Discriminator, Generator, Network
from advgan.penalties import gradient_penalty
from advgan.ranges import to_signed, to_unit
from attacks.random import seeded, uniform

# Streams of attacks.random: what is drawn for the same image must not repeat. Sampling uses stream 0.
TRAINING_LATENTS, MIXING = 1, 2
INITIALIZATION = -1


@dataclass
class State:
    """All that changes in training, which is all that a checkpoint holds."""

    generator: Generator
    discriminator: Discriminator
    average: Generator
    """The moving average of the generator, in eval mode: what is sampled and scored."""
    generator_optimizer: Adam
    discriminator_optimizer: Adam
    step: int = 0
    """Generator steps done."""

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
            "step": self.step,
        }

    def load(self, tree: Mapping[str, Any]) -> None:
        """Take over what `to_tree` gave. Learning rates and betas stay those of this state: they are configuration."""
        self.generator.load_state_dict(tree["generator"])
        self.discriminator.load_state_dict(tree["discriminator"])
        self.average.load_state_dict(tree["average"])
        _load_moments(self.generator_optimizer, tree["generator_optimizer"])
        _load_moments(self.discriminator_optimizer, tree["discriminator_optimizer"])
        self.step = tree["step"]


class Step(NamedTuple):
    """One generator step with the last discriminator step before it. Tensors are detached scalars on the device.

    Reading one waits for the device, so read them at log points only, and look for NaN there: nothing is masked and
    nothing stops by itself. Probabilities are sigmoid(logits), calibrated under `minimax` and `non-saturating` alone.
    """

    step: int
    """Generator steps done, this one included."""
    images_seen: int
    """Real images that the discriminator has seen."""
    discriminator_loss: Tensor
    """Without the penalty."""
    generator_loss: Tensor
    penalty: Tensor
    """Mean of (gradient norm - 1)^2 before its weight; 0 where no penalty is in force."""
    real_logit: Tensor
    fake_logit: Tensor
    """Mean logits of the discriminator step; under `wasserstein` their difference estimates the distance."""
    real_probability: Tensor
    fake_probability: Tensor
    """Mean D(x) and D(G(z))."""
    real_accuracy: Tensor
    fake_accuracy: Tensor
    """Shares of real and of generated images that the discriminator sorted rightly."""


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

    Under a gradient penalty the discriminator is built with layer norm, since batch norm would couple its samples.
    """
    with seeded(training.seed, stream=INITIALIZATION):
        generator = build_generator(networks, size=size, channels=channels, num_classes=num_classes)
        discriminator = build_discriminator(
            networks,
            size=size,
            channels=channels,
            num_classes=num_classes,
            penalised=training.penalises_gradients,
        )
    generator, discriminator = generator.to(device), discriminator.to(device)
    betas = (training.beta1, training.beta2)
    return State(
        generator=generator,
        discriminator=discriminator,
        average=deepcopy(generator).requires_grad_(False).eval(),
        generator_optimizer=Adam(generator.parameters(), training.generator_learning_rate, betas, fused=True),
        discriminator_optimizer=Adam(
            discriminator.parameters(), training.discriminator_learning_rate, betas, fused=True
        ),
    )


def train(state: State, data: ImageSet, training: GanTraining) -> Iterator[Step]:
    """Train in place until `training.steps`, yielding after each generator step (Goodfellow et al., 2014, algorithm 1).

    The caller decides when to log, sample, save or stop; between steps it may switch modes and use the networks, but
    must leave weights alone. The last generated batch of a step serves both players, so the generator runs forward
    `discriminator_steps` times a step. Fakes take the labels of the real batch, hence its mix of classes.
    """
    loss, turns, rows = LOSSES[training.loss], training.discriminator_steps, training.batch_size
    generator, discriminator, device = state.generator, state.discriminator, state.device
    real_batches = batches(data, rows, seed=training.seed, start=state.step * turns, device=device)
    penalty = torch.zeros((), device=device)

    while state.step < training.steps:
        generator.train()
        discriminator.train()
        with seeded(training.seed, stream=state.step):
            for turn in range(turns):
                # Batch: real images, and generated ones with the same labels; only the last keep their graph.
                batch = next(real_batches)
                real, labels = to_signed(to_unit(batch.images)), batch.labels
                first = (state.step * turns + turn) * rows
                numbers = torch.arange(first, first + rows, device=device)
                noise = generator.space.draw(training.seed, numbers, stream=TRAINING_LATENTS)
                with torch.set_grad_enabled(turn == turns - 1):
                    fake = generator(noise, labels)

                # Discriminator: score real images above generated ones. They pass apart, each with its own batch norm.
                real_logits = discriminator(real, labels)
                fake_logits = discriminator(fake.detach(), labels)
                discriminator_loss = loss.discriminator(real_logits, fake_logits)
                if training.penalty_weight:
                    mixing = uniform(training.seed, numbers, (), stream=MIXING)
                    penalty = gradient_penalty(discriminator, real, fake, labels, mixing=mixing)
                state.discriminator_optimizer.zero_grad()
                (discriminator_loss + training.penalty_weight * penalty).backward()
                state.discriminator_optimizer.step()

            # Generator: move the same images towards a better score.
            with frozen(discriminator):
                generator_loss = loss.generator(discriminator(fake, labels), real_logits.detach())
                state.generator_optimizer.zero_grad()
                generator_loss.backward()
                state.generator_optimizer.step()

        # Average: the weights that are sampled, saved and scored.
        update_average(state.average, generator, decay=warm_decay(training.average_decay, state.step))

        state.step += 1
        yield Step(
            step=state.step,
            images_seen=state.step * turns * rows,
            discriminator_loss=discriminator_loss.detach(),
            generator_loss=generator_loss.detach(),
            penalty=penalty.detach(),
            real_logit=real_logits.detach().mean(),
            fake_logit=fake_logits.detach().mean(),
            real_probability=real_logits.detach().sigmoid().mean(),
            fake_probability=fake_logits.detach().sigmoid().mean(),
            real_accuracy=(real_logits > 0).float().mean(),
            fake_accuracy=(fake_logits < 0).float().mean(),
        )


@contextmanager
def frozen(network: Network) -> Iterator[None]:
    """Let gradients pass through a network without gathering them for its parameters."""
    network.requires_grad_(False)
    try:
        yield
    finally:
        network.requires_grad_(True)


def _load_moments(optimizer: Adam, moments: Mapping[int, Any]) -> None:
    """Copy the moments in: an optimiser would otherwise go on writing into the tensors that it was given."""
    parameters = optimizer.param_groups[0]["params"]
    for number, held in moments.items():
        if number >= len(parameters) or held["exp_avg"].shape != parameters[number].shape:
            raise ValueError(f"the moments of parameter {number} have another shape than the parameter")
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": deepcopy(dict(moments)), "param_groups": groups})
