"""Fresh discriminators, duality gaps and parameter gradients of games on the line whose values are known."""

import math
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from advgan.config import GanNetworks, GanTraining
from advgan.data import ImageSet
from advgan.models.gans.families import build_discriminator
from advgan.models.latents import LatentSpace
from advgan.ranges import from_signed
from advgan.sampling.stored import TrainedGan
from attacks.random import normal, seeded
from evaluation.game.discriminator_fit import (
    FitConfig,
    fakes_like,
    fitted,
    halves,
    judged_together,
    untrained_discriminator,
)
from evaluation.game.duality_gap import duality_gap, fooling, game_value, gap_of
from evaluation.game.fresh_discriminator import fresh_divergence
from evaluation.game.player_gradients import player_gradients

LN2 = math.log(2)
NETWORKS = GanNetworks(family="points", width=8, latent_dim=1)
QUICK = FitConfig(steps=120, batch_size=128, learning_rate=1e-2)


class Line(nn.Module):
    """scale * z + shift on the line."""

    space = LatentSpace(1)
    num_classes = 0

    def __init__(self, scale: float, shift: float) -> None:
        super().__init__()
        self.scale, self.shift = (nn.Parameter(torch.tensor(float(value))) for value in (scale, shift))

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        return (self.scale * latents + self.shift)[:, :, None, None]


class Slanted(nn.Module):
    """slope * x."""

    num_classes = 0

    def __init__(self, slope: float) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.tensor(slope))

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.slope * images.flatten()


def undecided() -> nn.Module:
    """A discriminator that says 1/2 of everything, and can learn."""
    network = build_discriminator(NETWORKS, size=1, channels=1, num_classes=1)
    nn.init.zeros_(network.head.linear.weight)  # type: ignore[attr-defined]
    nn.init.zeros_(network.head.linear.bias)  # type: ignore[attr-defined]
    return network  # type: ignore[return-value]


def game(scale: float = 1, shift: float = 0, **recipe: object) -> TrainedGan:
    with seeded(0):
        discriminator = undecided()
    return TrainedGan(
        generator=Line(scale, shift).requires_grad_(False).eval(),
        discriminator=discriminator.requires_grad_(False).eval(),  # type: ignore[arg-type]
        networks=NETWORKS,
        training=GanTraining(**recipe),  # type: ignore[arg-type]
        data_name="line",
        data_digest="0",
        classes=("all",),
        size=1,
        channels=1,
        step=1,
        digest="0",
        path=Path("none"),
    )


def line(seed: int, count: int = 2000) -> ImageSet:
    """Real points: N(0, 1) in signed coordinates."""
    points = normal(100 + seed, torch.arange(count), (1, 1, 1))
    return ImageSet(from_signed(points), torch.zeros(count, dtype=torch.int64), ("all",))


def divergence(shift: float) -> float:
    """The Jensen-Shannon divergence of N(0, 1) and N(shift, 1), by quadrature."""
    grid = torch.linspace(-10, 10 + shift, 20_001, dtype=torch.float64)
    p, q = (torch.exp(-((grid - mean) ** 2) / 2) / math.sqrt(2 * math.pi) for mean in (0, shift))
    mixture = (p + q) / 2
    return float(torch.trapezoid(torch.xlogy(p, p / mixture) + torch.xlogy(q, q / mixture), grid) / 2)


def weights(network: object) -> list[Tensor]:
    return [value.clone() for value in network.state_dict().values()]  # type: ignore[attr-defined]


@pytest.mark.parametrize("shift", [0.0, 1.5, 3.0])
def test_a_fresh_discriminator_finds_the_divergence_of_two_gaussians(shift: float) -> None:
    gan = game(shift=shift)
    before = weights(gan.generator), weights(gan.discriminator)
    found = fresh_divergence(gan, line(0), line(1), config=QUICK)
    assert found.bound.value == pytest.approx(divergence(shift), abs=0.03)
    assert found.bound.low <= found.bound.value <= found.bound.high
    after = weights(gan.generator), weights(gan.discriminator)
    assert all(
        torch.equal(*pair) for one, other in zip(before, after, strict=True) for pair in zip(one, other, strict=True)
    )
    assert not any(parameter.requires_grad for parameter in gan.generator.parameters())


