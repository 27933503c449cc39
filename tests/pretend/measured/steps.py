"""The steps that are measured: each a function that runs as many of them as it is told to."""

from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from advgan.classifier.training import start as start_classifier
from advgan.classifier.training import train as train_classifier
from advgan.config import ClassifierTraining, GanNetworks, GanTraining, NetworkConfig
from advgan.config.presets import preset_file
from advgan.config.resolve import resolve
from advgan.data import ImageSet
from advgan.gan.state import start as start_gan
from advgan.gan.training import train as train_gan
from attacks import ATTACKS, Classifier
from evaluation.jobs.train.config import TrainConfig

Run = Callable[[int], object]


class Measured(NamedTuple):
    """How to make the steps on a device, and between which numbers of them to measure."""

    prepare: Callable[[torch.device], Run]
    few: int = 4
    more: int = 12


class Unbreakable(nn.Module):
    """Logits of one product whose gradients are sound and whose answer is always class 0.

    Forward it is one operator (addmm), backward another (mm): the least that a network can be, so what is counted is
    what stands beside it.
    """

    def __init__(self, num_classes: int, num_pixels: int) -> None:
        super().__init__()
        self.linear = nn.Linear(num_pixels, num_classes)
        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():
            self.linear.weight.copy_(torch.randn(num_classes, num_pixels, generator=generator) / 100)
            self.linear.bias.copy_(torch.tensor([100.0] + [0.0] * (num_classes - 1)))

    def forward(self, images: Tensor) -> Tensor:
        return self.linear(images.flatten(1))


def images(count: int, *, size: int = 8, channels: int = 1) -> Tensor:
    """Some images in [0, 1], the same each time."""
    return torch.rand(count, channels, size, size, generator=torch.Generator().manual_seed(1))


def image_set(count: int = 64, *, size: int = 8, channels: int = 1) -> ImageSet:
    """The same as bytes, in ten classes."""
    pixels = (images(count, size=size, channels=channels) * 255).to(torch.uint8)
    return ImageSet(pixels, torch.arange(count) % 10, tuple("0123456789"), "noise")


def attacking(name: str, *, steps: str = "steps", each: int = 1, num_classes: int = 10, **options: Any) -> Measured:
    """Steps of an attack on images that it never fools, so that the batch stays; one is `each` in the option."""

    def prepare(device: torch.device) -> Run:
        classifier = Classifier(Unbreakable(num_classes, 64).to(device))
        batch, labels = images(6).to(device), torch.zeros(6, dtype=torch.int64, device=device)
        return lambda count: ATTACKS[name](classifier, batch, labels, **options, **{steps: each * count})

    return Measured(prepare)


def fitting(**settings: Any) -> Measured:
    """Steps of a classifier's training, from where its attack is recorded on."""

    def prepare(device: torch.device) -> Run:
        training = ClassifierTraining.model_validate({"epochs": 20, "batch_size": 16, **settings})
        data = image_set()

        def run(count: int) -> None:
            state = start_classifier(NetworkConfig(name="mlp"), training, data, device=device)
            for _ in islice(train_classifier(state, data, training), count):
                pass

        return run

    return Measured(prepare, few=16, more=32)


def generating(preset: str, *, size: int = 8, channels: int = 1, **settings: Any) -> Measured:
    """Steps of a GAN's training as a preset has it, over whole blocks of what is drawn ahead; without graphs."""

    def prepare(device: torch.device) -> Run:
        config: TrainConfig = resolve(TrainConfig, file=preset_file("train", preset))
        recipe = {"steps": 10_000, "batch_size": 8, "cuda_graphs": False, **settings}
        training = GanTraining.model_validate(config.training.model_dump() | recipe)
        networks = GanNetworks.model_validate(config.networks.model_dump() | {"width": 8})
        data = image_set(size=size, channels=channels)

        def run(count: int) -> None:
            state = start_gan(networks, training, size=size, channels=channels, num_classes=10, device=device)
            for _ in islice(train_gan(state, data, training), count):
                pass

        return run

    return Measured(prepare, few=32, more=64)


def differentiating(device: torch.device) -> Run:
    """A Jacobian of as many classes."""
    batch = images(6).to(device)

    def run(num_classes: int) -> None:
        Classifier(Unbreakable(num_classes, 64).to(device)).jacobian(batch)

    return run


STEPS: Mapping[str, Measured] = {
    # Attacks: beside the two operators of the network
    "pgd": attacking("pgd", eps=0.1),
    "pgd-l2": attacking("pgd", eps=0.5, norm="l2"),
    "mifgsm": attacking("mifgsm", eps=0.1),
    "apgd-ce": attacking("apgd-ce", eps=0.1),
    "apgd-t": attacking("apgd-t", eps=0.1, num_targets=2),
    "fmn": attacking("fmn"),
    "ddn": attacking("ddn"),
    "fab-t": attacking("fab-t"),
    "square": attacking("square", steps="queries", eps=0.1),
    "sigma-zero": attacking("sigma-zero"),
    "one-pixel": attacking("one-pixel", steps="queries", each=10, population=10),
    # Classifiers
    "fit": fitting(),
    "fit-pgd": fitting(defense={"name": "pgd", "steps": 3}),
    "fit-pgd, direct": fitting(defense={"name": "pgd", "steps": 3}, cuda_graphs=False),
    "fit-fgsm": fitting(defense={"name": "fgsm"}),
    # GANs
    "dcgan": generating("dcgan", size=32),
    "dcgan, recorded": generating("dcgan", size=32, cuda_graphs="auto"),
    "sngan": generating("sngan", size=32, channels=3),
    "wgan-gp": generating("wgan-gp"),
    "digits": generating("digits"),
    "r3gan": generating("r3gan"),
    "biggan": generating("biggan"),
    # Evaluation
    "jacobian, a class": Measured(differentiating, few=10, more=100),
}
