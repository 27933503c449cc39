"""The classifier loop: exact resumption, adversarial training, mixing, and the closed forms of what it is made of."""

import re
from collections.abc import Callable
from copy import deepcopy
from functools import cache, partial
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from advgan.classifier import training as classifier_training
from advgan.classifier.fast_attack import fast_attack
from advgan.classifier.mixing import Mixture, mixed_batches, mixture, steps_per_epoch
from advgan.classifier.normalisation import normalisation
from advgan.classifier.training import State, Step, start, train
from advgan.config import ClassifierTraining, DataConfig, NetworkConfig
from advgan.data import Data, ImageSet, batches, load_data
from advgan.learning.augmentation import augment
from advgan.learning.averaging import update_average, warm_decay
from advgan.learning.optimizers import build_optimizer
from advgan.learning.schedules import learning_rate, warm_budget
from advgan.ranges import to_unit
from advgan.storage.checkpoints import load_checkpoint, save_checkpoint
from attacks import NORMS, Classifier, pgd
from attacks.random import seeded, uniform

CLASSES = ("a", "b", "c")


def image_set(count: int, *, size: int = 8, channels: int = 1, classes: tuple[str, ...] = CLASSES) -> ImageSet:
    pixels = (uniform(count, torch.arange(count), (channels, size, size)) * 256).to(torch.uint8)
    return ImageSet(pixels, torch.arange(count) % len(classes), classes, "noise")


def recipe(**options: Any) -> ClassifierTraining:
    return ClassifierTraining.model_validate({"epochs": 3, "batch_size": 16, **options})


def weights(state: State) -> list[Tensor]:
    return [each.clone() for each in state.scored.state_dict().values()]


def equal(first: list[Tensor], second: list[Tensor]) -> bool:
    return len(first) == len(second) and all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def run(state: State, data: ImageSet, training: ClassifierTraining, count: int, **options: Any) -> list[Step]:
    return list(islice(train(state, data, training, **options), count))


def dropout_file(tmp_path: Path) -> str:
    (tmp_path / "drop.py").write_text(
        "from torch import nn\n"
        "def build(num_classes, size):\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(size * size, 16), nn.BatchNorm1d(16), nn.ReLU(),\n"
        "                         nn.Dropout(0.5), nn.Linear(16, num_classes))\n"
    )
    return f"{tmp_path / 'drop.py'}:build"


@cache
def digits() -> Data:
    return load_data(DataConfig())


# Schedules


@pytest.mark.parametrize("total", [5, 12, 100])
def test_schedules_are_those_of_torch(total: int) -> None:
    def by_torch(make: Callable[[torch.optim.Optimizer], Any]) -> list[float]:
        optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.3)
        scheduler, rates = make(optimizer), []
        for _ in range(total):
            rates.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            scheduler.step() if len(rates) < total else None
        return rates

    schedulers = torch.optim.lr_scheduler
    expected = {
        "one-cycle": by_torch(partial(schedulers.OneCycleLR, max_lr=0.3, total_steps=total, cycle_momentum=False)),
        "cosine": by_torch(partial(schedulers.CosineAnnealingLR, T_max=total)),
        "constant": [0.3] * total,
    }
    for name, rates in expected.items():
        ours = [learning_rate(name, step, total_steps=total, peak=0.3) for step in range(total)]
        assert ours == pytest.approx(rates, rel=1e-9, abs=1e-12), name


def test_drops_are_those_of_torch() -> None:
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.3)
    scheduler, rates = torch.optim.lr_scheduler.MultiStepLR(optimizer, [3, 7]), []
    for _ in range(10):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    ours = [learning_rate("drops", step, total_steps=10, peak=0.3, drops=[3, 7]) for step in range(10)]
    assert ours == pytest.approx(rates, rel=1e-9)


@pytest.mark.parametrize("options", [{"schedule": "drops"}, {"drop_epochs": [3]}], ids=str)
def test_drops_need_their_epochs_and_nothing_else_has_them(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="drop_epochs"):
        recipe(**options)


