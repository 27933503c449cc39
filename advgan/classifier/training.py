"""The training loop of a classifier and its state; with a defense it is adversarial training.

Everything random is a function of (seed, step) or of (seed, sample, epoch): the order of the images, augmentation, the
starts of the attack, dropout. So a state holds no generator, and a resumed run equals an uninterrupted one bit for bit.
"""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Optimizer

from advgan.classifier.fast_attack import fast_attack
from advgan.classifier.mixing import mixed_batches, steps_per_epoch
from advgan.classifier.normalisation import normalisation
from advgan.classifier.recorded_attack import Batch, attack_recorder
from advgan.config import ClassifierTraining, DefenseConfig, NetworkConfig
from advgan.data import ImageSet
from advgan.learning.averaging import update_average, warm_decay
from advgan.learning.optimizers import build_optimizer, load_moments
from advgan.learning.schedules import learning_rate, warm_budget
from advgan.machine.devices import memory_format
from advgan.machine.kernels import with_kernels
from advgan.models.classifiers.architectures import build_network
from advgan.models.classifiers.catalogues import is_catalogued, names_weights, published_normalisation
from attacks import Attack, Classifier, pgd
from attacks.random import seeded
from attacks.samples import trusted

INITIALIZATION = -1
"""Stream of the initial weights; dropout uses the step."""


@dataclass
class State:
    """Everything that changes during training (the content of a checkpoint), and the normalisation of the network."""

    network: nn.Module
    average: nn.Module | None
    """The moving average of the network, in eval mode; None where `average_decay` is 0."""
    optimizer: Optimizer
    mean: tuple[float, ...]
    std: tuple[float, ...]
    step: int = 0
    """Batches learnt."""
    num_classes: int | None = None
    """Number of classes, by which the logits are found where a network has several outputs; None: unknown."""

    @property
    def device(self) -> torch.device:
        return next(self.network.parameters()).device

    @property
    def scored(self) -> nn.Module:
        """The network that is saved as the result and scored: the average where there is one."""
        return self.network if self.average is None else self.average

    def classifier(self, name: str = "") -> Classifier:
        """Wrap the network that is scored; it shares the weights, which go on changing while training does."""
        return self._wrapped(self.scored, name)

    def learner(self) -> Classifier:
        """Wrap the network that is trained."""
        return self._wrapped(self.network, "")

    def _wrapped(self, network: nn.Module, name: str) -> Classifier:
        return Classifier(network, mean=self.mean, std=self.std, num_classes=self.num_classes, name=name).to(
            self.device
        )

    def to_tree(self) -> dict[str, Any]:
        """Nest everything as dicts of tensors and plain values, not copied."""
        return {
            "network": self.network.state_dict(),
            "average": None if self.average is None else self.average.state_dict(),
            "optimizer": self.optimizer.state_dict()["state"],
            "step": self.step,
        }

    def load(self, tree: Mapping[str, Any]) -> None:
        """Take over what `to_tree` gave. Options of the optimiser stay those of this state: they are configuration."""
        self.network.load_state_dict(tree["network"])
        if self.average is not None:
            self.average.load_state_dict(tree["average"])
        load_moments(self.optimizer, tree["optimizer"])
        self.step = tree["step"]


class Step(NamedTuple):
    """One learnt batch. Tensors are detached scalars on the device: read them at log points only, since that waits.

    Under a defense both tensors are of the adversarial images, and all are of the augmented ones in train mode.
    """

    step: int
    """Batches learnt, this one included."""
    epoch: int
    """Counted from 0."""
    loss: Tensor
    correct: Tensor
    """How many of the `num_images` were classified rightly before the update."""
    num_images: int
    learning_rate: float
    eps: float
    """The budget of the attack in this step; 0 where the configuration names no defense."""


def start(
    config: NetworkConfig, training: ClassifierTraining, data: ImageSet, *, device: torch.device | str = "cpu"
) -> State:
    """Build the state before the first step. The weights are a function of the configuration, on every device.

    Images are normalised by the statistics of `data`, or as published weights demand where training starts from some.
    """
    with seeded(training.seed, stream=INITIALIZATION):
        network = build_network(config, size=data.size, channels=data.channels, num_classes=data.num_classes)
        mean, std = _normalisation(config, data)
    return assemble(network, training, mean=mean, std=std, num_classes=data.num_classes, device=device)


def assemble(
    network: nn.Module,
    training: ClassifierTraining,
    *,
    mean: tuple[float, ...],
    std: tuple[float, ...],
    num_classes: int | None = None,
    device: torch.device | str = "cpu",
) -> State:
    """Put a network, its average and its optimiser together."""
    network = network.to(device).to(memory_format=memory_format(device))
    average = deepcopy(network).requires_grad_(False).eval() if training.average_decay else None
    return State(network, average, build_optimizer(network, training), mean, std, num_classes=num_classes)


