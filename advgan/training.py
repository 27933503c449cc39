"""GAN training: the loop, whole.

Everything random is a function of (seed, step): the order of the images, the latents, the points of the penalty, the
augmentation and any dropout. So a state holds no generator, and a resumed run equals an uninterrupted one bit for bit.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.utils import get_total_norm

from advgan.averaging import averaging
from advgan.config import GanTraining
from advgan.data import ImageSet
from advgan.game import Sight, Turn
from advgan.gan_state import Gauges, State, start
from advgan.history import remember
from advgan.models.interface import Growing, Network
from advgan.passes import Judged, frozen
from advgan.processes import Processes
from advgan.ramps import augmented_share, average_decay, beta2, penalty_share, rate
from advgan.recording import passes_for
from advgan.rounds import TRAINING_LATENTS, rounds
from attacks.random import seeded

__all__ = ["TRAINING_LATENTS", "Gauges", "State", "Step", "frozen", "start", "train"]

WON = 0.75
"""Share of images sorted rightly above which an adaptive schedule gives the discriminator a single step."""
MEMORY = 0.99
"""Decay of the moving averages of logits, as in LeCam's code, and of their signs."""
ADAPTATION = 100_000
"""Images in which the share of augmented ones can go from 0 to 1. The paper's 500,000 are for runs of 25 million."""


class Step(NamedTuple):
    """One generator step with the last discriminator step before it. Tensors are detached scalars on the device.

    Reading one waits for the device, so read them at log points only, and look for NaN there: nothing is masked and
    nothing stops by itself. Probabilities are sigmoid(logits), calibrated under `minimax` and `non-saturating` alone.
    With several processes the values are those of this one's images, but gradient norms are of the whole batch.
    """

    step: int
    """Generator steps done, this one included."""
    images_seen: int
    """Real images that the discriminator has seen."""
    discriminator_loss: Tensor
    generator_loss: Tensor
    """The adversarial ones, without further terms."""
    terms: dict[str, Tensor]
    """Terms of both players before their weights, by `discriminator.NAME` and `generator.NAME`; a lazy one is 0 between
    its steps."""
    real_logit: Tensor
    fake_logit: Tensor
    """Mean logits of the discriminator step; under `wasserstein` their difference estimates the distance."""
    real_probability: Tensor
    fake_probability: Tensor
    """Mean D(x) and D(G(z))."""
    real_accuracy: Tensor
    fake_accuracy: Tensor
    """Shares of real and of generated images that the discriminator sorted rightly."""
    discriminator_gradient: Tensor
    generator_gradient: Tensor
    """Euclidean norms of the gradients of all parameters."""
    augmentation: Tensor
    """Share of images that are augmented."""


def train(state: State, data: ImageSet, training: GanTraining, *, processes: Processes | None = None) -> Iterator[Step]:
    """Train in place until `training.steps`, yielding after each generator step (Goodfellow et al., 2014, algorithm 1).

    The caller decides when to log, sample, save or stop; between steps it may switch modes and use the networks, but
    must leave weights alone. The last generated batch of a step serves both players, so the generator runs forward
    once a discriminator step; with accumulation it runs once more. Fakes take the labels of the real batch, hence its
    mix of classes. Under torchrun every process calls this with the same arguments and its own `processes`; each takes
    its share of every batch, and gradients are averaged, so the players stay the same everywhere.
    """
    processes = processes or Processes()
    generator, discriminator = state.generator, state.discriminator
    passes = passes_for(state, training)
    stream = rounds(state, data, training, processes)
    growing = [each for each in (generator, discriminator, state.average) if isinstance(each, Growing)]
    follow = averaging(state.average, generator)

    while state.step < training.steps:
        # Form: learning rates, what else moves with the steps, modes, and the stage of networks that grow.
        _set_rates(state, training)
        _set_shares(state, training)
        for network in growing:
            network.grow(state.step / training.steps)
        generator.train()
        discriminator.train()
        with seeded(training.seed, stream=state.step):
            turns = _turns(state, training)
            for turn in range(turns):
                # Discriminator: score real images above generated ones. Only the last of these keep their graph.
                batch, keeps = next(stream), turn == turns - 1 and keeps_graphs(training)
                state.discriminator_optimizer.zero_grad()
                for part in batch:
                    judged = passes.discriminate(part, keeps=keeps)
                discriminator_gradient = _descend(state, training, judged.sight, processes)

            # Generator: move the same images, or new ones, towards a better score.
            for update in range(training.generator_updates):
                batch = next(stream) if training.generator_batch == "fresh" else batch
                state.generator_optimizer.zero_grad()
                for part in batch:
                    asked = passes.generate(part, judged.fake if keeps and update == 0 else None)
                generator_gradient = _gradient(generator, processes)
                state.generator_optimizer.step()

        # Average: the weights that are sampled, saved and scored.
        follow(average_decay(training, state.step))
        state.step += 1
        if training.historical_averaging:
            remember(state.generator_mean, list(generator.parameters()), step=state.step)
            remember(state.discriminator_mean, list(discriminator.parameters()), step=state.step)
        yield _step(state, training, judged, asked, discriminator_gradient, generator_gradient)


