from collections.abc import Iterator
from copy import deepcopy
from itertools import combinations, islice
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import get_total_norm
from torch.utils._pytree import tree_leaves

from advgan.config import GanNetworks, GanTraining
from advgan.data import ImageSet, batches
from advgan.gan import training as gan_training
from advgan.gan.losses import LOSSES
from advgan.gan.penalties import gradient_norms, gradient_penalty
from advgan.gan.rounds import MIXING
from advgan.gan.steps import Step, stacked
from advgan.gan.training import State, frozen, start, train
from advgan.learning.averaging import update_average, warm_decay
from advgan.models.latents import LatentSpace, latents
from advgan.sampling.drawing import sample
from advgan.sampling.stored import load_state, save_gan
from attacks.random import uniform

DATA = {"name": "toy", "digest": "0" * 12, "classes": ["a", "b", "c"], "size": 12, "channels": 1}
FAMILIES = ["mlp", "dcgan"]
every_loss = pytest.mark.parametrize("loss", LOSSES)
every_family = pytest.mark.parametrize("family", FAMILIES)
conditional_or_not = pytest.mark.parametrize("conditional", [False, True], ids=["plain", "conditional"])


def images(count: int = 40, size: int = 12) -> ImageSet:
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (count, 1, size, size), dtype=torch.uint8, generator=generator)
    return ImageSet(pixels, torch.arange(count) % 3, ("a", "b", "c"), "toy")


def networks(family: str, *, conditional: bool = False) -> GanNetworks:
    return GanNetworks.model_validate({"family": family, "width": 4, "latent_dim": 6, "conditional": conditional})


def recipe(loss: str = "non-saturating", *, steps: int = 12, **options: Any) -> GanTraining:
    return GanTraining.model_validate({"loss": loss, "steps": steps, "batch_size": 8, "seed": 5, **options})


def begin(family: str, training: GanTraining, *, conditional: bool = False) -> State:
    return start(networks(family, conditional=conditional), training, size=12, channels=1, num_classes=3)


def assert_equal_trees(found: Any, expected: Any, where: str = "state") -> None:
    if isinstance(expected, Tensor):
        assert torch.equal(found, expected), where
    elif isinstance(expected, dict):
        assert list(found) == list(expected), where
        for key in expected:
            assert_equal_trees(found[key], expected[key], f"{where}.{key}")
    else:
        assert found == expected, where


def assert_equal_steps(found: list[Step], expected: list[Step]) -> None:
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert one == other, f"step {other.step}"


@every_loss
@every_family
@conditional_or_not
def test_a_resumed_run_equals_an_uninterrupted_one(loss: str, family: str, conditional: bool, tmp_path: Path) -> None:
    training = recipe(loss, discriminator_steps=2)
    whole = begin(family, training, conditional=conditional)
    steps = list(train(whole, images(), training))

    killed = begin(family, training, conditional=conditional)
    first = list(islice(train(killed, images(), training), 5))
    save_gan(tmp_path / "last.safetensors", killed, networks(family, conditional=conditional), training, data=DATA)
    resumed = load_state(tmp_path / "last.safetensors")
    assert resumed.step == 5
    rest = list(train(resumed, images(), training))

    assert_equal_steps(first + rest, steps)
    assert_equal_trees(resumed.to_tree(), whole.to_tree())
    assert whole.step == 12
    assert all(bool(value.isfinite().all()) for step in steps for value in tensors(step))


def test_a_loaded_state_has_its_own_moments() -> None:
    training = recipe()
    state, copied = begin("mlp", training), begin("mlp", training)
    list(islice(train(state, images(), training), 2))
    copied.load(state.to_tree())
    before = deepcopy(state.to_tree())
    list(islice(train(copied, images(), training), 2))
    assert_equal_trees(state.to_tree(), before)


def test_the_learning_rate_of_a_resumed_run_is_that_of_its_configuration() -> None:
    state = begin("mlp", recipe())
    list(islice(train(state, images(), recipe()), 2))
    slower = begin("mlp", recipe(generator_learning_rate=1e-5))
    slower.load(state.to_tree())
    assert slower.generator_optimizer.param_groups[0]["lr"] == 1e-5