@with_kernels
def train(
    state: State,
    data: ImageSet,
    training: ClassifierTraining,
    *,
    extra: ImageSet | None = None,
    attack: Attack | None = None,
) -> Iterator[Step]:
    """Train until the last step of `training.epochs`, in place, yielding after each batch.

    `extra` are more images of the same classes, matched by name; see `mixture`. Each batch is attacked before it is
    learnt (Madry et al., 2017): by `attack`, or else as `training.defense` says. The attack sees the network in eval
    mode and leaves its batch statistics alone; its checks of pixel values and labels are skipped, since they wait for
    the device. The caller decides when to log, score, save or stop; between steps it may switch modes and use the
    networks, but must leave weights alone.

    Raises ValueError where the extra images do not fit, and after an epoch whose loss is no longer finite.
    """
    num_extra = 0 if extra is None else len(extra)
    per_epoch = steps_per_epoch(training, len(data), num_extra)
    total_steps = training.epochs * per_epoch
    drops = [epoch * per_epoch for epoch in training.drop_epochs]
    learner = state.learner()
    precision = torch.autocast(state.device.type, torch.bfloat16, enabled=training.precision == "bfloat16")
    recorded = attack_recorder(state.device, is_wanted=attack is None and training.cuda_graphs == "auto")

    stream = mixed_batches(data, extra, training, start=state.step, device=state.device)
    for images, labels, epoch in islice(stream, max(0, total_steps - state.step)):
        # Schedule: both are functions of the step.
        peak = training.learning_rate
        rate = learning_rate(training.schedule, state.step, total_steps=total_steps, peak=peak, drops=drops)
        for group in state.optimizer.param_groups:
            group["lr"] = rate
        eps = _budget(training.defense, state.step, per_epoch)

        # Attack: replace the batch by adversarial images for the current network within the budget.
        adversary = attack or _adversary(training.defense, eps=eps, seed=training.seed)
        if adversary is not None:
            numbers = torch.arange(len(images), device=state.device) + state.step * training.batch_size
            images = recorded(
                partial(_attacked, adversary, learner, precision), Batch(images, labels, numbers), eps=eps
            )

        # Learn: one optimiser step in train mode; dropout draws from the seed of this step.
        learner.train()
        with seeded(training.seed, stream=state.step), precision:
            logits = learner(images)
        loss = F.cross_entropy(logits, labels, label_smoothing=training.label_smoothing)
        state.optimizer.zero_grad()
        loss.backward()
        state.optimizer.step()

        # Average: the weights that are scored.
        if state.average is not None:
            update_average(state.average, state.network, decay=warm_decay(training.average_decay, state.step))

        state.step += 1
        if state.step % per_epoch == 0 and not bool(loss.isfinite()):
            raise ValueError(
                f"training diverged in epoch {epoch + 1} (the loss is {loss.item()}): "
                f"lower training.learning_rate, now {training.learning_rate:g}"
            )
        correct = (logits.detach().argmax(dim=1) == labels).sum()
        yield Step(state.step, epoch, loss.detach(), correct, len(images), rate, eps)


def _attacked(adversary: Attack, learner: Classifier, precision: torch.autocast, batch: Batch) -> Tensor:
    with precision, trusted(), learner.frozen():
        return adversary(learner, batch.images, batch.labels, indices=batch.indices)


def _budget(defense: DefenseConfig, step: int, per_epoch: int) -> float:
    if defense.name == "none":
        return 0.0
    return warm_budget(defense.eps, step, warmup_steps=defense.warmup_epochs * per_epoch)


def _adversary(defense: DefenseConfig, *, eps: float, seed: int) -> Attack | None:
    """The attack of a configuration at the budget of this step; None where there is nothing to do.

    A configured step size shrinks as the budget does while that warms up. The last iterate of PGD is learnt, fooling or
    not: an early exit would leave weaker examples.
    """
    if eps == 0:
        return None
    step_size = None if defense.step_size is None else defense.step_size * eps / defense.eps
    if defense.name == "fgsm" or defense.steps == 1:
        return partial(fast_attack, eps=eps, norm=defense.norm, step_size=step_size, seed=seed)
    return partial(pgd, eps=eps, norm=defense.norm, steps=defense.steps, step_size=step_size, keep="last", seed=seed)


def _normalisation(config: NetworkConfig, data: ImageSet) -> tuple[tuple[float, ...], tuple[float, ...]]:
    if not (is_catalogued(config.name) and names_weights(config.name)):
        return normalisation(data)
    mean, std = published_normalisation(config.name)
    if len(mean) == data.channels:
        return mean, std
    # The first convolution was summed over the colours for grey images, which then need one number for all three.
    return (sum(mean) / len(mean),) * data.channels, (sum(std) / len(std),) * data.channels
