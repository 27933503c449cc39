"""What holds for every recipe: resuming, replaying, cutting a batch into parts, and leaving out what has weight 0."""

from collections.abc import Callable, Iterator
from copy import deepcopy
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from advgan.config import GanNetworks, GanTraining
from advgan.data import ImageSet
from advgan.gan.state import State, start
from advgan.gan.training import Step, train
from advgan.machine.recorder import PRACTICE
from advgan.sampling.stored import load_state, save_gan

RECIPES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "r1-r2-relativistic": ({}, {"loss": "relativistic", "r1": 1, "r2": 1}),
    "lazy": ({}, {"r1": 1, "penalty_every": 3}),
    "dragan": ({}, {"dragan": 10}),
    "clip": ({"discriminator_norm": "none"}, {"loss": "wasserstein", "clip": 0.01, "optimizer": "rmsprop"}),
    "lecam": ({}, {"loss": "hinge", "lecam": 0.3}),
    "smoothing": ({}, {"label_smoothing": 0.1}),
    "matching": ({}, {"feature_matching": 1, "adversarial": 0}),
    "history": ({}, {"historical_averaging": 0.1}),
    "orthogonal": ({}, {"orthogonal": 1e-4}),
    "sgd": ({"family": "mlp"}, {"optimizer": "sgd", "schedule": "linear"}),
    "adaptive-steps": ({}, {"adaptive_steps": True, "discriminator_steps": 3}),
    "augmented": ({}, {"augmentation": ("colour", "translation", "cutout", "flip")}),
    "adaptive-augmentation": ({}, {"augmentation": ("colour",), "augmentation_target": 0.6}),
    "packing": ({"packing": 2}, {}),
    "spectral": ({"discriminator_norm": "spectral"}, {"loss": "hinge"}),
    "discrimination": ({"minibatch": "discrimination", "dropout": 0.3}, {}),
    "infogan": ({"categorical": 3, "continuous": 2}, {"information": 0.5}),
    "acgan": ({"conditional": True, "discriminator_labels": "auxiliary"}, {}),
    "concat": ({"conditional": True, "discriminator_labels": "concat"}, {}),
    "conditional-norm": ({"conditional": True, "generator_labels": "batch-norm"}, {"loss": "hinge"}),
    "semi-supervised": (
        {"discriminator_labels": "classes"},
        {"labelled": 6, "feature_matching": 1, "adversarial": 0},
    ),
    "accumulated": ({}, {"accumulation": 2}),
    "bfloat16": ({}, {"precision": "bfloat16", "gradient_penalty": 10}),
    "fresh": (
        {"discriminator_norm": "spectral"},
        {"generator_batch": "fresh", "power_iterations": "batch", "mirror": True, "average_after": 2},
    ),
    "twice": ({}, {"generator_updates": 2}),
    "ramped": (
        {},
        {
            "loss": "relativistic",
            "r1": 1,
            "r2": 1,
            "augmentation": ("flip", "colour"),
            "ramp": {
                "steps": 6,
                "learning_rate": 0.25,
                "penalties": 0.1,
                "beta2": 0.9,
                "half_life": 40,
                "augmentation": 0.5,
            },
        },
    ),
    "sphere": ({"latent_kind": "sphere"}, {"loss": "least-squares", "schedule": "cosine"}),
}
every_recipe = pytest.mark.parametrize("name", RECIPES)
DATA = {"name": "toy", "digest": "0" * 12, "classes": ["a", "b", "c"], "size": 8, "channels": 1}


def images(count: int = 40) -> ImageSet:
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (count, 1, 8, 8), dtype=torch.uint8, generator=generator)
    return ImageSet(pixels, torch.arange(count) % 3, ("a", "b", "c"), "toy")


def plan(name: str, **more: Any) -> tuple[GanNetworks, GanTraining]:
    networks, training = RECIPES[name]
    small = {"family": "dcgan", "width": 4, "latent_dim": 6}
    short = {"steps": 8, "batch_size": 8, "seed": 5}
    return GanNetworks.model_validate(small | networks), GanTraining.model_validate(short | training | more)


def begin(name: str, **more: Any) -> tuple[State, GanTraining]:
    networks, training = plan(name, **more)
    return start(networks, training, size=8, channels=1, num_classes=3), training


