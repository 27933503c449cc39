"""The attack of a training is recorded, and the recorded one trains as the direct one does."""

import logging
from collections.abc import Callable
from itertools import islice
from typing import Any

import pytest
import torch
from torch import Tensor

from advgan.classifier.recorded_attack import Batch, RecordedAttack, attack_recorder
from advgan.classifier.training import start, train
from advgan.config import ClassifierTraining, NetworkConfig
from advgan.data import ImageSet
from attacks.random import uniform

PIXELS = (uniform(1, torch.arange(96), (1, 8, 8)) * 255).to(torch.uint8)
DATA = ImageSet(PIXELS, torch.arange(96) % 3, ("a", "b", "c"), "noise")


def weights(defense: dict[str, Any], graphs: str | bool, precision: str, cuda: torch.device) -> list[Tensor]:
    training = ClassifierTraining.model_validate(
        {
            "epochs": 2,
            "batch_size": 16,
            "defense": {"eps": 0.1, "warmup_epochs": 0.3, **defense},
            "cuda_graphs": graphs,
            "precision": precision,
        }
    )
    state = start(NetworkConfig(), training, DATA, device=cuda)
    list(islice(train(state, DATA, training), 9))
    return [each.clone() for each in state.network.state_dict().values()]


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize(
    "defense", [{"name": "pgd", "steps": 3}, {"name": "pgd", "steps": 3, "norm": "l2"}, {"name": "fgsm"}]
)
def test_recorded_attacks_train_as_direct_ones_do(
    defense: dict[str, Any], precision: str, cuda: torch.device, watch: Callable[..., Any]
) -> None:
    direct = weights(defense, False, precision, cuda)
    with watch() as seen:
        recorded = weights(defense, "auto", precision, cuda)
    assert seen.replays == 9 - 2 - 3  # two steps of warm-up, three of practice
    assert all(torch.equal(one, other) for one, other in zip(direct, recorded, strict=True))


def test_what_waits_is_not_recorded_and_says_so(cuda: torch.device, caplog: pytest.LogCaptureFixture) -> None:
    attacked = attack_recorder(cuda, is_wanted=True)
    batch = Batch(*(torch.ones(2, device=cuda) for _ in range(3)))
    with caplog.at_level(logging.DEBUG):
        found = [attacked(lambda given: given.images * given.labels.sum().item(), batch, eps=0.1) for _ in range(6)]
    assert all(torch.equal(each, batch.images * 2) for each in found)
    assert "the attack is not recorded" in caplog.text
    assert attacked.recorder is None


def test_nothing_is_recorded_where_nothing_can_be() -> None:
    assert attack_recorder(torch.device("cpu"), is_wanted=True) == RecordedAttack(None)