def _set_rates(state: State, training: GanTraining) -> None:
    peaks = training.generator_learning_rate, training.discriminator_learning_rate
    for optimizer, peak in zip((state.generator_optimizer, state.discriminator_optimizer), peaks, strict=True):
        for group in optimizer.param_groups:
            group["lr"] = rate(training, state.step, peak=peak)
            if training.ramp.beta2 is not None:
                group["betas"] = training.beta1, beta2(training, state.step)


def _set_shares(state: State, training: GanTraining) -> None:
    """Fill what the passes read on the device, where it moves."""
    if state.penalty_share is not None:
        state.penalty_share.fill_(penalty_share(training, state.step))
    share = augmented_share(training, state.step)
    if share is not None:
        state.gauges.augmentation.fill_(share)


def keeps_graphs(training: GanTraining) -> bool:
    """Whether the generator learns from the images of the discriminator's last pass."""
    return training.accumulation == 1 and training.generator_batch == "same"


def _turns(state: State, training: GanTraining) -> int:
    """Discriminator steps now. An adaptive schedule reads the last accuracy, for which the host waits."""
    if training.adaptive_steps and float(state.gauges.accuracy) > WON:
        return 1
    return training.discriminator_steps


def _gradient(network: Network, processes: Processes, *more: Tensor) -> Tensor:
    """Average the gradients, and `more` scalars with them, over the processes; return the norm of the whole."""
    gradients = [parameter.grad for parameter in network.parameters() if parameter.grad is not None]
    processes.average([*gradients, *more])
    return get_total_norm(gradients)


@torch.no_grad()
def _descend(state: State, training: GanTraining, sight: Sight, processes: Processes) -> Tensor:
    """Step the discriminator, bound its weights where the recipe says so, and read the gauges."""
    real, fake = sight.real_logits.detach(), sight.fake_logits.detach()
    accuracy = ((real > 0).float().mean() + (fake < 0).float().mean()) / 2
    seen = [real.sign().mean(), real.mean(), fake.mean(), accuracy]
    norm = _gradient(state.discriminator, processes, *seen)
    state.discriminator_optimizer.step()
    if training.clip:
        weights: list[Tensor] = list(state.discriminator.parameters())
        torch._foreach_clamp_min_(weights, -training.clip)
        torch._foreach_clamp_max_(weights, training.clip)
    state.batches += 1
    gauges = state.gauges
    for gauge, value in zip((gauges.sign, gauges.real_logit, gauges.fake_logit), seen, strict=False):
        gauge.lerp_(value, 1 - min(MEMORY, (state.batches - 1) / state.batches))
    gauges.accuracy.copy_(accuracy)
    if training.augmentation_target is not None:
        step = (gauges.sign - training.augmentation_target).sign() * training.batch_size / ADAPTATION
        gauges.augmentation.add_(step).clamp_(0, 1)
    return norm


def _step(
    state: State,
    training: GanTraining,
    judged: Judged,
    asked: Turn,
    discriminator_gradient: Tensor,
    generator_gradient: Tensor,
) -> Step:
    """Copies: what a replayed pass leaves is overwritten by the next one."""
    real, fake = judged.sight.real_logits.detach(), judged.sight.fake_logits.detach()
    turns = (("discriminator", judged.turn), ("generator", asked))
    return Step(
        step=state.step,
        images_seen=state.batches * training.batch_size,
        discriminator_loss=judged.turn.adversarial.detach().clone(),
        generator_loss=asked.adversarial.detach().clone(),
        terms={
            f"{player}.{name}": value.detach().clone() for player, turn in turns for name, value in turn.terms.items()
        },
        real_logit=real.mean(),
        fake_logit=fake.mean(),
        real_probability=real.sigmoid().mean(),
        fake_probability=fake.sigmoid().mean(),
        real_accuracy=(real > 0).float().mean(),
        fake_accuracy=(fake < 0).float().mean(),
        discriminator_gradient=discriminator_gradient,
        generator_gradient=generator_gradient,
        augmentation=state.gauges.augmentation.clone(),
    )