def test_training_neither_uses_nor_moves_the_global_random_generator() -> None:
    training, ends = recipe(steps=3), []
    for seed in (1, 2):
        torch.manual_seed(seed)
        before = torch.get_rng_state()
        state = begin("dcgan", training)
        for _ in train(state, images(), training):
            assert torch.equal(torch.get_rng_state(), before)
        ends.append(state.to_tree())
    assert_equal_trees(*ends)


def test_another_seed_is_another_run() -> None:
    ends = []
    for seed in (0, 1):
        training = recipe(steps=1, seed=seed)
        state = begin("mlp", training)
        (step,) = train(state, images(), training)
        ends.append(step.discriminator_loss.item())
    assert ends[0] != ends[1]


def tensors(step: Step) -> list[Tensor]:
    return [value for value in tree_leaves(tuple(step)) if isinstance(value, Tensor)]


class Recorder(nn.Module):
    """Stands in for a player and writes down what it is given and in which state it is then."""

    def __init__(self, player: nn.Module, calls: list[tuple[Any, ...]]) -> None:
        super().__init__()
        self.player, self.calls = player, calls
        self.space, self.num_classes = LatentSpace(6), 3

    @property
    def head(self) -> nn.Module:
        return self.player.head

    def features(self, inputs: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.remember(inputs, labels, self.player.features(inputs, labels))

    def forward(self, inputs: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.remember(inputs, labels, self.player(inputs, labels))

    def remember(self, inputs: Tensor, labels: Tensor | None, outputs: Tensor) -> Tensor:
        learning = next(self.player.parameters()).requires_grad
        assert labels is not None
        self.calls.append(
            (inputs.detach().clone(), labels.clone(), learning, outputs.requires_grad, inputs.requires_grad)
        )
        return outputs


def record(training: GanTraining) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]], State]:
    state = begin("mlp", training, conditional=True)
    drawn: list[tuple[Any, ...]] = []
    scored: list[tuple[Any, ...]] = []
    state.generator = Recorder(state.generator, drawn)  # type: ignore[arg-type, assignment]
    state.average = Recorder(state.average, [])  # type: ignore[arg-type, assignment]
    state.discriminator = Recorder(state.discriminator, scored)  # type: ignore[arg-type, assignment]
    list(train(state, images(), training))
    return drawn, scored, state


def test_k_discriminator_steps_see_k_batches_and_real_and_fake_pass_apart() -> None:
    training = recipe(steps=2, discriminator_steps=3)
    drawn, scored, _ = record(training)
    real_batches = list(islice(batches(images(), 8, seed=5), 6))
    assert len(drawn) == 6
    assert len(scored) == 2 * (3 * 2 + 1)
    for step in range(2):
        calls = scored[7 * step : 7 * step + 7]
        for turn in range(3):
            real, fake = calls[2 * turn], calls[2 * turn + 1]
            batch = real_batches[3 * step + turn]
            torch.testing.assert_close(real[0], batch.images.float() / 127.5 - 1)
            assert torch.equal(real[1], batch.labels)
            assert torch.equal(fake[1], batch.labels)
            assert len(real[0]) == len(fake[0]) == 8
    noises = torch.cat([call[0] for call in drawn])
    assert torch.equal(noises, latents(5, torch.arange(48), dim=6, stream=gan_training.TRAINING_LATENTS))


def test_each_player_learns_in_its_own_step_alone() -> None:
    drawn, scored, _ = record(recipe(steps=1, discriminator_steps=2))
    assert [graph for *_, graph, _ in drawn] == [False, True], "only the batch of the generator step keeps its graph"
    *discriminator_calls, generator_call = scored
    for _, _, learning, _, inputs_graph in discriminator_calls:
        assert learning
        assert not inputs_graph, "a graph into the generator was carried through the discriminator step"
    _, _, learning, outputs_graph, inputs_graph = generator_call
    assert not learning, "the discriminator gathers gradients in the generator step"
    assert outputs_graph
    assert inputs_graph