def test_published_sgd_decays_everything_and_looks_not_ahead() -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    chosen = {"optimizer": "sgd", "weight_decay": 5e-4}
    ours = build_optimizer(network, recipe(**chosen))
    assert [(group["weight_decay"], group["nesterov"]) for group in ours.param_groups] == [(5e-4, True), (0.0, True)]
    published = build_optimizer(network, recipe(**chosen, decays_everything=True, nesterov=False))
    assert {(group["weight_decay"], group["nesterov"]) for group in published.param_groups} == {(5e-4, False)}


def test_a_schedule_of_one_step_learns() -> None:
    assert learning_rate("one-cycle", 0, total_steps=1, peak=0.3) == 0.3


def test_the_budget_rises_along_a_straight_line() -> None:
    budgets = [warm_budget(0.3, step, warmup_steps=4) for step in range(6)]
    assert budgets == pytest.approx([0, 0.075, 0.15, 0.225, 0.3, 0.3])
    assert warm_budget(0.3, 0, warmup_steps=0) == 0.3


# What one step does


def linear_state(training: ClassifierTraining, data: ImageSet, tmp_path: Path) -> State:
    (tmp_path / "line.py").write_text("from torch import nn\nbuild = nn.Sequential(nn.Flatten(), nn.Linear(64, 3))\n")
    return start(NetworkConfig(name=f"{tmp_path / 'line.py'}:build"), training, data)


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_a_step_descends_the_smoothed_cross_entropy(tmp_path: Path, smoothing: float) -> None:
    data = image_set(16)
    options = {"optimizer": "sgd", "schedule": "constant", "learning_rate": 0.1, "label_smoothing": smoothing}
    training = recipe(epochs=1, **options)
    state = linear_state(training, data, tmp_path)
    layer = state.network.get_submodule("1")
    assert isinstance(layer, nn.Linear)
    bias, weight = layer.bias.detach().clone(), layer.weight.detach().clone()
    (mean,), (std,) = normalisation(data)
    inputs = ((data.unit() - mean) / std).flatten(1)
    probabilities = torch.softmax(inputs @ weight.T + bias, dim=1)
    aims = torch.full((16, 3), smoothing / 3).scatter_add(1, data.labels[:, None], torch.full((16, 1), 1 - smoothing))
    # The gradient of a cross-entropy with respect to logits is softmax minus target; Nesterov's first step is 1.9 long.
    slope = (probabilities - aims) / 16

    (step,) = run(state, data, training, 1)

    assert torch.allclose(layer.bias, bias - 0.1 * 1.9 * slope.sum(dim=0), atol=1e-6)
    decayed = slope.T @ inputs + training.weight_decay * weight  # weights decay, biases do not
    assert torch.allclose(layer.weight, weight - 0.1 * 1.9 * decayed, atol=1e-6)
    assert step.loss.item() == pytest.approx(-(aims * probabilities.log()).sum(dim=1).mean().item(), rel=1e-5)
    assert step.correct.item() == (probabilities.argmax(dim=1) == data.labels).sum()
    assert (step.step, step.epoch, step.num_images, step.learning_rate, step.eps) == (1, 0, 16, 0.1, 0.0)


def test_steps_say_where_training_is() -> None:
    data, training = image_set(40), recipe(batch_size=16, schedule="cosine")
    steps = list(train(start(NetworkConfig(name="mlp", width=8), training, data), data, training))
    assert [step.step for step in steps] == [1, 2, 3, 4, 5, 6]
    assert [step.epoch for step in steps] == [0, 0, 1, 1, 2, 2]
    assert len(steps) == training.epochs * steps_per_epoch(training, 40)
    rates = [learning_rate("cosine", index, total_steps=6, peak=training.learning_rate) for index in range(6)]
    assert [step.learning_rate for step in steps] == rates
    assert not any(step.loss.requires_grad for step in steps)


def test_training_that_is_over_has_no_more_steps() -> None:
    data, training = image_set(16), recipe(epochs=1)
    state = start(NetworkConfig(name="mlp", width=8), training, data)
    assert len(list(train(state, data, training))) == 1
    assert list(train(state, data, training)) == []


def test_a_set_smaller_than_a_batch_is_one_batch() -> None:
    data, training = image_set(10), recipe(batch_size=64, epochs=2)
    steps = list(train(start(NetworkConfig(name="mlp", width=8), training, data), data, training))
    assert [step.num_images for step in steps] == [10, 10]