def test_a_fresh_discriminator_is_a_function_of_its_seed() -> None:
    few = FitConfig(steps=20)
    first, again, other = (
        fresh_divergence(game(shift=1), line(0, 300), line(1, 300), config=few, seed=seed) for seed in (0, 0, 1)
    )
    assert torch.equal(first.fake_logits, again.fake_logits)
    assert first.bound == again.bound
    assert not torch.equal(first.fake_logits, other.fake_logits)


def test_the_best_look_is_kept_and_no_fit_is_worse_than_its_start() -> None:
    """Steps of length 1 ruin the discriminator, so the start, which says 1/2 of everything, stays."""
    gan, config = game(), FitConfig(steps=20, learning_rate=1.0)
    found = fitted(gan.game.discriminator, gan.generator, line(0, 300), line(1, 600), config=config)
    assert all(torch.equal(*pair) for pair in zip(weights(found), weights(gan.discriminator), strict=True))


def test_the_budget_cuts_the_steps_and_too_small_a_one_is_refused() -> None:
    assert FitConfig(steps=400, batch_size=64, budget=12_800).taken == 100
    assert FitConfig(steps=40, batch_size=64, budget=12_800).taken == 40
    with pytest.raises(ValueError, match="budget 100 is less than one step of 128 images"):
        FitConfig(batch_size=64, budget=100)
    with pytest.raises(ValueError, match="steps 0"):
        FitConfig(steps=0)


def test_a_discriminator_that_sees_whole_batches_cannot_tell_the_kind_from_the_others() -> None:
    """Its logit is the mean of the batch: for pure batches it would separate the two kinds perfectly."""

    class Together(nn.Module):
        num_classes = 0

        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(()))

        def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
            return self.weight * images.mean().expand(len(images))

    real, fake = line(0, 512).unit() + 1, line(1, 512).unit()
    logits = judged_together(Together(), real, fake, None, lambda images: images)  # type: ignore[arg-type]
    assert abs(float(logits[0].mean() - logits[1].mean())) < 0.1


def test_judged_together_keeps_each_logit_at_its_image() -> None:
    discriminator = untrained_discriminator(game(), seed=3)
    real, fake = line(0, 300).unit(), line(1, 200).unit()
    logits = judged_together(discriminator, real, fake, None, lambda images: images)
    with torch.no_grad():
        expected = discriminator.eval()(real), discriminator(fake)
    assert torch.allclose(logits[0], expected[0], atol=1e-5)
    assert torch.allclose(logits[1], expected[1], atol=1e-5)


def test_a_discriminator_of_levels_gives_a_logit_a_level_beside_each_other() -> None:
    """As a Laplacian pyramid's does, of what it is shown; its levels are not to be taken for other images."""

    class Levels(nn.Module):
        num_classes = 0

        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(()))

        def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
            value = self.weight * images.flatten(1).mean(dim=1)
            return torch.stack([value, value + 10, value + 20], dim=1).flatten()

    real, fake = line(0, 30).unit(), line(1, 20).unit()
    logits = judged_together(Levels(), real, fake, None, lambda images: images)  # type: ignore[arg-type]
    for found, images in zip(logits, (real, fake), strict=True):
        expected = images.flatten(1).mean(dim=1)[:, None] + torch.tensor([0.0, 10.0, 20.0])
        assert torch.allclose(found, expected.flatten(), atol=1e-6)


def test_the_choice_is_kept_in_the_modes_that_were_given() -> None:
    gan = game(shift=1)
    gan.game.discriminator.train()
    found = fitted(gan.game.discriminator, gan.generator, line(0), line(1), config=FitConfig(steps=8))
    assert gan.game.discriminator.training
    assert not found.training


def test_halves_share_no_image_and_fakes_are_not_those_that_are_scored() -> None:
    points = line(0, 101)
    first, second = halves(points, seed=2)
    assert (len(first), len(second)) == (50, 51)
    assert not set(first.images.flatten().tolist()) & set(second.images.flatten().tolist())
    labels = torch.zeros(5, dtype=torch.int64)
    fakes = fakes_like(Line(1.0, 0.0), labels, first=1 << 40, seed=0)
    assert not torch.equal(fakes, fakes_like(Line(1.0, 0.0), labels, first=0, seed=0))