def test_the_generator_step_leaves_no_gradient_in_the_discriminator() -> None:
    """The gradients that remain are those of its own step: fed once more, it would move the same way."""
    training = recipe(steps=1)
    state = begin("mlp", training)
    reference = begin("mlp", training)
    list(train(state, images(), training))
    batch = next(batches(images(), 8, seed=5))
    real = batch.images.float() / 255 * 2 - 1
    noise = latents(5, torch.arange(8), dim=6, stream=gan_training.TRAINING_LATENTS)
    fake = reference.generator(noise, None).detach()
    logits = reference.discriminator(real, None), reference.discriminator(fake, None)
    LOSSES["non-saturating"].discriminator(*logits).backward()
    for found, expected in zip(state.discriminator.parameters(), reference.discriminator.parameters(), strict=True):
        assert found.requires_grad
        torch.testing.assert_close(found.grad, expected.grad)


def test_a_frozen_network_passes_gradients_on_and_thaws_even_after_an_error() -> None:
    network = nn.Linear(3, 1)
    inputs = torch.ones(2, 3, requires_grad=True)
    with frozen(network):
        network(inputs).sum().backward()
    assert network.weight.grad is None
    assert inputs.grad is not None
    with pytest.raises(RuntimeError, match="stop"), frozen(network):
        raise RuntimeError("stop")
    assert network.weight.requires_grad


def test_one_step_of_each_player_is_one_step_of_adam_on_its_loss() -> None:
    """At the first step Adam moves each weight by the learning rate against the sign of its gradient."""
    training = recipe(steps=1, generator_learning_rate=1e-3, discriminator_learning_rate=2e-3, average_decay=0)
    state, before = begin("mlp", training), begin("mlp", training)
    list(train(state, images(), training))
    for player, rate in (("generator", 1e-3), ("discriminator", 2e-3)):
        pairs = zip(getattr(state, player).parameters(), getattr(before, player).parameters(), strict=True)
        for moved, initial in pairs:
            gradient = moved.grad
            large = gradient.abs() > 1e-5
            expected = -rate * gradient.sign()[large]
            torch.testing.assert_close((moved - initial).detach()[large], expected, rtol=2e-3, atol=1e-6)


@pytest.mark.parametrize("loss", ["non-saturating", "wasserstein"])
def test_the_generator_learns_from_the_discriminator_that_has_just_moved(loss: str) -> None:
    training = recipe(loss, steps=1)
    state, before = begin("mlp", training), begin("mlp", training)
    (step,) = train(state, images(), training)
    noise = latents(5, torch.arange(8), dim=6, stream=gan_training.TRAINING_LATENTS)
    with torch.no_grad():
        logits = state.discriminator(before.generator(noise, None), None)
    expected = LOSSES[loss].generator(logits, logits)
    torch.testing.assert_close(step.generator_loss, expected)


@every_family
def test_the_average_follows_the_stated_recursion_and_so_do_running_statistics(family: str) -> None:
    training = recipe(steps=20, average_decay=0.6)
    state = begin(family, training)
    expected = [tensor.detach().clone().double() for tensor in averaged_tensors(state.generator)]
    for number, _ in enumerate(train(state, images(), training)):
        decay = min(0.6, (1 + number) / (10 + number))
        live = [tensor.detach().double() for tensor in averaged_tensors(state.generator)]
        expected = [decay * old + (1 - decay) * new for old, new in zip(expected, live, strict=True)]
    for found, wanted in zip(averaged_tensors(state.average), expected, strict=True):
        torch.testing.assert_close(found.double(), wanted, rtol=1e-5, atol=1e-7)
        assert not found.requires_grad
    for found, live_buffer in zip(state.average.buffers(), state.generator.buffers(), strict=True):
        assert found.is_floating_point() or torch.equal(found, live_buffer), "counters are copied"
        assert found.data_ptr() != live_buffer.data_ptr()
    assert not state.average.training


def averaged_tensors(network: Any) -> list[Tensor]:
    return [tensor for tensor in (*network.parameters(), *network.buffers()) if tensor.is_floating_point()]


def test_without_averaging_the_average_is_the_live_generator() -> None:
    training = recipe(steps=3, average_decay=0)
    state = begin("dcgan", training)
    list(train(state, images(), training))
    assert_equal_trees(state.average.state_dict(), state.generator.state_dict())


