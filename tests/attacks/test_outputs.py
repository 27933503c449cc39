"""Every form in which a network may return its logits is read as the same logits, and attacked as these are."""

from collections import namedtuple
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from attacks import Classifier, pgd
from attacks.random import seeded, uniform

IMAGES = uniform(0, torch.arange(6), (1, 4, 4))
LABELS = torch.tensor([0, 1, 1, 0, 1, 0])


class Returning(nn.Module):
    """A linear network whose outputs somebody wraps."""

    def __init__(self, form: Callable[[Tensor], Any], outputs: int) -> None:
        super().__init__()
        self.form = form
        with seeded(0):
            self.layer = nn.Linear(16, outputs)

    def forward(self, images: Tensor) -> Any:
        return self.form(self.layer(images.flatten(1) - 0.5))


@dataclass
class Output:
    logits: Tensor
    hidden: Tensor


@dataclass
class Unnamed:
    loss: Tensor
    answer: Tensor


class Slotted:
    __slots__ = ("logits",)

    def __init__(self, logits: Tensor) -> None:
        self.logits = logits


Named = namedtuple("Named", "logits aux")
FEATURES = torch.zeros(6, 9)
FORMS: dict[str, Callable[[Tensor], Any]] = {
    "tensor": lambda z: z,
    "pixels of 1x1": lambda z: z[:, :, None, None],
    "tuple of one": lambda z: (z,),
    "tuple with an auxiliary head": lambda z: (z, z.detach() * 0),
    "list": lambda z: [z],
    "loss first": lambda z: (z.sum(), z),
    "loss of each image first": lambda z: (z.sum(dim=1), z),
    "named tuple": lambda z: Named(z, FEATURES),
    "dict": lambda z: {"features": FEATURES, "logits": z},
    "dict of one": lambda z: {"anything": z},
    "dict under another name": lambda z: {"hidden": FEATURES, "out": z},
    "dataclass": lambda z: Output(z, FEATURES),
    "dataclass of one": lambda z: Unnamed(z.sum(), z),
    "slots": Slotted,
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("outputs", [2, 5])
def test_every_form_is_attacked_as_its_logits_are(form: str, outputs: int) -> None:
    plain, classifier = (Classifier(Returning(each, outputs)) for each in (FORMS["tensor"], FORMS[form]))
    assert torch.equal(classifier.logits(IMAGES), plain.logits(IMAGES))
    attack = partial(pgd, eps=0.1, steps=3)
    assert torch.equal(attack(classifier, IMAGES, LABELS), attack(plain, IMAGES, LABELS))


ALONE: dict[str, Callable[[Tensor], Any]] = {
    "column": lambda z: z,
    "row": lambda z: z.squeeze(1),
    "dict": lambda z: {"logit": z},
    "tuple": lambda z: (z.view(-1), {}),
}


@pytest.mark.parametrize("form", ALONE)
def test_one_logit_is_that_of_the_second_class(form: str) -> None:
    network = Returning(ALONE[form], 1)
    with torch.no_grad():  # all logits lie between 0 and 1, and are no probabilities
        network.layer.weight.div_(50)
        network.layer.bias.fill_(0.4)
    logits = Classifier(network).logits(IMAGES)
    expected = network.layer(IMAGES.flatten(1) - 0.5).squeeze(1).detach()
    assert 0.3 < expected.min() < expected.max() < 0.5
    torch.testing.assert_close(logits, torch.stack([torch.zeros(6), expected], dim=1))


@pytest.mark.parametrize("form", ALONE)
def test_one_probability_is_told_by_the_sigmoid_at_the_end(form: str) -> None:
    classifier = Classifier(Returning(lambda z: ALONE[form](torch.sigmoid(z)), 1))
    logit = Classifier(Returning(ALONE["column"], 1))
    logits = classifier.logits(IMAGES)
    assert torch.equal(logits.argmax(dim=1), logit.logits(IMAGES).argmax(dim=1))
    torch.testing.assert_close(logits.sum(dim=1), torch.ones(6))
    assert classifier.reader.reading is not None
    assert "one probability, of class 1" in classifier.reader.reading.words
    assert classifier.gradient(IMAGES, lambda logits: logits[:, 1]).gradient.abs().max() > 0


def test_one_number_of_an_unknown_end_is_a_probability_where_it_never_leaves_the_range() -> None:
    for ends, form in ((lambda z: torch.sigmoid(z).detach(), "probability"), (lambda z: z.detach(), "logit")):
        classifier = Classifier(Returning(ends, 1))
        classifier.logits(IMAGES[:1] * 0 + 0.5)
        assert classifier.reader.reading is not None
        assert classifier.reader.reading.form == form


def test_an_array_is_read_too() -> None:
    class Foreign(nn.Module):
        def forward(self, images: Tensor) -> Any:
            return np.ascontiguousarray(images.detach().numpy()[:, 0, :, 0])

    assert torch.equal(Classifier(Foreign()).logits(IMAGES), IMAGES[:, 0, :, 0])


def test_the_number_of_classes_tells_logits_from_features() -> None:
    form = lambda z: (FEATURES, z)  # noqa: E731
    plain = Classifier(Returning(FORMS["tensor"], 5))
    assert torch.equal(Classifier(Returning(form, 5), num_classes=5).logits(IMAGES), plain.logits(IMAGES))
    with pytest.raises(ValueError, match=r"several may be the logits, 0 \(6, 9\), 1 \(6, 5\): say how many classes"):
        Classifier(Returning(form, 5)).logits(IMAGES)
    binary = Classifier(Returning(lambda z: {"a": FEATURES, "b": z}, 1), num_classes=2)
    assert binary.logits(IMAGES).shape == (6, 2)


def test_a_form_that_depends_on_the_mode_is_read_in_each() -> None:
    network = Returning(FORMS["tensor"], 5)
    network.form = lambda z: (z, z * 0) if network.training else z
    classifier = Classifier(network)
    expected = classifier.logits(IMAGES)
    assert torch.equal(classifier.train()(IMAGES), expected)
    assert torch.equal(classifier.logits(IMAGES), expected)


def test_nothing_is_tried_where_the_form_is_plain_and_one_pass_where_it_is_not() -> None:
    for form, outputs, passes in ((FORMS["tuple of one"], 5, 1), (ALONE["row"], 1, 2)):
        seen: list[int] = []
        classifier = Classifier(Returning(lambda z, form=form, seen=seen: seen.append(len(z)) or form(z), outputs))
        classifier.logits(IMAGES)
        assert len(seen) == passes
        classifier.logits(IMAGES)
        assert len(seen) == passes + 1
        assert classifier.passes.forwards == 2 * len(IMAGES)


def test_a_network_of_channels_last_sees_the_same_images() -> None:
    with seeded(0):
        layer = nn.Conv2d(3, 4, 4)
    images = uniform(1, torch.arange(2), (3, 4, 4))

    class Last(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return F.conv2d(images.view(-1, 4, 4, 3).permute(0, 3, 1, 2), layer.weight).flatten(1)

    classifier = Classifier(Last(), mean=(0.1, 0.2, 0.3), std=(1.0, 0.5, 0.25), layout="NHWC")
    plain = Classifier(nn.Sequential(layer, nn.Flatten()), mean=(0.1, 0.2, 0.3), std=(1.0, 0.5, 0.25))
    with torch.no_grad():
        layer.bias.zero_()
    torch.testing.assert_close(classifier.logits(images), plain.logits(images))
    found = [each.gradient(images, lambda logits: logits[:, 0]).gradient for each in (classifier, plain)]
    torch.testing.assert_close(*found)


def test_images_that_are_no_tensor_are_one_clear_line() -> None:
    with pytest.raises(ValueError, match="images must be a tensor; got a ndarray"):
        Classifier(Returning(FORMS["tensor"], 5)).logits(IMAGES.numpy())