# The duality gap.


def test_the_gap_is_0_at_the_equilibrium() -> None:
    found = duality_gap(game(), line(1), config=QUICK)
    assert found.gap.value == pytest.approx(0, abs=0.01)
    assert found.minimax_loss.value == pytest.approx(-LN2, abs=0.01)
    assert found.maximin_loss.value == pytest.approx(-LN2, abs=1e-6)


@pytest.mark.parametrize("shift", [1.5, 3.0])
def test_against_an_undecided_discriminator_the_gap_is_the_divergence(shift: float) -> None:
    """No generator gains against D = 1/2, and the best discriminator makes the game worth JSD - ln 2."""
    found = duality_gap(game(shift=shift), line(1), config=QUICK)
    assert found.gap.value == pytest.approx(divergence(shift), abs=0.04)
    assert found.minimax_loss.value == pytest.approx(divergence(shift) - LN2, abs=0.04)
    assert found.gap.low < found.gap.value < found.gap.high


def test_a_generator_that_has_collapsed_has_a_large_gap() -> None:
    healthy, collapsed = (duality_gap(game(scale), line(1), config=QUICK).gap for scale in (1.0, 0.02))
    assert collapsed.low > 0.3
    assert healthy.high < 0.05


def test_a_generator_gains_against_a_discriminator_with_a_slope() -> None:
    """Against D(x) = sigmoid(-2 x) the worst generator goes left by about the learning rate a step."""
    gan = replace(game(), discriminator=Slanted(-2.0))
    before = weights(gan.generator)
    worst = fooling(gan.generator, gan.game.discriminator, config=FitConfig(steps=60, learning_rate=0.05))
    assert -3.5 < float(worst.shift) < -1.5  # type: ignore[attr-defined]
    assert all(torch.equal(*pair) for pair in zip(before, weights(gan.generator), strict=True))
    found = duality_gap(gan, line(1, 400), config=FitConfig(steps=60, learning_rate=0.05))
    assert found.gap.low > 1


def test_the_game_is_worth_minus_ln_2_where_nothing_is_told_apart_and_0_where_everything_is() -> None:
    assert game_value(torch.zeros(9), torch.zeros(5)).value == pytest.approx(-LN2)
    assert game_value(torch.full((9,), 50.0), torch.full((9,), -50.0)).value == pytest.approx(0)
    same = torch.linspace(-1, 1, 50)
    assert gap_of((same, same), (same, same)).gap == (0, 0, 0)


def test_a_critic_and_too_few_images_are_refused() -> None:
    with pytest.raises(ValueError, match="Wasserstein critic"):
        duality_gap(game(loss="wasserstein"), line(1))
    with pytest.raises(ValueError, match="39 held-out images are too few"):
        duality_gap(game(), line(1, 39))
    with pytest.raises(ValueError, match="19 held-out images are too few"):
        fresh_divergence(game(), line(0), line(1, 19))


# Gradients of parameters.


def test_parameter_gradients_are_those_of_the_losses() -> None:
    """A critic with slope 2: the gradient of -E f(G(z)) is (-2 E z, -2) in scale and shift."""

    gan = game(shift=1.0, loss="wasserstein")
    critic = Slanted(2.0).requires_grad_(False)
    gan = replace(gan, discriminator=critic)
    found = player_gradients(gan, line(0), batch_size=500, num_batches=3)
    assert found.generator.tolist() == pytest.approx([2.0] * 3, rel=0.01)
    assert found.discriminator.tolist() == pytest.approx([1.0] * 3, rel=0.15)
    assert found.broken == 0
    assert critic.slope.grad is None
    assert not critic.slope.requires_grad


def test_a_dead_discriminator_gives_the_generator_no_gradient() -> None:
    assert player_gradients(game(), line(0), num_batches=2).generator.tolist() == [0, 0]


def test_a_copy_is_measured() -> None:
    gan = game(shift=1.0)
    copies = deepcopy(weights(gan.discriminator))
    player_gradients(gan, line(0), num_batches=2)
    assert all(torch.equal(*pair) for pair in zip(copies, weights(gan.discriminator), strict=True))