def test_a_caller_may_switch_modes_between_steps() -> None:
    data, training = image_set(32), recipe(epochs=2)
    states = [start(NetworkConfig(name="resnet", depth=1, width=4), training, data) for _ in range(2)]
    for state, meddles in zip(states, (False, True), strict=True):
        for _ in train(state, data, training):
            if meddles:
                state.network.eval()
                state.classifier().logits(data.unit())
    assert equal(weights(states[0]), weights(states[1]))


def test_training_that_diverges_stops_with_the_way_out() -> None:
    data, training = image_set(32), recipe(optimizer="sgd", learning_rate=1e30, schedule="constant")
    state = start(NetworkConfig(name="mlp"), training, data)
    with pytest.raises(ValueError, match=r"diverged in epoch \d.*: lower training\.learning_rate, now 1e\+30"):
        list(train(state, data, training))


# Normalisation


def test_images_are_normalised_by_the_training_images() -> None:
    data = image_set(5000, channels=3)  # more than are counted at once
    state = start(NetworkConfig(name="mlp", width=8), recipe(), data)
    pixels = data.unit().double()
    assert state.mean == pytest.approx(pixels.mean(dim=(0, 2, 3)).tolist(), rel=1e-6)
    assert state.std == pytest.approx(pixels.std(dim=(0, 2, 3), correction=0).tolist(), rel=1e-6)
    assert state.classifier().mean.flatten().tolist() == pytest.approx(list(state.mean))


def test_a_blank_channel_can_be_normalised() -> None:
    blank = ImageSet(torch.full((9, 1, 8, 8), 51, dtype=torch.uint8), torch.arange(9) % 3, CLASSES)
    assert normalisation(blank) == ((pytest.approx(0.2),), (pytest.approx(1 / 255),))


# Averaging


def test_the_average_follows_its_closed_form_in_weights_and_statistics() -> None:
    data, training = image_set(64), recipe(average_decay=0.15, epochs=1)
    state = start(NetworkConfig(name="resnet", depth=1, width=4), training, data)
    expected = {name: each.clone().double() for name, each in state.network.state_dict().items()}
    for step in train(state, data, training):
        decay = min(0.15, step.step / (9 + step.step))  # 0.1, then 0.15
        for name, live in state.network.state_dict().items():
            expected[name] = decay * expected[name] + (1 - decay) * live.double()
    assert state.average is not None
    assert not state.average.training
    for name, each in state.average.state_dict().items():
        if name.endswith("num_batches_tracked"):
            assert each == 4
        else:
            assert torch.allclose(each.double(), expected[name], atol=1e-6), name
    assert state.scored is state.average


def test_without_a_decay_there_is_no_average() -> None:
    state = start(NetworkConfig(name="mlp", width=8), recipe(), image_set(16))
    assert state.average is None
    assert state.scored is state.network


def test_a_long_average_of_a_constant_is_that_constant() -> None:
    live, average = nn.Linear(2, 2), nn.Linear(2, 2)
    for step in range(2000):
        update_average(average, live, decay=warm_decay(0.99, step))
    assert torch.allclose(average.weight, live.weight, atol=1e-5)
    assert warm_decay(0.99, 10**6) == 0.99


# Resumption


COMBINATIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "sgd": {"optimizer": "sgd", "schedule": "cosine"},
    "drops": {"optimizer": "sgd", "schedule": "drops", "drop_epochs": [1, 2], "nesterov": False},
    "average": {"average_decay": 0.9},
    "augmented": {"augmentation": "shift-flip", "label_smoothing": 0.1},
    "pgd": {"defense": {"name": "pgd", "eps": 0.1, "steps": 2, "warmup_epochs": 1.5}},
    "fgsm": {"defense": {"name": "fgsm", "eps": 0.5, "norm": "l2"}},
    "bfloat16": {"precision": "bfloat16"},
    "all": {
        "augmentation": "shift",
        "average_decay": 0.9,
        "extra_fraction": 0.25,
        "defense": {"name": "pgd", "eps": 0.1, "steps": 2, "warmup_epochs": 1},
    },
}


