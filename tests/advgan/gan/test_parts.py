"""A batch in parts: what a step tells and acts on is of the whole batch, and what cannot be is named or refused."""

from typing import Any

import pytest
import torch

from advgan.config import GanNetworks, GanTraining
from advgan.data import ImageSet
from advgan.gan.parts import seen_in_parts
from advgan.gan.state import State, start
from advgan.gan.training import Step, train

PLAIN = {"generator_norm": "none", "discriminator_norm": "none"}
SHAPE = {"size": 8, "channels": 1, "num_classes": 2}


def images() -> ImageSet:
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (64, 1, 8, 8), dtype=torch.uint8, generator=generator)
    return ImageSet(pixels, torch.arange(64) % 2, ("a", "b"), "toy")


def trained(parts: int, **recipe: Any) -> tuple[list[Step], State]:
    training = GanTraining(
        **{"steps": 4, "batch_size": 16, "optimizer": "sgd", "beta1": 0.0, **recipe, "accumulation": parts},
        generator_learning_rate=0.05,
        discriminator_learning_rate=0.05,
    )
    state = start(GanNetworks(family="mlp", width=8, **PLAIN), training, **SHAPE)
    return list(train(state, images(), training)), state


RECIPES: list[dict[str, Any]] = [
    {"loss": "hinge", "lecam": 0.3},
    {"augmentation": ("colour",), "augmentation_target": 0.6},
    {"adaptive_steps": True, "discriminator_steps": 3},
    {"loss": "relativistic", "r1": 1.0, "r2": 1.0, "penalty_every": 2},
    {"generator_batch": "fresh", "generator_updates": 2},
]


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: "-".join(recipe))
def test_what_is_told_and_acted_on_is_of_the_whole_batch(recipe: dict[str, Any]) -> None:
    """LeCam's averages, logged losses, the signs and the accuracy were those of the last part."""
    (whole, first), (cut, second) = (trained(parts, **recipe) for parts in (1, 4))
    assert len(cut[-1].real_logits) == len(cut[-1].fake_logits) == 16
    for one, other in zip(whole, cut, strict=True):
        assert one.images_seen == other.images_seen
        for field in ("discriminator_loss", "generator_loss", "real_logits", "fake_logits", "augmentation"):
            torch.testing.assert_close(getattr(one, field), getattr(other, field), rtol=1e-4, atol=1e-6)
        assert one.terms.keys() == other.terms.keys()
        for term, value in one.terms.items():
            torch.testing.assert_close(value, other.terms[term], rtol=1e-4, atol=1e-6)
    for gauge, value in vars(first.gauges).items():
        torch.testing.assert_close(value, getattr(second.gauges, gauge), rtol=1e-4, atol=1e-6)
    for mine, theirs in zip(first.discriminator.parameters(), second.discriminator.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("networks", "recipe", "words"),
    [
        (PLAIN, {"lecam": 0.3, "r1": 1.0}, ()),
        ({}, {}, ("batch norm of the generator",)),
        ({**PLAIN, "discriminator_norm": "spectral"}, {}, ("discriminator's spectral norm",)),
        (
            {**PLAIN, "minibatch": "deviation"},
            {"loss": "relativistic-average", "feature_matching": 1.0},
            ("minibatch statistics of the discriminator", "relativistic-average", "feature_matching"),
        ),
    ],
)
def test_what_sees_a_part_of_a_batch_is_named(
    networks: dict[str, Any], recipe: dict[str, Any], words: tuple[str, ...]
) -> None:
    for parts in (1, 4):
        training = GanTraining(batch_size=16, accumulation=parts, **recipe)
        found = seen_in_parts(start(GanNetworks(family="dcgan", width=4, **networks), training, **SHAPE), training)
        assert len(found) == (len(words) if parts > 1 else 0)
        assert all(word in text for word, text in zip(words, found, strict=False))


def test_minibatch_statistics_of_a_single_image_are_refused() -> None:
    training = GanTraining(batch_size=8, accumulation=8)
    with pytest.raises(ValueError, match="accumulation 8 leaves 1 of batch_size 8 in one: lower accumulation"):
        start(GanNetworks(family="dcgan", width=4, minibatch="deviation"), training, **SHAPE)
