"""Failures planted into real trainings raise the right alarm in time, and healthy presets raise none.

Everything is trained on the 8x8 digits, through the loop and the monitor of `advgan train`; no history is made up.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from advgan.config import DataConfig, GanNetworks, GanTraining
from advgan.config.presets import preset_file
from advgan.config.resolve import resolve
from advgan.data import Data, ImageSet, load_data
from advgan.gan import training as gan_training
from advgan.gan.training import State, Step, start, train
from advgan.machine.processes import Processes
from advgan.models.classifiers.mlp import Mlp
from advgan.ranges import to_signed
from advgan.sampling.stored import load_gan
from advgan.storage.runs import Run
from attacks import Classifier
from attacks.random import permutation, seeded
from evaluation.features.features import Extractor, classifier_extractor
from evaluation.game.look_history import CERTAIN, LASTING, LEARNING
from evaluation.jobs.train import loop as train_loop
from evaluation.jobs.train.job import TrainConfig
from evaluation.jobs.train.loop import mean_row, train_watched
from evaluation.seeing.reference import Reference
from evaluation.watching.alarms import raised
from evaluation.watching.diagnostics import Diagnostics
from evaluation.watching.monitor import Monitor

Row = dict[str, Any]
Settings = dict[str, Any]
BATCH = 256
STEPS = 25
"""Generator steps between two looks."""
INTERVAL = BATCH * STEPS
"""Images between two looks: 6,400."""
LEARNT = -(-LEARNING // INTERVAL) - 1
"""Looks before one that counts for a want of variety."""
SMALL = Diagnostics(judged=200, gradients=32, redrawn=64)
PERCEPTRONS = GanNetworks(family="mlp", width=8, latent_dim=16)
SOUND: Settings = {
    "batch_size": BATCH,
    "generator_learning_rate": 2e-3,
    "discriminator_learning_rate": 2e-3,
    "average_decay": 0.9,
}
"""A training that goes well where nothing is planted into it."""


@cache
def digits() -> Data:
    return load_data(DataConfig())


@cache
def judge() -> Extractor:
    """A perceptron that knows the digits; it is fitted in a second or two."""
    images, labels = digits().train.unit(), digits().train.labels
    with seeded(0):
        network = Mlp(size=8, channels=1, num_classes=10, width=64)
        optimizer = torch.optim.Adam(network.parameters(), 3e-3)
        for epoch in range(8):
            for batch in permutation(0, len(images), stream=epoch).split(64):
                optimizer.zero_grad()
                F.cross_entropy(network(images[batch]), labels[batch]).backward()
                optimizer.step()
    return classifier_extractor(Classifier(network.eval()), name="perceptron")


def watcher(loss: str, data: Data) -> Monitor:
    return Monitor(Reference(data, judge()), loss, 300, 0, SMALL)


def looks(monitor: Monitor, state: State, intervals: Iterable[Iterable[Step]]) -> Iterator[Row]:
    """Train from look to look."""
    before: Row | None = None
    for interval in intervals:
        row = mean_row(list(interval), Processes())
        before = row | monitor.look(state, before).row
        yield before


# Failures: what is planted where.


@dataclass(frozen=True, kw_only=True)
class Planted:
    """A failure of an otherwise sound training of two perceptrons."""

    code: str
    """The alarm that it must raise."""
    looks: int
    """Looks, of `INTERVAL` images each, by which the alarm must be there."""
    why: str
    """Of that number."""
    alongside: frozenset[str] = frozenset()
    """Alarms that tell a cause or a consequence of the same failure; any other one would drown it."""
    networks: GanNetworks = PERCEPTRONS
    plant: Callable[[State], None] | None = None
    """What is broken in the networks before the first step."""
    images: Callable[[ImageSet, int], ImageSet] = lambda images, look: images
    """Training images before the look with that number."""
    data: Callable[[Data], Data] = lambda data: data
    settings: Callable[[int], Settings] = lambda look: {}
    """Settings before the look with that number."""


def course(failure: Planted) -> Iterator[Row]:
    """The looks at a training with this failure, without end."""

    def recipe(look: int) -> GanTraining:
        settings = {**SOUND, **failure.settings(look)}
        steps = (look + 1) * INTERVAL // settings["batch_size"]
        return GanTraining(**settings, steps=steps)

    data, first = failure.data(digits()), recipe(0)
    state = start(failure.networks, first, size=8, channels=1, num_classes=10)
    if failure.plant:
        failure.plant(state)
    intervals = (train(state, failure.images(data.train, look), recipe(look)) for look in range(100))
    return looks(watcher(first.loss, data), state, intervals)


def generators(state: State) -> tuple[Any, Any]:
    return state.generator, state.average


def of_latents(change: Callable[[Tensor], Tensor]) -> Callable[[State], None]:
    """Let the generator get other latents than are drawn."""

    def plant(state: State) -> None:
        for generator in generators(state):
            generator.layers[0].register_forward_pre_hook(lambda _, inputs: (change(inputs[0]),))

    return plant


deaf = of_latents(torch.zeros_like)
two_faced = of_latents(lambda latents: latents[:, :1].sign().expand_as(latents))


def dead(state: State) -> None:
    """Let the discriminator say the same of everything."""
    state.discriminator.head.register_forward_hook(lambda head, inputs, logits: 0 * logits)  # type: ignore[attr-defined]


def replaying(state: State, images: Callable[[], ImageSet]) -> None:
    """Let the generator draw these images under a tenth of its own, which goes on learning."""

    def drawn(generator: nn.Module, inputs: tuple[Tensor, ...], own: Tensor) -> Tensor:
        known = to_signed(images().unit())
        return torch.lerp(known[(inputs[0][:, 0].sigmoid() * len(known)).long()], own, 0.1)

    for generator in generators(state):
        generator.register_forward_hook(drawn)


def copying(state: State) -> None:
    replaying(state, lambda: digits().train)


def hopping(state: State) -> None:
    """Even digits up to a look, odd ones up to the next; held-out ones, so that they are no copies."""
    images = digits().test
    halves = [images.select((images.labels % 2 == half).nonzero()[:, 0]) for half in (0, 1)]
    replaying(state, lambda: halves[(state.step - 1) // STEPS % 2])


def spoilt(state: State) -> None:
    """Let batch norm keep the running statistics of another network."""
    for generator in generators(state):
        for module in generator.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.fill_(1.0)  # type: ignore[union-attr]
                module.momentum = 0.0


def few(data: Data) -> Data:
    return replace(data, train=data.train.select(permutation(0, len(data.train))[:80]))


def zeros_and_ones(images: ImageSet, look: int) -> ImageSet:
    return images.select((images.labels < 2).nonzero()[:, 0])


def halves_in_turn(images: ImageSet, look: int) -> ImageSet:
    return images.select(((images.labels < 5) == look % 2).nonzero()[:, 0])


def fast(look: int) -> Settings:
    """A discriminator that learns 50 times as fast as its generator."""
    return {"generator_learning_rate": 2e-4, "discriminator_learning_rate": 1e-2}


POOR = frozenset({"diversity-collapse", "missing-modes", "mode-hopping"})
"""A generator that never learnt draws one kind of image, which may change its class."""
FAILURES = {
    "constant generator": Planted(
        code="diversity-collapse",
        looks=LEARNT + LASTING + 1,
        why="it is poor from the first look that counts on; three may by chance come nearer and nearer",
        plant=deaf,
        alongside=POOR,
    ),
    "two modes": Planted(
        code="missing-modes",
        looks=LEARNT + LASTING + 1,
        why="the same",
        plant=two_faced,
        alongside=POOR,
    ),
    "frozen generator": Planted(
        code="frozen-generator",
        looks=1 + CERTAIN,
        why="the first look has none before it to be compared with",
        settings=lambda look: {"generator_learning_rate": 1e-12},
        alongside=frozenset({"saturated-discriminator"}),
    ),
    "fast discriminator": Planted(
        code="saturated-discriminator",
        looks=1 + LASTING,
        why="it wins within the first interval, whose mean loss still holds the beginning",
        settings=fast,
    ),
    "dead discriminator": Planted(
        code="dead-discriminator",
        looks=CERTAIN,
        why="it is dead at once",
        plant=dead,
        alongside=frozenset({"vanishing-gradient"}),
    ),
    "unheard generator": Planted(
        code="vanishing-gradient",
        looks=1 + LASTING,
        why="the discriminator wins within the first interval",
        settings=lambda look: {"loss": "minimax", **fast(look)},
        alongside=frozenset({"saturated-discriminator"}),
    ),
    "memorised data": Planted(code="memorised-data", looks=CERTAIN, why="it copies at once", plant=copying),
    "broken batch norm": Planted(
        code="broken-batch-norm",
        looks=4 + CERTAIN,
        why="train mode must first have learnt to draw, or neither mode is the better one",
        plant=spoilt,
        networks=GanNetworks(family="dcgan", width=4, latent_dim=16),
        settings=lambda look: {"generator_learning_rate": 1e-2},
    ),
    "80 images": Planted(
        code="overfitting-discriminator",
        looks=5 + LASTING,
        why="it has seen each image 320 times at the fourth look, when it begins to know them",
        data=few,
        networks=GanNetworks(family="mlp", width=32, latent_dim=16),
        settings=lambda look: {"batch_size": 80, "generator_learning_rate": 1e-3, "discriminator_learning_rate": 1e-2},
    ),
    "hopping": Planted(
        code="mode-hopping",
        looks=2 + LASTING,
        why="the first look has none before it, and of two that alternate the second may be the better one",
        plant=hopping,
    ),
    "exploding gradients": Planted(
        code="exploding-gradients",
        looks=3 + CERTAIN,
        why="the learning rate is raised a thousandfold after the third look, the fewest that make a median",
        settings=lambda look: {"discriminator_learning_rate": 2e-3 if look < 3 else 2.0},
    ),
    "two classes": Planted(
        code="missing-modes",
        looks=2 * (LEARNT + LASTING),
        why="it must have learnt the two: halves of digits are taken for further classes",
        images=zeros_and_ones,
        settings=lambda look: {"batch_size": 128},
    ),
    "data that change": Planted(
        code="mode-hopping",
        looks=12,
        why="it must have learnt all that it can, for the distance falls until then",
        images=halves_in_turn,
        settings=lambda look: {
            "batch_size": 128,
            "generator_learning_rate": 1e-2,
            "discriminator_learning_rate": 1e-2,
        },
    ),
}
LONG = ("two classes", "data that change")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name in LONG else name for name in FAILURES]
)
def test_a_planted_failure_raises_its_alarm_in_time(name: str) -> None:
    failure, rows, seen = FAILURES[name], list[Row](), set[str]()
    loss = failure.settings(0).get("loss", "non-saturating")
    for row in islice(course(failure), failure.looks):
        rows.append(row)
        seen = {finding.code for _, finding in raised(rows, loss=loss)}
        if failure.code in seen:
            break
    assert failure.code in seen, f"none within {failure.looks * INTERVAL} images"
    assert rows[-1]["images_seen"] <= failure.looks * INTERVAL
    assert seen <= {failure.code} | failure.alongside


def test_the_training_that_failures_are_planted_into_is_sound() -> None:
    rows = list(islice(course(Planted(code="", looks=12, why="")), 12))
    assert raised(rows, loss="non-saturating") == []
    assert rows[-1]["distance"] < rows[0]["distance"] / 2


# What is no number.


@pytest.mark.parametrize("where", ["generator", "discriminator"])
def test_a_weight_that_is_no_number_stops_training_with_its_cause(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    def planted(state: State, *arguments: Any, **options: Any) -> Iterator[Step]:
        for step in gan_training.train(state, *arguments, **options):
            yield step
            if step.step == 12:
                with torch.no_grad():
                    next(getattr(state, where).parameters()).view(-1)[0] = torch.nan

    monkeypatch.setattr(train_loop, "train", planted)
    training = GanTraining(**SOUND, steps=40)
    config = TrainConfig(networks=PERCEPTRONS, training=training, num_samples=300, log_every=5, evaluate_every=10)
    state = start(PERCEPTRONS, training, size=8, channels=1, num_classes=10)
    with pytest.raises(ValueError, match=r"training diverged before step 15 .*lower the learning rates"):
        train_watched(Run(tmp_path), state, digits(), config, watcher("non-saturating", digits()), Processes())
    assert Run(tmp_path).rows()[-1]["stopped"] == "diverged"
    assert load_gan(Run(tmp_path).last).step == 10


# Healthy presets.

PRESETS: dict[str, Settings] = {
    "digits": {"networks.width": 16},
    "small": {"networks.width": 8},
    "dcgan": {"networks.width": 8},
    "lsgan": {"networks.width": 8},
    "infogan": {"networks.width": 8},
    "wgan-gp": {"networks.width": 8},
    "diffaugment": {"networks.width": 8},
    "improved": {"networks.width": 8},
    "sngan": {"networks.width": 4},
    "projection": {"networks.width": 4},
    "progressive": {"networks.width": 8},
    "r3gan": {"networks.width": 4},
}
"""Presets that train well, narrowed for images of 8 pixels."""


def shortened(name: str, settings: Settings) -> TrainConfig:
    """A preset with 400 steps; its averages remember in proportion."""
    overrides = {"training.steps": 400, "training.average_decay": 0.98, **settings}
    return resolve(TrainConfig, file=preset_file("train", name), overrides=overrides)


@pytest.mark.slow
@pytest.mark.parametrize("name", list(PRESETS))
def test_a_healthy_preset_raises_no_alarm(name: str) -> None:
    config = shortened(name, PRESETS[name])
    state = start(config.networks, config.training, size=8, channels=1, num_classes=10)
    steps = train(state, digits().train, config.training)
    intervals = (islice(steps, 50) for _ in range(8))
    rows = list(looks(watcher(config.training.loss, digits()), state, intervals))
    assert raised(rows, loss=config.training.loss) == []
    assert rows[-1]["distance"] < rows[0]["distance"]
