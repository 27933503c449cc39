"""Every diagnostic of a look against a value computed by hand or by another way."""

import math
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest
import torch
from scipy import stats
from torch import Tensor, nn

from advgan.config import DataConfig, GanNetworks, GanTraining
from advgan.data import load_data
from advgan.gan.losses import LOSSES
from advgan.gan.penalties import squared_gradient
from advgan.gan.training import State, start, train
from advgan.models.layers.synchronised import SynchronisedBatchNorm2d
from advgan.sampling.drawing import decode
from attacks.random import normal, permutation, seeded
from evaluation.diversity.diversity import (
    batch_variance_ratio,
    class_diversity,
    diversity,
    latent_sensitivity,
    spread,
)
from evaluation.features.features import Extractor
from evaluation.game.balance import balance, overfitting_share, overfitting_signs, slopes
from evaluation.game.consistency import drawn_in_train_mode, has_running_statistics, shift
from evaluation.game.discriminator import Answers, Judgements, examine, graded, judge, view_of
from evaluation.game.spectra import largest_singular_values
from evaluation.memorisation.copying import copied_share, nearest_distances
from evaluation.modes.history import change
from evaluation.seeing.reference import Reference
from evaluation.watching.diagnostics import Diagnostics
from evaluation.watching.monitor import Monitor

SMALL = Diagnostics(judged=60, gradients=16, redrawn=64, brightness=8)


class Line(nn.Module):
    """The logit slope * mean pixel + 0.5, plus the label where one is given."""

    num_classes = 0

    def __init__(self, slope: float = 1.0) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.tensor(slope))
        self.calls: list[int] = []

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        self.calls.append(len(images))
        logits: Tensor = self.slope * images.flatten(1).mean(dim=1) + 0.5
        return logits if labels is None else logits + labels


def test_examining_passes_every_image_once_and_takes_the_gradient_of_each_alone() -> None:
    critic = Line(slope=3.0).train()
    images = torch.rand(10, 1, 2, 2, generator=torch.Generator().manual_seed(0))
    found = examine(critic, images, num_gradients=4, batch_size=3)  # type: ignore[arg-type]
    assert sum(critic.calls) == 10
    assert critic.training
    assert torch.allclose(found.logits, 3 * (2 * images - 1).flatten(1).mean(dim=1) + 0.5)
    # The gradient is 3/4 at each of the 4 pixels, so its norm 3/2, whatever the batch.
    assert found.gradient_norms.tolist() == pytest.approx([1.5] * 4)
    assert critic.slope.grad is None
    labels = torch.arange(10)
    assert torch.allclose(judge(critic, images, labels), found.logits + labels)  # type: ignore[arg-type]


def test_packs_and_pyramids_are_judged_as_they_were_trained() -> None:
    class Plain(nn.Module):
        pass

    class Pyramid(nn.Module):
        def exhibit(self, images: Tensor) -> Tensor:
            return images.flatten(1)[:, ::2]

        def practise(self, latents: Tensor, labels: Tensor | None, real: Tensor) -> Tensor:
            raise AssertionError

    images = torch.arange(5 * 4).reshape(5, 1, 2, 2) / 20
    packs = view_of(Plain(), packing=2)(images)  # type: ignore[arg-type]
    assert packs.shape == (2, 2, 2, 2)  # the fifth image fills no pack
    assert torch.equal(packs[1, 1], images[3, 0] * 2 - 1)
    assert torch.equal(view_of(Pyramid())(images), (images * 2 - 1).flatten(1)[:, ::2])  # type: ignore[arg-type]
    assert len(judge(Line(), images, view=view_of(Plain(), packing=2), batch_size=4)) == 2  # type: ignore[arg-type]


def test_gradient_numbers_of_a_critic_of_known_slope() -> None:
    images = torch.rand(50, 1, 2, 2)
    answers = graded(Line(slope=4.0), images, None)  # type: ignore[arg-type]
    found = slopes(answers, answers, answers.gradient_norms)
    assert found == pytest.approx(
        {
            "r1": 4.0,
            "r2": 4.0,
            "between_gradient_mean": 2.0,
            "between_gradient_deviation": 0.0,
            "between_gradient_p95": 2.0,
        },
        abs=1e-6,
    )
    penalty = squared_gradient(Line(slope=4.0), images, None)
    assert found["r1"] == pytest.approx(2 * penalty.item())


def test_spread_of_gradient_norms() -> None:
    norms = torch.arange(1.0, 22.0)  # 1 to 21
    answers = Answers(torch.zeros(21), norms)
    found = slopes(answers, answers, norms)
    assert found["between_gradient_mean"] == 11
    assert found["between_gradient_deviation"] == pytest.approx(math.sqrt((21**2 - 1) / 12))
    assert found["between_gradient_p95"] == pytest.approx(20.0)


