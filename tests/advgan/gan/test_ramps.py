"""What moves with the steps of a GAN's training."""

import math
from itertools import islice
from typing import Any

import pytest
import torch
from torch.nn.functional import normalize

from advgan.config import GanNetworks, GanTraining
from advgan.data import ImageSet
from advgan.gan.ramps import augmented_share, average_decay, beta2, penalty_share, rate
from advgan.gan.state import State, start
from advgan.gan.training import train
from advgan.learning.averaging import warm_decay

RAMP = {
    "steps": 100,
    "learning_rate": 0.25,
    "penalties": 0.1,
    "beta2": 0.99,
    "half_life": 5e6,
    "augmentation": 0.55,
}


def recipe(**more: Any) -> GanTraining:
    options = {"steps": 8, "batch_size": 8, "loss": "relativistic", "r1": 0.05, "r2": 0.05, "beta2": 0.9}
    return GanTraining.model_validate(options | more)


def images(count: int = 40) -> ImageSet:
    pixels = torch.randint(0, 256, (count, 1, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    return ImageSet(pixels, torch.arange(count) % 3, ("a", "b", "c"), "toy")


def begin(training: GanTraining, **networks: Any) -> State:
    chosen = GanNetworks.model_validate({"family": "dcgan", "width": 4, "latent_dim": 6, **networks})
    return start(chosen, training, size=8, channels=1, num_classes=3)


@pytest.mark.parametrize("step", [0, 25, 50, 99, 100, 5000])
def test_values_move_along_half_a_cosine_and_stay(step: int) -> None:
    training = recipe(steps=10_000, augmentation=["flip"], ramp=RAMP)
    share = (1 - math.cos(math.pi * min(step, 100) / 100)) / 2
    assert rate(training, step, peak=2e-4) == pytest.approx(2e-4 + share * (5e-5 - 2e-4))
    assert penalty_share(training, step) == pytest.approx(1 + share * (0.1 - 1))
    assert beta2(training, step) == pytest.approx(0.9 + share * (0.99 - 0.9))
    assert augmented_share(training, step) == pytest.approx(share * 0.55)
    half_life = share * 5e6
    assert average_decay(training, step) == pytest.approx(0.5 ** (8 / half_life) if half_life else 0)


def test_without_a_ramp_nothing_moves_but_as_before() -> None:
    training = recipe(schedule="linear")
    assert rate(training, 2, peak=1.0) == 0.75
    assert beta2(training, 7) == 0.9
    assert penalty_share(training, 7) == 1
    assert augmented_share(training, 7) is None
    assert average_decay(training, 7) == warm_decay(training.average_decay, 7)


def test_an_average_that_starts_late_has_its_full_decay_at_once() -> None:
    training = recipe(average_after=3, average_decay=0.9999)
    assert [average_decay(training, step) for step in range(5)] == [0, 0, 0, 0.9999, 0.9999]
    state = begin(training)
    list(islice(train(state, images(), training), 3))
    for mine, live in zip(state.average.parameters(), state.generator.parameters(), strict=True):
        assert torch.equal(mine, live)


def test_a_training_follows_its_ramp() -> None:
    training = recipe(augmentation=["flip"], ramp=RAMP | {"steps": 4})
    state = begin(training)
    for step in train(state, images(), training):
        done = step.step - 1
        assert float(step.augmentation) == pytest.approx(augmented_share(training, done))
        assert state.penalty_share is not None
        assert float(state.penalty_share) == pytest.approx(penalty_share(training, done))
        for optimizer in (state.generator_optimizer, state.discriminator_optimizer):
            assert optimizer.param_groups[0]["betas"] == (training.beta1, beta2(training, done))
            assert optimizer.param_groups[0]["lr"] == rate(training, done, peak=2e-4)


def test_a_share_of_the_penalties_is_a_weight_as_much_smaller() -> None:
    ramped = recipe(steps=1, r1=1.0, r2=1.0, ramp={"steps": 1, "penalties": 0.1})
    lighter = recipe(steps=1, r1=0.1, r2=0.1)
    first, second = begin(ramped, family="mlp"), begin(lighter, family="mlp")
    first.step = second.step = 1
    for training, state in ((ramped, first), (lighter, second)):
        list(islice(train(state, images(), training.model_copy(update={"steps": 2})), 1))
    for mine, theirs in zip(first.discriminator.parameters(), second.discriminator.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-7)


def test_a_fresh_batch_is_neither_the_discriminator_s_nor_drawn_twice() -> None:
    shown: list[torch.Tensor] = []

    def recorded(**more: Any) -> list[torch.Tensor]:
        shown.clear()
        training = recipe(steps=3, generator_batch="fresh", loss="hinge", r1=0, r2=0, **more)
        state = begin(training, family="mlp")
        state.generator.register_forward_pre_hook(lambda _, given: shown.append(given[0].clone()))  # type: ignore[attr-defined]
        list(train(state, images(), training))
        return list(shown)

    latents = recorded()
    assert len(latents) == 6
    assert len({tuple(batch.flatten().tolist()) for batch in latents}) == 6
    assert len(recorded(generator_updates=2)) == 9


def test_two_updates_pass_the_same_latents_again() -> None:
    training = recipe(steps=1, generator_updates=2, loss="hinge", r1=0, r2=0)
    state, shown = begin(training, family="mlp"), []
    state.generator.register_forward_pre_hook(lambda _, given: shown.append(given[0].clone()))  # type: ignore[attr-defined]
    list(train(state, images(), training))
    assert len(shown) == 2
    assert torch.equal(shown[0], shown[1])


@pytest.mark.parametrize(("name", "iterations"), [("turn", 2), ("batch", 3)])
def test_power_iterations_are_counted_by_turns_or_by_batches(name: str, iterations: int) -> None:
    """A discriminator's turn judges two batches, a generator's one; weights that stay show how often."""
    rates = {"generator_learning_rate": 1e-30, "discriminator_learning_rate": 1e-30}
    training = recipe(steps=1, loss="hinge", r1=0, r2=0, power_iterations=name, **rates)
    state = begin(training, discriminator_norm="spectral")
    held = state.discriminator.state_dict()
    place = next(key for key in held if key.endswith("original")).removesuffix("original")
    matrix, right = held[place + "original"].flatten(1), held[place + "0._v"]
    right.copy_(normalize(torch.arange(1.0, len(right) + 1), dim=0))
    expected = right.clone()
    for _ in range(iterations):
        expected = normalize(matrix.T @ normalize(matrix @ expected, dim=0), dim=0)
    list(train(state, images(), training))
    torch.testing.assert_close(right, expected)
    once_more = normalize(matrix.T @ normalize(matrix @ expected, dim=0), dim=0)
    assert not torch.allclose(once_more, expected, rtol=1e-3, atol=1e-4)


def test_mirrored_images_are_half_of_the_real_ones() -> None:
    from advgan.gan.rounds import rounds
    from advgan.machine.processes import Processes

    training = recipe(batch_size=40)
    state, mirrored = begin(training), training.model_copy(update={"mirror": True})
    plain, turned = (next(rounds(state, images(), each, Processes()))[0].real for each in (training, mirrored))
    same = (plain == turned).flatten(1).all(dim=1)
    flipped = (plain.flip(3) == turned).flatten(1).all(dim=1)
    assert (same | flipped).all()
    assert 8 <= int(flipped.sum()) <= 32


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"ramp": {"learning_rate": 0.5}, "schedule": "cosine"}, "ramp.learning_rate"),
        ({"ramp": {"penalties": 0.5}, "r1": 0, "r2": 0}, "ramp.penalties"),
        ({"ramp": {"beta2": 0.5}, "optimizer": "sgd"}, "ramp.beta2"),
        ({"ramp": {"augmentation": 0.5}}, "ramp.augmentation"),
        ({"ramp": {"augmentation": 0.5}, "augmentation": ["flip"], "augmentation_target": 0.6}, "ramp.augmentation"),
    ],
    ids=str,
)
def test_a_ramp_with_nothing_to_move_is_refused(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        recipe(**options)