@pytest.mark.parametrize("architecture", ["cnn", "resnet", "dropout"])
@pytest.mark.parametrize("options", COMBINATIONS.values(), ids=COMBINATIONS)
def test_five_steps_a_file_and_seven_more_are_twelve_steps(
    tmp_path: Path, architecture: str, options: dict[str, Any]
) -> None:
    data, training = image_set(70), recipe(batch_size=16, epochs=3, **options)
    extra = image_set(30) if "extra_fraction" in options else None
    small = {"depth": 1, "width": 4} if architecture == "resnet" else {}
    name = dropout_file(tmp_path) if architecture == "dropout" else architecture
    config = NetworkConfig.model_validate({"name": name, **small})

    whole = start(config, training, data)
    whole_steps = run(whole, data, training, 12, extra=extra)

    first = start(config, training, data)
    steps = run(first, data, training, 5, extra=extra)
    save_checkpoint(tmp_path / "c.safetensors", kind="classifier", config={}, state=first.to_tree())
    second = start(config, training.model_copy(update={"seed": 0}), data)
    second.load(load_checkpoint(tmp_path / "c.safetensors").state)
    steps += run(second, data, training, 7, extra=extra)

    assert len(whole_steps) == 12
    for one, other in zip(whole_steps, steps, strict=True):
        assert one._replace(loss=one.loss.item(), correct=one.correct.item()) == other._replace(
            loss=other.loss.item(), correct=other.correct.item()
        )
    assert equal(weights(whole), weights(second))
    assert equal(list(whole.network.state_dict().values()), list(second.network.state_dict().values()))
    moments = [
        [each for values in state.optimizer.state_dict()["state"].values() for each in values.values()]
        for state in (whole, second)
    ]
    assert equal(*([each for each in kind if isinstance(each, Tensor)] for kind in moments))


def test_moments_come_back_in_the_layout_of_their_weights(tmp_path: Path) -> None:
    data, training = image_set(32, channels=3), recipe()
    state = start(NetworkConfig(name="cnn"), training, data)
    run(state, data, training, 1)
    save_checkpoint(tmp_path / "c.safetensors", kind="classifier", config={}, state=state.to_tree())
    again = start(NetworkConfig(name="cnn"), training, data)
    again.load(load_checkpoint(tmp_path / "c.safetensors").state)
    for parameter in again.network.parameters():
        assert again.optimizer.state[parameter]["exp_avg"].stride() == parameter.stride()


def test_a_loaded_state_shares_nothing_with_what_it_was_loaded_from() -> None:
    data, training = image_set(32), recipe(average_decay=0.5)
    state, again = (start(NetworkConfig(name="mlp", width=8), training, data) for _ in range(2))
    run(state, data, training, 1)
    again.load(state.to_tree())
    before = [each.clone() for each in again.network.parameters()]
    run(state, data, training, 1)
    assert equal(list(again.network.parameters()), before)


# Randomness


def test_dropout_is_drawn_anew_each_step_and_from_the_seed_alone(tmp_path: Path) -> None:
    data = ImageSet(image_set(1).images.expand(16, -1, -1, -1), torch.zeros(16, dtype=torch.int64), CLASSES)
    training = recipe(optimizer="sgd", learning_rate=1e-30, epochs=4)  # a network that does not change
    config = NetworkConfig(name=dropout_file(tmp_path))
    before = torch.random.get_rng_state()
    losses = [[step.loss.item() for step in train(start(config, training, data), data, training)] for _ in range(2)]
    assert torch.equal(torch.random.get_rng_state(), before)
    assert losses[0] == losses[1]
    assert len(set(losses[0])) == 4


def test_the_seed_decides_the_weights_and_the_order() -> None:
    data = image_set(64)
    states = [start(NetworkConfig(name="mlp", width=8), recipe(seed=seed), data) for seed in (0, 0, 1)]
    assert equal(weights(states[0]), weights(states[1]))
    assert not equal(weights(states[0]), weights(states[2]))
    first, second = (next(iter(mixed_batches(data, None, recipe(seed=seed)))) for seed in (0, 1))
    assert not torch.equal(first.images, second.images)


# Adversarial training