def test_the_decay_warms_up_to_the_configured_one() -> None:
    assert warm_decay(0.999, 0) == pytest.approx(0.1)
    assert warm_decay(0.999, 90) == pytest.approx(0.91)
    assert warm_decay(0.999, 10**6) == 0.999
    assert warm_decay(0.0, 50) == 0.0


def test_an_average_moves_by_one_minus_the_decay() -> None:
    average, live = nn.Linear(1, 1), nn.Linear(1, 1)
    with torch.no_grad():
        average.weight.fill_(1.0), live.weight.fill_(5.0)
    update_average(average, live, decay=0.75)
    assert average.weight.item() == 2.0


READ = (
    "discriminator_loss",
    "generator_loss",
    "real_logit",
    "fake_logit",
    "real_probability",
    "fake_probability",
    "real_accuracy",
    "fake_accuracy",
    "discriminator_gradient",
    "generator_gradient",
    "augmentation",
)


def test_many_steps_are_read_at_once_and_each_value_is_that_of_its_step() -> None:
    training = recipe("wasserstein", steps=5)
    steps = list(train(begin("dcgan", training), images(), training))
    whole = stacked(steps)
    for name in READ:
        assert torch.equal(getattr(whole, name), torch.stack([getattr(step, name) for step in steps])), name
    assert {name: value.tolist() for name, value in whole.terms.items()} == {
        name: [float(step.terms[name]) for step in steps] for name in steps[0].terms
    }


def test_the_norm_of_the_gradients_is_that_of_all_of_them_together() -> None:
    training = recipe("hinge", steps=1)
    state = begin("mlp", training)
    (step,) = train(state, images(), training)
    gradients = [parameter.grad for parameter in state.generator.parameters() if parameter.grad is not None]
    assert torch.equal(step.generator_gradient, get_total_norm(gradients))


@every_loss
def test_every_step_holds_detached_scalars_that_agree_with_each_other(loss: str) -> None:
    training = recipe(loss, steps=3, discriminator_steps=2)
    for number, step in enumerate(train(begin("dcgan", training), images(), training), start=1):
        assert (step.step, step.images_seen) == (number, number * 2 * 8)
        assert not any(value.requires_grad for value in tensors(step))
        assert step.real_logits.shape == step.fake_logits.shape == (8,)
        for name in READ:
            assert getattr(step, name).shape == (), name
        assert 0 <= step.real_accuracy <= 1
        assert 0 < step.fake_probability < 1
        assert list(step.terms) == (["discriminator.gradient_penalty"] if loss == "wasserstein" else [])
        assert all(value > 0 for value in step.terms.values())
        if loss == "wasserstein":
            torch.testing.assert_close(step.discriminator_loss, step.fake_logit - step.real_logit)


@every_loss
def test_the_values_of_a_step_are_those_of_its_definitions(loss: str) -> None:
    training = recipe(loss, steps=1)
    state, before = begin("mlp", training), begin("mlp", training)
    with torch.no_grad():  # steep, so that real and fake are told apart by some images and not by others
        for network in (state.discriminator, before.discriminator):
            network.head.linear.weight.mul_(20)  # type: ignore[attr-defined]
    (step,) = train(state, images(), training)

    numbers = torch.arange(8)
    real = next(batches(images(), 8, seed=5)).images.float() / 255 * 2 - 1
    fake = before.generator(latents(5, numbers, dim=6, stream=gan_training.TRAINING_LATENTS), None).detach()
    real_logits, fake_logits = before.discriminator(real, None).detach(), before.discriminator(fake, None).detach()
    assert step.discriminator_loss == LOSSES[loss].discriminator(real_logits, fake_logits)
    assert (step.real_logit, step.fake_logit) == (real_logits.mean(), fake_logits.mean())
    assert step.real_probability == real_logits.sigmoid().mean()
    assert step.fake_probability == fake_logits.sigmoid().mean()
    assert step.real_accuracy == sum(logit > 0 for logit in real_logits.tolist()) / 8
    assert step.fake_accuracy == sum(logit < 0 for logit in fake_logits.tolist()) / 8
    assert step.fake_accuracy != 0.5, "the images do not tell a right sign from a wrong one"
    mixing = uniform(5, numbers, (), stream=MIXING)
    penalty = gradient_penalty(before.discriminator, real, fake, None, mixing=mixing).detach()
    assert step.terms == ({"discriminator.gradient_penalty": penalty} if loss == "wasserstein" else {})