def test_balance_of_known_logits() -> None:
    judged = Judgements(torch.tensor([2.0, 2, 2, -2]), torch.tensor([1.0, -1]), torch.tensor([-1.0, -1, 3, -1]))
    found = balance(judged, loss="non-saturating")
    assert found["overfitting_signs"] == 0.5
    assert found["overfitting_share"] == 1.0  # the mean of held-out logits, 0, is that of the fakes
    assert found["wasserstein_estimate"] == 0.0
    assert found["wasserstein_estimate_train"] == 1.0
    assert found["fake_accuracy"] == 0.75
    assert found["real_accuracy_train"] == 0.75
    assert found["minimax_weight"] == pytest.approx((3 / (1 + math.e) + 1 / (1 + math.exp(-3))) / 4)
    assert found["minimax_weight"] == pytest.approx(1 - (found["non_saturating_weight"] or 0.0))
    assert found["logit_spread"] == pytest.approx(5 / 3)
    expected = stats.mannwhitneyu([1, -1], [-1, -1, 3, -1]).statistic / 8
    assert found["real_fake_separation"] == pytest.approx(expected)


@pytest.mark.parametrize("loss", list(LOSSES))
def test_a_discriminator_that_cannot_tell_is_at_equilibrium(loss: str) -> None:
    found = balance(Judgements(*[torch.zeros(12)] * 3), loss=loss)
    assert found["discriminator_loss_distance"] == pytest.approx(0, abs=1e-12)
    assert found.get("generator_loss_distance", 0.0) == pytest.approx(0, abs=1e-12)
    assert found["real_fake_separation"] == found["train_held_out_separation"] == 0.5
    assert found.get("jsd_lower_bound", 0) == found["logit_spread"] == 0
    assert found["overfitting_share"] is None
    assert ("fake_accuracy" in found) == (loss != "wasserstein")


def test_overfitting_numbers_of_the_paper_at_their_ends() -> None:
    train, fake = torch.full((9,), 2.0), torch.full((9,), -2.0)
    assert overfitting_signs(train) == 1
    assert overfitting_share(train, train, fake) == 0
    assert overfitting_share(train, fake, fake) == 1


def test_diversity_is_1_for_the_same_spread_and_0_for_one_image() -> None:
    features, classes = normal(0, torch.arange(40), (3,)), torch.arange(40) % 2
    real = spread(features, classes, num_classes=2)
    pairs = torch.pdist(features.double())
    assert real.overall == pytest.approx(float(pairs.mean()))
    assert float(real.within[1]) == pytest.approx(float(torch.pdist(features[1::2].double()).mean()))
    assert diversity(spread(5 + 0.5 * features, classes, num_classes=2), real) == pytest.approx(0.5)
    one = spread(features[:1].expand(40, 3), classes, num_classes=2)
    assert diversity(one, real) == pytest.approx(0, abs=1e-6)


def test_one_image_a_class_is_varied_but_not_within_its_classes() -> None:
    classes = torch.arange(40) % 2
    features = normal(0, torch.arange(40), (3,)) + 10 * classes[:, None]
    real = spread(features, classes, num_classes=3)
    ignoring = spread(features[:2].repeat(20, 1), classes, num_classes=3)
    assert diversity(ignoring, real) > 0.8
    assert class_diversity(ignoring, real) == pytest.approx(0, abs=1e-6)  # the third class has no image on either side
    assert class_diversity(real, real) == 1
    assert class_diversity(spread(features[:1], classes[:1], num_classes=3), real) is None


def test_batches_that_look_alike_have_a_variance_between_them() -> None:
    independent = normal(0, torch.arange(4000), (8,)).reshape(100, 40, 8)
    assert batch_variance_ratio(independent) == pytest.approx(1, abs=0.15)
    first = independent[:, :, 0]
    expected = stats.f_oneway(*[batch.numpy() for batch in first.double()]).statistic
    assert batch_variance_ratio(first[:, :, None]) == pytest.approx(expected)
    assert batch_variance_ratio(independent + 3 * normal(1, torch.arange(100), (8,))[:, None]) > 50