class Spy:
    """An attack that notes how it is called, and returns what it is told to."""

    def __init__(self, answer: Callable[[Tensor], Tensor] = lambda images: images) -> None:
        self.answer, self.modes, self.indices = answer, list[bool](), list[Tensor]()

    def __call__(
        self, classifier: Classifier, images: Tensor, labels: Tensor, *, indices: Tensor | None = None
    ) -> Tensor:
        self.modes += [module.training for module in classifier.modules()]
        assert not any(each.requires_grad for each in classifier.parameters())
        assert indices is not None
        self.indices.append(indices)
        classifier.gradient(images, lambda logits: logits.sum(dim=1))
        return self.answer(images)


def test_an_attack_sees_eval_mode_fresh_indices_and_leaves_no_trace() -> None:
    data, training = image_set(64), recipe()
    config = NetworkConfig(name="resnet", depth=1, width=4)
    plain, attacked = (start(config, training, data) for _ in range(2))
    spy = Spy()
    run(plain, data, training, 8)
    run(attacked, data, training, 8, attack=spy)
    assert not any(spy.modes)
    assert len(torch.cat(spy.indices).unique()) == 8 * 16
    # Batch statistics included: the attack passed images through the network and nothing changed.
    assert equal(weights(plain), weights(attacked))


def test_what_the_attack_returns_is_what_is_learnt() -> None:
    data, training = image_set(16), recipe(epochs=1)
    black = ImageSet(torch.zeros_like(data.images), data.labels, CLASSES)
    state, expected = (start(NetworkConfig(name="mlp", width=8), training, data) for _ in range(2))
    (step,) = run(state, data, training, 1, attack=Spy(torch.zeros_like))
    (on_black,) = run(expected, black, training, 1)
    assert step.loss == on_black.loss
    assert step.correct == on_black.correct


def budgets_of_attack(monkeypatch: pytest.MonkeyPatch, defense: dict[str, Any], count: int) -> list[dict[str, Any]]:
    calls: list[dict[str, Any]] = []

    def noted(classifier: Classifier, images: Tensor, labels: Tensor, **options: Any) -> Tensor:
        calls.append(options)
        return pgd(classifier, images, labels, **options)

    def noted_fast(classifier: Classifier, images: Tensor, labels: Tensor, **options: Any) -> Tensor:
        calls.append(options)
        return fast_attack(classifier, images, labels, **options)

    monkeypatch.setattr(classifier_training, "pgd", noted)
    monkeypatch.setattr(classifier_training, "fast_attack", noted_fast)
    data, training = image_set(64), recipe(defense=defense)
    steps = run(start(NetworkConfig(name="mlp", width=8), training, data), data, training, count)
    assert [step.eps for step in steps if step.eps > 0] == [call["eps"] for call in calls]
    return calls


def test_pgd_training_warms_its_budget_up_and_learns_the_last_iterate(monkeypatch: pytest.MonkeyPatch) -> None:
    defense = {"name": "pgd", "eps": 0.2, "steps": 5, "norm": "l2", "warmup_epochs": 1}
    calls = budgets_of_attack(monkeypatch, defense, 6)
    assert [call["eps"] for call in calls] == pytest.approx([0.05, 0.1, 0.15, 0.2, 0.2])  # and no attack at 0
    for call in calls:
        assert call["step_size"] is None  # what pgd does by itself: 2.5 eps / steps
        assert (call["steps"], call["norm"], call["keep"]) == (5, "l2", "last")
        assert call.get("random_start", True)


def test_a_step_size_of_the_user_s_shrinks_with_the_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    defense = {"name": "pgd", "eps": 0.2, "steps": 5, "step_size": 0.1, "warmup_epochs": 0.5}
    calls = budgets_of_attack(monkeypatch, defense, 4)
    assert [call["step_size"] for call in calls] == pytest.approx([0.05, 0.1, 0.1])


@pytest.mark.parametrize("defense", [{"name": "fgsm", "steps": 7}, {"name": "pgd", "steps": 1}])
def test_training_on_one_step_takes_the_fast_attack(monkeypatch: pytest.MonkeyPatch, defense: dict[str, Any]) -> None:
    calls = budgets_of_attack(monkeypatch, {**defense, "eps": 0.2, "warmup_epochs": 0}, 2)
    for call in calls:
        assert (call["eps"], call["step_size"]) == (0.2, None)
        assert "steps" not in call


