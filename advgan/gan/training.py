"""The training loop of a GAN.

Everything random is a function of (seed, step): the order of the images, the latents, the points of the penalty, the
augmentation and any dropout. So a state holds no generator, and a resumed run equals an uninterrupted one bit for bit.
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from advgan.config import GanTraining
from advgan.data import ImageSet
from advgan.gan.game import Turn
from advgan.gan.history import remember
from advgan.gan.parts import Heard, apart, heard, mean_turn, together
from advgan.gan.passes import frozen
from advgan.gan.ramps import augmented_share, average_decay, beta2, penalty_share, rate
from advgan.gan.recording import passes_for
from advgan.gan.rounds import TRAINING_LATENTS, rounds
from advgan.gan.state import Gauges, State, start
from advgan.gan.steps import Step
from advgan.learning.averaging import averaging
from advgan.machine.kernels import with_kernels
from advgan.machine.processes import Processes
from advgan.models.interface import Growing, Network
from attacks.random import seeded

__all__ = ["TRAINING_LATENTS", "Gauges", "State", "Step", "frozen", "start", "train"]

WON = 0.75
"""Accuracy of the discriminator above which `adaptive_steps` gives it a single step."""
MEMORY = 0.99
"""Decay of the moving averages of logits, as in LeCam's code, and of their signs."""
ADAPTATION = 100_000
"""Images in which the share of augmented ones can go from 0 to 1. The paper's 500,000 are for runs of 25 million."""


@with_kernels
def train(state: State, data: ImageSet, training: GanTraining, *, processes: Processes | None = None) -> Iterator[Step]:
    """Train in place until `training.steps`, yielding after each generator step (Goodfellow et al., 2014, algorithm 1).

    The caller decides when to log, sample, save or stop; between steps it may switch modes and use the networks, but
    must leave weights alone. The last generated batch of a step serves both players, so the generator runs forward
    once a discriminator step; with accumulation it runs once more, and what is logged or acted on is of the whole
    batch: `advgan.gan.parts` names what cannot be. Fakes take the labels of the real batch, hence its mix of classes.
    Under torchrun every process calls this with the same arguments and its own `processes`; each takes
    its share of every batch, and gradients are averaged, so the players stay the same everywhere.
    """
    processes = processes or Processes()
    generator, discriminator = state.generator, state.discriminator
    passes = passes_for(state, training)
    stream = rounds(state, data, training, processes)
    growing = [each for each in (generator, discriminator, state.average) if isinstance(each, Growing)]
    follow = averaging(state.average, generator)
    kept = torch.clone if passes.overwrites else _as_it_is

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
                told = list[Heard]()
                for part in batch:
                    judged = passes.discriminate(part, keeps=keeps)
                    told.append(heard(judged, parts=training.accumulation, kept=kept))
                whole = together(told)
                _descend(state, training, whole, processes)

            # Generator: move the same images, or new ones, towards a better score.
            for update in range(training.generator_updates):
                batch = next(stream) if training.generator_batch == "fresh" else batch
                state.generator_optimizer.zero_grad()
                asked = list[Turn]()
                for part in batch:
                    turned = passes.generate(part, judged.fake if keeps and update == 0 else None)
                    asked.append(apart(turned, parts=training.accumulation, kept=kept))
                processes.average(_gradients(generator))
                state.generator_optimizer.step()

        # Average: the weights that are sampled, saved and scored.
        follow(average_decay(training, state.step))
        state.step += 1
        if training.historical_averaging:
            remember(state.generator_mean, list(generator.parameters()), step=state.step)
            remember(state.discriminator_mean, list(discriminator.parameters()), step=state.step)
        yield _step(state, training, whole, mean_turn(asked), kept)


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
    """Whether the generator learns from the images of the discriminator's last pass, whose graph is then kept."""
    return training.accumulation == 1 and training.generator_batch == "same"


def _turns(state: State, training: GanTraining) -> int:
    """Discriminator steps now. An adaptive schedule reads the last accuracy, for which the host waits."""
    if training.adaptive_steps and float(state.gauges.accuracy) > WON:
        return 1
    return training.discriminator_steps


def _gradients(network: Network) -> list[Tensor]:
    return [parameter.grad for parameter in network.parameters() if parameter.grad is not None]


@torch.no_grad()
def _descend(state: State, training: GanTraining, whole: Heard, processes: Processes) -> None:
    """Step the discriminator, clip its weights where configured, and update the gauges."""
    seen = _gauged(training, whole.real_logits.detach(), whole.fake_logits.detach())
    processes.average([*_gradients(state.discriminator), *seen.values()])
    state.discriminator_optimizer.step()
    if training.clip:
        weights: list[Tensor] = list(state.discriminator.parameters())
        torch._foreach_clamp_min_(weights, -training.clip)
        torch._foreach_clamp_max_(weights, training.clip)
    state.batches += 1
    gauges, follows = state.gauges, 1 - min(MEMORY, (state.batches - 1) / state.batches)
    for name, value in seen.items():
        getattr(gauges, name).lerp_(value, 1 if name == "accuracy" else follows)
    if training.augmentation_target is not None:
        step = (gauges.sign - training.augmentation_target).sign() * training.batch_size / ADAPTATION
        gauges.augmentation.add_(step).clamp_(0, 1)


def _gauged(training: GanTraining, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
    """The statistics of a discriminator step's logits that the configuration needs, by the name of their gauge."""
    seen = {}
    if training.augmentation_target is not None:
        seen["sign"] = real.sign().mean()
    if training.lecam:
        seen |= {"real_logit": real.mean(), "fake_logit": fake.mean()}
    if training.adaptive_steps:
        seen["accuracy"] = ((real > 0).float().mean() + (fake < 0).float().mean()) / 2
    return seen


def _step(state: State, training: GanTraining, whole: Heard, asked: Turn, kept: Callable[[Tensor], Tensor]) -> Step:
    """Make the record of a step; `kept` copies tensors that the next replay overwrites."""
    discriminator_gradients, generator_gradients = _gradients(state.discriminator), _gradients(state.generator)
    norms = torch._foreach_norm([*discriminator_gradients, *generator_gradients])
    turns = (("discriminator", whole.turn), ("generator", asked))
    share = state.gauges.augmentation
    return Step(
        step=state.step,
        images_seen=state.batches * training.batch_size,
        discriminator_loss=kept(whole.turn.adversarial.detach()),
        generator_loss=kept(asked.adversarial.detach()),
        terms={
            f"{player}.{name}": kept(value.detach()) for player, turn in turns for name, value in turn.terms.items()
        },
        real_logits=kept(whole.real_logits.detach()),
        fake_logits=kept(whole.fake_logits.detach()),
        discriminator_gradients=norms[: len(discriminator_gradients)],
        generator_gradients=norms[len(discriminator_gradients) :],
        augmentation=share.clone() if training.augmentation_moves else share,
    )


def _as_it_is(value: Tensor) -> Tensor:
    return value