def test_no_value_is_read_from_the_device_within_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading a tensor stops the host until the device is done; `Tensor` is asked for none during a step."""
    training = recipe("wasserstein", steps=3)
    state = begin("dcgan", training, conditional=True)
    steps = train(state, images(), training)
    next(steps)

    def refuse(self: Tensor, *arguments: Any) -> None:
        raise AssertionError("a step read a value from the device")

    for name in ("item", "tolist", "numpy", "__bool__", "__int__", "__float__", "__index__"):
        monkeypatch.setattr(Tensor, name, refuse)
    next(steps)


def test_the_caller_may_change_modes_between_steps() -> None:
    training = recipe(steps=6)
    calm, busy = begin("dcgan", training), begin("dcgan", training)
    list(train(calm, images(), training))
    for _ in train(busy, images(), training):
        sample(busy.average, 4)
        sample(busy.generator, 4)
        busy.generator.eval()
        busy.discriminator.eval()
    assert_equal_trees(busy.to_tree(), calm.to_tree())


def test_training_ends_at_the_configured_step_and_again_at_once() -> None:
    training = recipe(steps=2)
    state = begin("mlp", training)
    assert len(list(train(state, images(), training))) == 2
    assert list(train(state, images(), training)) == []
    assert [step.step for step in train(state, images(), recipe(steps=4))] == [3, 4]


def test_nan_is_reported_in_the_step_in_which_it_appears() -> None:
    training = recipe(steps=3)
    state = begin("mlp", training)
    steps = train(state, images(), training)
    assert next(steps).discriminator_loss.isfinite()
    with torch.no_grad():
        next(state.discriminator.parameters()).fill_(float("nan"))
    broken = next(steps)
    assert broken.discriminator_loss.isnan()
    assert broken.generator_loss.isnan()


def with_dropout(training: GanTraining, masks: list[Tensor] | None = None) -> State:
    state = begin("mlp", training)
    layers = state.discriminator.layers  # type: ignore[attr-defined]
    layers.append(nn.Dropout(0.5))
    if masks is not None:
        layers[-1].register_forward_hook(lambda module, given, out: masks.append(out.detach() == 0))
    return state


def test_dropout_is_drawn_from_the_seed_and_the_step() -> None:
    training = recipe(steps=4)
    torch.manual_seed(0)
    whole = with_dropout(training)
    steps = list(train(whole, images(), training))
    torch.manual_seed(1)
    first = with_dropout(training)
    list(islice(train(first, images(), training), 2))
    resumed = with_dropout(training)
    resumed.load(deepcopy(first.to_tree()))
    assert_equal_steps(list(train(resumed, images(), training)), steps[2:])
    assert_equal_trees(resumed.to_tree(), whole.to_tree())


def test_dropout_is_drawn_anew_in_every_pass_even_if_the_caller_left_eval_mode() -> None:
    training, masks = recipe(steps=3), []
    state = with_dropout(training, masks)
    for _ in train(state, images(), training):
        state.discriminator.eval()
    assert len(masks) == 9
    assert all(0.3 < mask.float().mean() < 0.7 for mask in masks)
    assert not any(torch.equal(one, other) for one, other in combinations(masks, 2))


@pytest.mark.parametrize("loss", ["hinge", "wasserstein"])
def test_a_penalty_in_force_builds_the_critic_without_batch_norm(loss: str) -> None:
    penalised = begin("dcgan", recipe(loss, gradient_penalty=1.0))
    plain = begin("dcgan", recipe("hinge"))

    def norms(network: Any) -> int:
        return sum(isinstance(module, nn.BatchNorm2d) for module in network.modules())

    assert norms(penalised.discriminator) == 0
    assert norms(plain.discriminator) == 1
    assert norms(penalised.generator) > 0


def test_the_penalty_holds_the_slope_of_the_critic_near_one() -> None:
    slopes = {}
    rates = {"generator_learning_rate": 1e-6, "discriminator_learning_rate": 2e-3}
    for weight in (0.0, 0.5, 10.0):
        training = recipe(steps=60, gradient_penalty=weight, beta1=0.0, **rates)
        state = begin("mlp", training)
        list(train(state, images(), training))
        between = sample(state.generator, 40) + images().unit() - 1
        slopes[weight] = gradient_norms(state.discriminator, between, None).mean().item()
    assert slopes[0.0] > 3
    assert slopes[0.5] == pytest.approx(1.4, abs=0.3)
    assert slopes[10.0] == pytest.approx(1.1, abs=0.15)


def bars(count: int = 96) -> ImageSet:
    """Three classes of 8x8 images: a bright bar at the left, in the middle, at the right, its brightness varying."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(count) % 3
    pixels = torch.zeros(count, 1, 8, 8, dtype=torch.uint8)
    brightness = torch.randint(150, 256, (count,), dtype=torch.uint8, generator=generator)
    for row, label in enumerate(labels.tolist()):
        pixels[row, 0, :, 3 * label : 3 * label + 2] = brightness[row]
    return ImageSet(pixels, labels, ("left", "middle", "right"), "bars")