def linear_classifier() -> tuple[Classifier, Tensor]:
    with seeded(1):
        network = nn.Sequential(nn.Flatten(), nn.Linear(64, 2))
    weight = network.get_parameter("1.weight").detach()
    return Classifier(network), (weight[1] - weight[0]).reshape(1, 1, 8, 8)  # what moves a sample of class 0 away


def test_the_fast_attack_steps_once_from_a_start_that_may_lie_outside_the_bounds() -> None:
    classifier, slope = linear_classifier()
    images, indices = torch.zeros(3, 1, 8, 8), torch.arange(5, 8)
    seen: list[Tensor] = []
    classifier.network.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    found = fast_attack(classifier, images, torch.zeros(3, dtype=torch.int64), eps=0.2, seed=4, indices=indices)
    start = images + 0.2 * (2 * uniform(4, indices, (1, 8, 8)) - 1)
    assert torch.equal(seen[0], start)
    assert start.min() < -0.15
    expected = (start + 0.25 * slope.sign()).clamp(-0.2, 0.2).clamp(0, 1)
    assert torch.allclose(found, expected, atol=1e-7)


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_the_fast_attack_stays_in_ball_and_bounds_and_repeats_itself(norm: str) -> None:
    classifier, _ = linear_classifier()
    images, labels, indices = image_set(8).unit(), torch.arange(8) % 2, torch.arange(8)
    found = fast_attack(classifier, images, labels, eps=0.3, norm=norm, indices=indices)
    assert found.min() >= 0
    assert found.max() <= 1
    assert NORMS[norm].size(found - images).max() <= 0.3 + 1e-6
    half = fast_attack(classifier, images[4:], labels[4:], eps=0.3, norm=norm, indices=indices[4:])
    assert torch.allclose(half, found[4:], atol=1e-7)
    assert not torch.equal(found, fast_attack(classifier, images, labels, eps=0.3, norm=norm, indices=indices + 8))


def accuracy(state: State, images: Tensor, labels: Tensor) -> float:
    return (state.classifier().logits(images).argmax(dim=1) == labels).float().mean().item()


def fitted(config: NetworkConfig, training: ClassifierTraining) -> State:
    state = start(config, training, digits().train)
    for _ in train(state, digits().train, training):
        pass
    return state


@pytest.mark.parametrize("name", ["cnn", "mlp"])
def test_a_classifier_learns_digits(name: str) -> None:
    test, training = digits().test, recipe(epochs=10, batch_size=32, learning_rate=3e-3, average_decay=0.9)
    assert accuracy(fitted(NetworkConfig(name=name), training), test.unit(), test.labels) > 0.95


@cache
def robust_digits(defense: str) -> float:
    options = {"name": defense, "eps": 0.15, "steps": 3}
    state = fitted(NetworkConfig(), recipe(epochs=8, batch_size=32, learning_rate=3e-3, defense=options))
    test = digits().test
    attacked = pgd(state.classifier(), test.unit(), test.labels, eps=0.15, steps=20)
    return accuracy(state, attacked, test.labels)


@pytest.mark.parametrize("defense", ["pgd", "fgsm"])
def test_adversarial_training_raises_accuracy_under_attack_at_equal_budget(defense: str) -> None:
    assert robust_digits(defense) > robust_digits("none") + 0.3
    assert robust_digits(defense) > 0.6


# Extra images


@pytest.mark.parametrize(
    ("share", "real", "extra", "expected"),
    [
        (None, 300, 100, Mixture(12, 4)),
        (None, 300, 1, Mixture(15, 1)),
        (None, 1, 300, Mixture(1, 15)),
        (None, 300, 0, Mixture(16, 0)),
        (0.5, 300, 100, Mixture(8, 8)),
        (0.0, 300, 100, Mixture(16, 0)),
        (0.25, 5, 100, Mixture(5, 4)),
    ],
)
def test_a_batch_is_divided_by_fraction_or_in_proportion(
    share: float | None, real: int, extra: int, expected: Mixture
) -> None:
    assert mixture(recipe(extra_fraction=share), real, extra) == expected