def test_latent_sensitivity_of_a_linear_generator_is_its_factor() -> None:
    latents = normal(0, torch.arange(30), (5,))
    assert latent_sensitivity(2.5 * latents, latents) == pytest.approx(2.5)
    labelled = 2.5 * latents + 100 * (torch.arange(30) % 3)[:, None]
    assert latent_sensitivity(labelled, latents, apart=3) == pytest.approx(2.5)
    assert latent_sensitivity(labelled, latents) > 20
    shuffled = permutation(0, 30)
    found = latent_sensitivity(labelled[shuffled], latents[shuffled], labels=(torch.arange(30) % 3)[shuffled])
    assert found == pytest.approx(2.5), "only images of one class are compared"
    assert latent_sensitivity(torch.ones(30, 4), latents) == 0


def test_a_change_of_modes_is_the_share_that_moved() -> None:
    assert change([5, 5, 0], [5, 0, 5]) == (0.5, 1, 1)
    assert change([10, 10], [3, 3]) == (0, 0, 0)
    assert change([0, 0], [4, 0]) == (1, 1, 0)
    assert change([0, 0], [0, 0]) == (0, 0, 0)


def test_singular_values_are_those_of_the_decomposition_and_of_spectral_norm_1() -> None:
    with seeded(0):
        network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ConvTranspose2d(8, 4, 4), nn.BatchNorm2d(4), nn.Linear(30, 20))
        constrained = nn.utils.parametrizations.spectral_norm(nn.Linear(16, 12), n_power_iterations=50)
    expected = [torch.linalg.svdvals(network[k].weight.flatten(1))[0].item() for k in (0, 1, 3)]
    found = largest_singular_values(network)
    assert found == pytest.approx(expected, rel=0.01)
    assert all(value <= bound * 1.0001 for value, bound in zip(found, expected, strict=True))  # from below
    before = deepcopy(constrained.train().state_dict())
    assert largest_singular_values(constrained) == pytest.approx([1], rel=0.02)
    assert constrained.training
    after = constrained.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_copies_are_nearer_to_training_images_than_held_out_ones() -> None:
    train, held_out, new = (normal(stream, torch.arange(400), (4,)) for stream in (0, 1, 2))
    control = nearest_distances(held_out, train)
    assert torch.allclose(control, torch.cdist(held_out.double(), train.double()).min(dim=1).values)
    assert copied_share(nearest_distances(train[:100], train), control) == 1
    assert copied_share(nearest_distances(new, train), control) < 0.05
    mixed = torch.cat([train[:100], new[:300]])
    assert copied_share(nearest_distances(mixed, train), control) == pytest.approx(0.25, abs=0.03)


def test_a_shift_between_two_ways_to_draw_the_same() -> None:
    first = torch.zeros(10, 3)
    second = torch.zeros(10, 3)
    second[:, 0] = 6
    found = shift(first, second, real_mean=torch.tensor([6.0, 0, 0]), unit=3.0)
    assert found == (2, 2, 0)
    assert shift(first, first, real_mean=torch.zeros(3), unit=3.0).between == 0


class Normed(nn.Module):
    """A generator whose images are its latents under batch norm."""

    num_classes = 0

    def __init__(self, norm: nn.Module) -> None:
        super().__init__()
        self.norm = norm

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        images: Tensor = self.norm(latents[:, :, None, None])
        return images / 10


@pytest.mark.parametrize("norm", [nn.BatchNorm2d, SynchronisedBatchNorm2d])
def test_train_mode_takes_the_statistics_of_each_batch_and_leaves_the_remembered_ones(norm: Any) -> None:
    generator = Normed(norm(2)).eval()
    latents = 4 + 2 * normal(0, torch.arange(64), (2,))
    drawn = drawn_in_train_mode(generator, latents, None, batch_size=32)  # type: ignore[arg-type]
    for batch in (drawn[:32], drawn[32:]):
        assert batch.mean(dim=(0, 2, 3)).tolist() == pytest.approx([0.5, 0.5], abs=1e-5)
    assert not generator.training
    assert generator.norm.running_mean.tolist() == [0, 0]
    assert type(generator.norm) is norm
    assert has_running_statistics(generator)  # type: ignore[arg-type]
    assert not has_running_statistics(Normed(nn.Identity()))  # type: ignore[arg-type]


def pixels(images: Tensor) -> tuple[Tensor, Tensor]:
    """Features that are the pixels themselves; the class is the brightest of four quarters."""
    quarters = nn.functional.adaptive_avg_pool2d(images.mean(dim=1, keepdim=True), 2).flatten(1).double()
    return images.flatten(1), (20 * quarters).softmax(dim=1)


NETWORKS = GanNetworks(family="dcgan", width=4, latent_dim=6)
TRAINING = GanTraining(steps=2, batch_size=32)


def monitor(loss: str = "non-saturating") -> Monitor:
    reference = Reference(load_data(DataConfig()), Extractor("pixels", "0", pixels))
    return Monitor(reference, loss, 100, 0, SMALL)