@every_loss
@every_family
def test_a_conditional_gan_learns_where_each_class_has_its_bar(loss: str, family: str) -> None:
    data = bars()
    # A minimax generator stops where the discriminator wins, so there the discriminator learns the slower.
    rates = (1e-3, 5e-4) if loss == "minimax" else (2e-3, 2e-3)
    training = recipe(
        loss,
        steps=400 if loss == "minimax" else 250,
        batch_size=16,
        generator_learning_rate=rates[0],
        discriminator_learning_rate=rates[1],
        average_decay=0.95,
        beta1=0.0,
        r1=0.5 if loss == "relativistic" else 0.0,  # the paper's: without R1 the paired game need not converge
        r2=0.5 if loss == "relativistic" else 0.0,
    )
    plan = GanNetworks.model_validate({"family": family, "width": 8, "latent_dim": 8, "conditional": True})
    state = start(plan, training, size=8, channels=1, num_classes=3)
    real = torch.stack([data.unit(data.labels == label).mean(0) for label in range(3)])

    def distances() -> Tensor:
        """(3 drawn, 3 real): root mean square distance between the mean images of the classes."""
        drawn = sample(state.average, 60, labels=torch.arange(60) % 3)
        means = torch.stack([drawn[label::3].mean(0) for label in range(3)])
        return (means[:, None] - real[None]).square().mean((2, 3, 4)).sqrt()

    before = distances().diagonal().mean()
    for _ in train(state, data, training):
        pass
    after = distances()
    assert after.diagonal().max() < before / 3
    assert after.argmin(dim=1).tolist() == [0, 1, 2]


@every_family
def test_an_unconditional_gan_finds_every_bar(family: str) -> None:
    data = bars()
    rates = {"generator_learning_rate": 1e-3, "discriminator_learning_rate": 2e-3, "average_decay": 0.95}
    training = recipe("wasserstein", steps=300, beta1=0.0, beta2=0.9, discriminator_steps=2, **rates)
    plan = GanNetworks.model_validate({"family": family, "width": 8, "latent_dim": 8})
    state = start(plan, training, size=8, channels=1, num_classes=3)
    for _ in train(state, data, training):
        pass
    real = torch.stack([data.unit(data.labels == label).mean(0) for label in range(3)])
    nearest = torch.cdist(sample(state.average, 200).flatten(1), real.flatten(1)).argmin(1)
    counts = torch.bincount(nearest, minlength=3)
    assert counts.min() > 8


def test_a_set_smaller_than_a_batch_is_refused_before_the_first_step() -> None:
    training = recipe(batch_size=64)
    with pytest.raises(ValueError, match="batch_size 64 exceeds the 40 images"):
        next(train(begin("mlp", training), images(), training))


def test_progress_is_a_plain_iterator_that_can_be_left_at_any_step() -> None:
    training = recipe(steps=5)
    state = begin("mlp", training)
    steps: Iterator[Step] = train(state, images(), training)
    next(steps)
    next(steps)
    assert state.step == 2
    assert all(parameter.requires_grad for parameter in state.discriminator.parameters())