def test_each_batch_holds_its_share_of_extra_images_under_the_names_of_the_data() -> None:
    data = ImageSet(torch.zeros(64, 1, 8, 8, dtype=torch.uint8), torch.arange(64) % 3, CLASSES)
    # This one lacks "b", so its label 1 is "c".
    extra = ImageSet(torch.full((20, 1, 8, 8), 255, dtype=torch.uint8), torch.ones(20, dtype=torch.int64), ("a", "c"))
    stream = mixed_batches(data, extra, recipe(extra_fraction=0.25))
    for batch in islice(stream, 10):
        is_extra = batch.images.flatten(1).amax(dim=1) == 1
        assert is_extra.sum() == 4
        assert (batch.labels[is_extra] == 2).all()


def test_extra_images_are_shuffled_apart_from_the_real_ones_and_all_come_up() -> None:
    numbered = torch.arange(32, dtype=torch.uint8)[:, None, None, None].expand(-1, 1, 8, 8)
    data = ImageSet(numbered, torch.zeros(32, dtype=torch.int64), CLASSES)
    extra = ImageSet(numbered + 100, torch.zeros(32, dtype=torch.int64), CLASSES)
    stream = mixed_batches(data, extra, recipe(extra_fraction=0.5))
    levels = [(batch.images[:, 0, 0, 0] * 255).round().long() for batch in islice(stream, 4)]
    real, others = (torch.cat([batch[part] for batch in levels]) for part in (slice(0, 8), slice(8, 16)))
    assert not torch.equal(real, others - 100)
    assert sorted(real.tolist()) == list(range(32))
    assert sorted(others.tolist()) == list(range(100, 132))


def test_real_and_extra_images_are_augmented_anew_each_epoch() -> None:
    data, extra = image_set(16), image_set(16)
    training = recipe(augmentation="shift", extra_fraction=0.5)
    mixed = list(islice(mixed_batches(data, extra, training), 4))  # two epochs of each
    real = [
        to_unit(augment(each.images, each.indices, kind="shift", seed=0, epoch=each.epoch))
        for each in islice(batches(data, 8, seed=0), 4)
    ]
    assert torch.equal(torch.cat([batch.images[:8] for batch in mixed]), torch.cat(real))
    others = [torch.cat([batch.images[8:] for batch in mixed[half]]) for half in (slice(0, 2), slice(2, 4))]
    stored = extra.unit().flatten(1)
    distances = [torch.cdist(each.flatten(1), stored).amin(dim=1) for each in others]
    assert all((each > 0).any() for each in distances)  # moved, but not all alike in both epochs
    assert not torch.equal(*(each.sort().values for each in distances))


@pytest.mark.parametrize(
    ("extra", "options", "message"),
    [
        (image_set(30, size=9), {}, "the extra images are 1x9x9, the data 1x8x8: they must be alike"),
        (image_set(30, channels=3), {}, "the extra images are 3x8x8, the data 1x8x8: they must be alike"),
        (image_set(30, classes=("a", "z")), {}, "the class z is not among those of the data (a, b, c)"),
        (image_set(30), {"extra_fraction": 1}, "extra_fraction 1 of a batch of 16 leaves no real images"),
        (image_set(3), {"extra_fraction": 0.5}, "asks for 8 extra images a batch, and there are 3: use 0.188 or less"),
    ],
)
def test_extra_images_that_do_not_fit_are_one_clear_line(
    extra: ImageSet, options: dict[str, Any], message: str
) -> None:
    data, training = image_set(64), recipe(**options)
    state = start(NetworkConfig(name="mlp", width=8), training, data)
    with pytest.raises(ValueError, match=re.escape(message)):
        next(iter(train(state, data, training, extra=extra)))


# Precision


def test_bfloat16_changes_the_passes_and_not_the_weights() -> None:
    data = image_set(64)
    first, second = (
        run(start(NetworkConfig(), training, data), data, training, 4)
        for training in (recipe(), recipe(precision="bfloat16"))
    )
    for exact, rough in zip(first, second, strict=True):
        assert rough.loss.dtype == torch.float32
        assert exact.loss != rough.loss
        assert rough.loss.item() == pytest.approx(exact.loss.item(), rel=0.05)
    state = start(NetworkConfig(), recipe(precision="bfloat16"), data)
    assert {each.dtype for each in deepcopy(state.network).parameters()} == {torch.float32}
