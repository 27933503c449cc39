"""A device with little memory: automatic batches shrink, and what they give is what a large device gives."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from advgan.machine.room import Room
from attacks import Attack, Classifier, fgsm, gaussian_noise, pgd, uniform_noise
from attacks.random import uniform
from evaluation import robustness
from evaluation.evaluating import evaluate
from evaluation.features.features import Extractor, single_class
from evaluation.seeing.reference import Reference
from evaluation.under_attack.classifier_findings import classifier_findings
from evaluation.under_attack.outcomes import clean_outcome
from evaluation.under_attack.trust import examined

MIB = 1 << 20
IMAGES = uniform(0, torch.arange(600), (1, 8, 8))
ATTACKS: dict[str, Attack] = {
    "fgsm": partial(fgsm, eps=0.1),
    "uniform": partial(uniform_noise, eps=0.1),
    "gaussian": partial(gaussian_noise, eps=0.1),
    "pgd": partial(pgd, eps=0.05, steps=3),
}


class Wide(nn.Module):
    """Takes a quarter of a MiB an image."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(uniform(1, torch.arange(1024), (64,)).T.contiguous() - 0.5)

    def forward(self, images: Tensor) -> Tensor:
        wide = (images.flatten(1) @ self.weight).relu().repeat(1, 64)
        return wide.unflatten(1, (64, 1024)).mean(dim=1)[:, :4]


@pytest.fixture
def little(limit_memory: Callable[[int], Any]) -> Iterator[None]:
    """24 MiB beside what is there."""
    with limit_memory(torch.cuda.memory_allocated() + 24 * MIB):
        yield


def victim(device: torch.device | str) -> Classifier:
    return Classifier(Wide().to(device), name="wide")


LABELS = victim("cpu").logits(IMAGES).argmax(dim=1)


@pytest.mark.parametrize("name", ATTACKS)
def test_every_kind_of_attack_ends_with_the_numbers_of_a_large_device(
    name: str, little: None, cuda: torch.device
) -> None:
    with pytest.raises(ValueError, match="memory ran out with --batch-size 600"):
        robustness(victim(cuda), IMAGES, LABELS, {name: ATTACKS[name]}, batch_size=600)
    found = robustness(victim(cuda), IMAGES, LABELS, {name: ATTACKS[name]}, batch_size="auto")
    whole = robustness(victim("cpu"), IMAGES, LABELS, {name: ATTACKS[name]})
    assert [score.value for score in found] == pytest.approx([score.value for score in whole])


def test_questions_are_put_to_as_many_images_as_there_is_room_for(
    limit_memory: Callable[[int], Any], cuda: torch.device
) -> None:
    room, classifier = Room.of("auto"), victim(cuda)
    with limit_memory(torch.cuda.memory_allocated() + 8 * MIB):
        clean = room.within(lambda size: clean_outcome(classifier, IMAGES, LABELS, batch_size=size))
        asked = (classifier, IMAGES, LABELS, clean)
        room.within(lambda size: classifier_findings(*asked, num_probes=min(64, size)))
        room.within(lambda size: examined(*asked, {}, {}, num_probes=min(64, size)).findings)
    assert 1 <= room.size < 64


def test_an_evaluation_ends_with_the_numbers_of_a_large_device(little: None, cuda: torch.device) -> None:
    def seer(device: torch.device | str) -> Extractor:
        network = Wide().to(device)

        def look(images: Tensor) -> tuple[Tensor, Tensor]:
            seen = network(images.to(device)).detach()
            return seen, single_class(seen)

        return Extractor("wide", "0", look)

    def distance(device: torch.device | str, batch_size: int) -> float:
        options = {"metrics": ("kid",), "batch_size": batch_size, "device": device}
        (score,) = evaluate(IMAGES[:300], IMAGES[300:], extractor=seer(device), **options)  # type: ignore[arg-type]
        return score.value

    room = Room.of("auto")
    assert room.within(lambda size: distance(cuda, size)) == pytest.approx(distance("cpu", 128), rel=1e-6)
    assert room.size < 300


def test_a_reference_looks_in_the_room_that_it_is_given() -> None:
    room = Room(automatic=True)
    reference = Reference(None, None, batch_size=room, source=object())  # type: ignore[arg-type]
    room.size = 7
    assert reference.batch_size == 7