def leaves(tree: Any, where: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from leaves(value, f"{where}.{key}")
    elif isinstance(tree, list):
        for key, value in enumerate(tree):
            yield from leaves(value, f"{where}.{key}")
    else:
        yield where, tree


def assert_same(found: State, expected: State) -> None:
    for (where, one), (also, other) in zip(leaves(found.to_tree()), leaves(expected.to_tree()), strict=True):
        assert where == also
        assert torch.equal(one, other) if isinstance(one, Tensor) else one == other, where


@every_recipe
def test_a_resumed_run_equals_an_uninterrupted_one(name: str, tmp_path: Path) -> None:
    whole, training = begin(name)
    steps = list(train(whole, images(), training))
    killed, _ = begin(name)
    first = list(islice(train(killed, images(), training), 3))
    save_gan(tmp_path / "last.safetensors", killed, plan(name)[0], training, data=DATA)
    resumed = load_state(tmp_path / "last.safetensors")
    rest = list(train(resumed, images(), training))
    assert_same(resumed, whole)
    for one, other in zip(first + rest, steps, strict=True):
        assert one == other, f"step {other.step}"
        assert all(value.isfinite() for value in one.terms.values())


@every_recipe
def test_replayed_passes_equal_direct_ones(name: str, taped: Callable[[], Any]) -> None:
    direct, training = begin(name, steps=PRACTICE + 5)
    steps = list(train(direct, images(), training))
    recorder, (replayed, _) = taped(), begin(name, steps=PRACTICE + 5)
    assert list(train(replayed, images(), training)) == steps
    assert_same(replayed, direct)
    assert recorder.recorded >= 2
    assert recorder.replayed >= 2


@pytest.mark.gpu
@every_recipe
def test_cuda_graphs_train_as_direct_passes_do(name: str) -> None:
    """Up to the rounding of kernels that a library may choose anew."""
    networks, training = plan(name, steps=PRACTICE + 5)
    graphs, shape = training.model_copy(update={"cuda_graphs": True}), {"size": 8, "channels": 1, "num_classes": 3}
    direct, replayed = (start(networks, recipe, **shape, device="cuda") for recipe in (training, graphs))
    steps = list(train(direct, images(), training))
    for one, other in zip(train(replayed, images(), graphs), steps, strict=True):
        torch.testing.assert_close(one.discriminator_loss, other.discriminator_loss, rtol=1e-3, atol=1e-4)
    for mine, theirs in zip(replayed.generator.parameters(), direct.generator.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-3, atol=1e-4)


@every_recipe
def test_both_players_learn(name: str) -> None:
    state, training = begin(name)
    before = deepcopy(state)
    list(train(state, images(), training))
    for player in ("generator", "discriminator"):
        after, was = getattr(state, player).parameters(), getattr(before, player).parameters()
        assert any(not torch.equal(one, other) for one, other in zip(after, was, strict=True)), player


def terms(**options: Any) -> list[str]:
    name = options.pop("name", "sgd")
    state, training = begin(name, **options)
    return list(next(train(state, images(), training)).terms)


def test_the_terms_of_a_step_are_those_with_a_weight() -> None:
    assert terms() == []
    assert terms(r1=1, lecam=0.1) == ["discriminator.r1", "discriminator.lecam"]
    assert terms(feature_matching=1) == ["generator.feature_matching"]
    assert terms(name="infogan") == ["discriminator.information", "generator.information"]
    assert terms(name="infogan", information=0) == []
    assert terms(name="acgan") == ["discriminator.classification", "generator.classification"]
    assert terms(name="semi-supervised") == ["discriminator.classification", "generator.feature_matching"]
    assert terms(historical_averaging=1) == ["discriminator.historical_averaging", "generator.historical_averaging"]


def test_a_lazy_penalty_is_taken_every_so_many_steps_and_weighs_as_much_more() -> None:
    state, training = begin("lazy")
    values = [float(step.terms["discriminator.r1"]) for step in train(state, images(), training)]
    assert [value > 0 for value in values] == [number % 3 == 0 for number in range(8)]
    eager, plain = (
        begin("lazy", penalty_every=1, r1=3, steps=1, optimizer="sgd"),
        begin("lazy", steps=1, optimizer="sgd"),
    )
    for built, recipe in (eager, plain):
        list(train(built, images(), recipe))
    assert_same(eager[0], plain[0])


@pytest.mark.parametrize("name", ["r1-r2-relativistic", "smoothing", "infogan", "packing", "spectral"])
def test_a_batch_in_two_parts_gives_the_gradient_of_the_whole(name: str) -> None:
    """Without batch norm; Adam would turn rounding into steps, so plain descent."""
    networks, training = plan(name, optimizer="sgd", beta1=0.0, steps=2)
    networks = networks.model_copy(update={"generator_norm": "none"})
    if networks.discriminator_norm == "auto":
        networks = networks.model_copy(update={"discriminator_norm": "none"})
    states: list[tuple[State, list[Step]]] = []
    for parts in (1, 2):
        cut = training.model_copy(update={"accumulation": parts})
        state = start(networks, cut, size=8, channels=1, num_classes=3)
        states.append((state, list(train(state, images(), cut))))
    for one, other in zip(states[0][1], states[1][1], strict=True):
        torch.testing.assert_close(one.discriminator_gradient, other.discriminator_gradient, rtol=1e-4, atol=1e-6)
        torch.testing.assert_close(one.generator_gradient, other.generator_gradient, rtol=1e-4, atol=1e-6)


def test_an_adaptive_schedule_gives_a_discriminator_that_wins_a_single_step() -> None:
    state, training = begin("adaptive-steps", steps=60)
    accuracies, used = [], []
    for step in train(state, images(), training):
        used.append(step.images_seen // 8)
        accuracies.append(float(step.real_accuracy + step.fake_accuracy) / 2)
    turns = [later - earlier for earlier, later in zip([0, *used], used, strict=False)]
    assert turns[0] == 3
    assert turns[1:] == [1 if accuracy > 0.75 else 3 for accuracy in accuracies[:-1]]
    assert {1, 3} == set(turns)


def test_adaptive_augmentation_rises_while_the_discriminator_knows_its_images_by_heart() -> None:
    state, training = begin("adaptive-augmentation", steps=400, generator_learning_rate=1e-9, batch_size=40)
    shares = [float(step.augmentation) for step in train(state, images(), training)]
    assert shares[0] == 0
    assert float(state.gauges.sign) > 0.6
    assert shares[-1] > 0.05
    steps = torch.tensor(shares).diff().abs()
    assert float(steps.max()) == pytest.approx(40 / 100_000, rel=1e-3)


def test_clipping_bounds_every_weight() -> None:
    state, training = begin("clip")
    for _ in train(state, images(), training):
        assert max(float(weight.detach().abs().max()) for weight in state.discriminator.parameters()) <= 0.01


def test_a_semi_supervised_discriminator_learns_the_labels_that_it_is_told() -> None:
    state, training = begin("semi-supervised", steps=100, discriminator_learning_rate=2e-3)
    values = [float(step.terms["discriminator.classification"]) for step in train(state, images(), training)]
    assert values[-1] < 0.2 < values[0]


def test_codes_can_be_read_from_images_after_training() -> None:
    state, training = begin("infogan", steps=150, generator_learning_rate=2e-3, discriminator_learning_rate=2e-3)
    values = [float(step.terms["generator.information"]) for step in train(state, images(), training)]
    assert values[-1] < values[0] / 2


@pytest.mark.parametrize(
    ("networks", "training", "message"),
    [
        ({"packing": 3}, {}, "batch_size 8 must be a multiple of accumulation 1 times packing 3"),
        ({}, {"labelled": 6}, "training.labelled 6 is for a semi-supervised GAN"),
        ({}, {"adversarial": 0}, "adversarial 0 leaves the generator nothing to learn from"),
        ({}, {"loss": "hinge", "label_smoothing": 0.1}, "label_smoothing 0.1 needs a loss with targets"),
        ({}, {"accumulation": 3}, "accumulation 3 does not divide batch_size 8"),
        ({}, {"augmentation_target": 0.6}, "augmentation_target 0.6 adapts nothing"),
        ({"packing": 2, "conditional": True}, {}, "networks.packing joins images of different classes"),
        ({"family": "mlp", "sparse": True}, {}, "networks.sparse True: family mlp has no such setting"),
        ({"family": "mlp", "discriminator_norm": "batch"}, {}, "family mlp has none, spectral"),
        ({"categorical": 1}, {}, "networks.categorical 1 is a code with a single value"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(
    networks: dict[str, Any], training: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        start(
            GanNetworks.model_validate({"width": 4, **networks}),
            GanTraining.model_validate({"batch_size": 8, **training}),
            size=8,
            channels=1,
            num_classes=3,
        )


def test_labelled_images_are_as_many_of_each_class() -> None:
    from advgan.gan.rounds import labelled_indices

    data, (_, training) = images(), plan("semi-supervised")
    chosen = labelled_indices(data, training)
    assert len(set(chosen.tolist())) == 6
    assert data.labels[chosen].bincount().tolist() == [2, 2, 2]
    with pytest.raises(ValueError, match=r"training\.labelled 7 must be a multiple of the 3 classes of toy"):
        labelled_indices(data, training.model_copy(update={"labelled": 7}))


@pytest.mark.parametrize("name", ["augmented", "adaptive-steps", "infogan", "packing", "accumulated", "fresh"])
def test_what_is_drawn_for_many_batches_at_once_is_what_is_drawn_for_each(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And a run that stops in the middle of them goes on as if it had not."""
    many, training = begin(name)
    steps = list(train(many, images(), training))
    for ahead in (1, 3):
        monkeypatch.setattr("advgan.gan.rounds.AHEAD", ahead)
        few, _ = begin(name)
        first = list(islice(train(few, images(), training), 4))
        assert first + list(train(few, images(), training)) == steps
        assert_same(few, many)


def test_a_step_whose_values_nobody_reads_computes_none_of_them() -> None:
    class Launches(TorchDispatchMode):
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            seen.append(func.overloadpacket.__name__)
            return func(*args, **(kwargs or {}))

    seen: list[str] = []
    state, training = begin("sphere", steps=20)
    steps = train(state, images(), training)
    next(steps)
    with Launches():
        step = next(steps)
    assert not {"sigmoid", "gt", "lt", "sign", "lerp_", "__rshift__"} & set(seen)
    assert len(seen) < 300
    seen.clear()
    with Launches():
        assert 0 < float(step.real_probability) < 1
    assert seen.count("sigmoid") == 1