def trained(networks: GanNetworks = NETWORKS, training: GanTraining = TRAINING) -> State:
    data = load_data(DataConfig())
    state = start(networks, training, size=data.size, channels=data.channels, num_classes=data.num_classes)
    for _ in train(state, data.train, training):
        pass
    return state


def test_a_look_measures_everything_and_changes_nothing() -> None:
    state, watch = trained(), monitor()
    before = deepcopy(state.to_tree())
    modes = [network.training for network in (state.generator, state.discriminator, state.average)]
    first = watch.look(state)
    second = watch.look(state, first.row)
    assert {name: first.row["discriminator"][name] for name in ("r1", "jsd_lower_bound", "between_gradient_p95")}
    assert set(first.row["generator"]) >= {"diversity", "copied_share", "train_mode_shift", "batch_variance_ratio"}
    assert second.row["generator"]["change"] == 0
    assert first.row["generator"]["change"] is None
    assert (second.row["mode_variation"], second.row["modes_gained"], second.row["modes_lost"]) == (0, 0, 0)
    assert sum(first.row["mode_counts"]) == 100
    for name, value in flattened(before).items():
        assert torch.equal(torch.as_tensor(value), torch.as_tensor(flattened(state.to_tree())[name])), name
    assert [network.training for network in (state.generator, state.discriminator, state.average)] == modes
    assert all(math.isfinite(value) for value in numbers(second.row))


def test_a_look_asks_for_classes_as_the_training_images_have_them(monkeypatch: pytest.MonkeyPatch) -> None:
    data = load_data(DataConfig())
    kept = (data.train.labels == 3) | (torch.arange(len(data.train)) % 4 == 0) & (data.train.labels != 7)
    uneven = replace(data, train=data.train.select(kept.nonzero().flatten()))
    asked: list[Tensor] = []

    def watched(generator: Any, latents: Tensor, labels: Tensor, **options: Any) -> Tensor:
        asked.append(labels)
        return decode(generator, latents, labels, **options)

    monkeypatch.setattr("evaluation.watching.monitor.decode", watched)
    reference = Reference(uneven, Extractor("pixels", "0", pixels))
    Monitor(reference, "non-saturating", 400, 0, SMALL).look(trained(NETWORKS.model_copy(update={"conditional": True})))
    counts, shares = asked[0].bincount(minlength=10), torch.tensor(uneven.train.class_counts) / len(uneven.train)
    assert counts[7] == 0
    assert torch.equal((counts > 60).nonzero().flatten(), torch.tensor([3]))
    assert ((counts - 400 * shares).abs() <= 4 * (400 * shares * (1 - shares)).sqrt()).all()


def test_a_look_is_a_function_of_the_state() -> None:
    state = trained()
    assert monitor().look(state).row == monitor().look(deepcopy(state)).row


@pytest.mark.parametrize(
    "networks",
    [
        GanNetworks(family="mlp", width=2, latent_dim=4, packing=2),
        GanNetworks(family="dcgan", width=4, latent_dim=4, conditional=True, discriminator_norm="spectral"),
        GanNetworks(family="mlp", width=2, latent_dim=4, discriminator_labels="classes"),
        GanNetworks(family="mlp", width=2, latent_dim=4, categorical=3, continuous=1),
        GanNetworks(family="lapgan", width=2, latent_dim=4),
    ],
    ids=["packs", "conditional", "semi-supervised", "codes", "pyramid"],
)
def test_every_kind_of_game_can_be_looked_at(networks: GanNetworks) -> None:
    row = monitor().look(trained(networks)).row
    assert 0 <= row["discriminator"]["real_fake_separation"] <= 1
    assert row["generator"]["diversity"] >= 0


def test_a_look_at_a_generator_that_draws_nan_says_so() -> None:
    state = trained()
    with torch.no_grad():
        next(state.average.parameters()).fill_(torch.nan)
    with pytest.raises(ValueError, match="averaged generator draws NaN"):
        monitor().look(state)


def test_a_discriminator_that_answers_nan_is_counted_not_hidden() -> None:
    state = trained()
    with torch.no_grad():
        next(state.discriminator.parameters()).fill_(torch.nan)
    assert monitor().look(state).row["discriminator"] == {"broken_logits": 180}


def flattened(tree: Any, prefix: str = "") -> dict[str, Any]:
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else None
    if items is None:
        return {prefix: tree}
    return {name: value for key, item in items for name, value in flattened(item, f"{prefix}/{key}").items()}


def numbers(row: Any) -> list[float]:
    return [value for value in flattened(row).values() if isinstance(value, (int, float))]
