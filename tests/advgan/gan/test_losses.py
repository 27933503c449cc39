import math

import pytest
import torch

from advgan.config import GanTraining
from advgan.gan.losses import LOSSES, smoothed

LN2 = math.log(2)
EQUILIBRIA = {
    "minimax": (2 * LN2, -LN2),
    "non-saturating": (2 * LN2, LN2),
    "hinge": (2.0, 0.0),
    "least-squares": (0.25, 0.125),
    "wasserstein": (0.0, 0.0),
    "relativistic": (LN2, LN2),
    "relativistic-average": (2 * LN2, 2 * LN2),
}
every_loss = pytest.mark.parametrize("name", LOSSES)


def generator_gradient(name: str, logit: float) -> float:
    fake = torch.tensor([logit], dtype=torch.float64, requires_grad=True)
    LOSSES[name].generator(fake, torch.zeros(1, dtype=torch.float64)).backward()
    assert fake.grad is not None
    return float(fake.grad)


def discriminator_gradients(name: str, real_logit: float, fake_logit: float) -> tuple[float, float]:
    logits = torch.tensor([real_logit, fake_logit], dtype=torch.float64, requires_grad=True)
    LOSSES[name].discriminator(logits[:1], logits[1:]).backward()
    assert logits.grad is not None
    return float(logits.grad[0]), float(logits.grad[1])


def test_the_table_holds_exactly_the_losses_of_the_configuration() -> None:
    assert set(GanTraining.model_fields["loss"].annotation.__args__) == set(LOSSES) == set(EQUILIBRIA)


@every_loss
def test_undecided_logits_give_the_equilibrium_values(name: str) -> None:
    loss, zeros = LOSSES[name], torch.zeros(7, dtype=torch.float64)
    discriminator, generator = EQUILIBRIA[name]
    assert float(loss.discriminator(zeros, zeros)) == pytest.approx(discriminator, abs=1e-15)
    assert float(loss.generator(zeros, zeros)) == pytest.approx(generator, abs=1e-15)
    assert (loss.discriminator_equilibrium, loss.generator_equilibrium) == (discriminator, generator)


@pytest.mark.parametrize(
    ("name", "discriminator", "generator"),
    [
        ("minimax", -math.log(0.8) - math.log(0.75), math.log(0.75)),
        ("non-saturating", -math.log(0.8) - math.log(0.75), -math.log(0.25)),
        ("hinge", 0.0 + 0.0, math.log(3)),
        ("least-squares", ((math.log(4) - 0.5) ** 2 + (0.5 - math.log(3)) ** 2) / 2, (math.log(3) + 0.5) ** 2 / 2),
        ("wasserstein", -math.log(3) - math.log(4), math.log(3)),
        ("relativistic", math.log(13 / 12), math.log(13)),
        ("relativistic-average", 2 * math.log(13 / 12), 2 * math.log(13)),
    ],
)
def test_losses_equal_their_formulas_where_d_of_x_is_four_fifths_and_d_of_g_a_quarter(
    name: str, discriminator: float, generator: float
) -> None:
    real = torch.full((3,), math.log(4), dtype=torch.float64)
    fake = torch.full((3,), -math.log(3), dtype=torch.float64)
    assert float(LOSSES[name].discriminator(real, fake)) == pytest.approx(discriminator, abs=1e-12)
    assert float(LOSSES[name].generator(fake, real)) == pytest.approx(generator, abs=1e-12)


@pytest.mark.parametrize("name", [name for name in LOSSES if name != "relativistic-average"])
def test_losses_are_means_over_the_batch(name: str) -> None:
    loss = LOSSES[name]
    real, fake = torch.tensor([0.3, -1.2]), torch.tensor([-0.4, 0.9])
    halves = [(real[:1], fake[:1]), (real[1:], fake[1:])]
    both = loss.discriminator(real, fake)
    assert float(both) == pytest.approx(sum(float(loss.discriminator(*half)) for half in halves) / 2, rel=1e-6)
    generated = loss.generator(fake, real)
    assert float(generated) == pytest.approx(sum(float(loss.generator(f, r)) for r, f in halves) / 2, rel=1e-6)


@every_loss
@pytest.mark.parametrize("logit", [-0.4, 0.0, 0.4])
def test_the_discriminator_raises_real_logits_and_lowers_fake_ones_and_the_generator_raises_its_own(
    name: str, logit: float
) -> None:
    real, fake = discriminator_gradients(name, logit, logit)
    assert real < 0 < fake
    assert generator_gradient(name, logit) < 0


def test_the_average_form_compares_with_the_mean_of_the_other_side() -> None:
    real, fake = torch.tensor([0.3, -1.2]), torch.tensor([-0.4, 0.9])
    plain = LOSSES["non-saturating"].discriminator(real - 0.25, fake + 0.45)
    torch.testing.assert_close(LOSSES["relativistic-average"].discriminator(real, fake), plain)


def test_a_relativistic_loss_ignores_a_shift_of_all_logits() -> None:
    real, fake = torch.tensor([0.3, -1.2]), torch.tensor([-0.4, 0.9])
    for name in ("relativistic", "relativistic-average"):
        loss = LOSSES[name]
        assert loss.compares
        torch.testing.assert_close(loss.discriminator(real + 5, fake + 5), loss.discriminator(real, fake))
        torch.testing.assert_close(loss.generator(fake + 5, real + 5), loss.generator(fake, real))


def test_unequal_numbers_of_logits_are_compared_pair_by_pair() -> None:
    real, fake = torch.tensor([0.3, -1.2, 0.7]), torch.tensor([-0.4, 0.9])
    pairs = [math.log1p(math.exp(-(r - f))) for r in real.tolist() for f in fake.tolist()]
    assert float(LOSSES["relativistic"].discriminator(real, fake)) == pytest.approx(sum(pairs) / 6, rel=1e-6)


@pytest.mark.parametrize("name", ["minimax", "non-saturating"])
@pytest.mark.parametrize(("real_share", "smoothing"), [(0.5, 0.1), (0.8, 0.1), (0.3, 0.25)])
def test_the_best_discriminator_under_smoothing_is_that_of_the_paper(
    name: str, real_share: float, smoothing: float
) -> None:
    """At a point with densities p and q it is (1 - smoothing) p / (p + q): 0.45 at p = q and smoothing 0.1."""
    loss = smoothed(LOSSES[name], smoothing)
    logit = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    for _ in range(200):
        real, fake = loss.discriminator(logit, logit * 0), loss.discriminator(logit * 0, logit)
        total = (real_share * real + (1 - real_share) * fake).sum()
        (gradient,) = torch.autograd.grad(total, logit)
        logit = (logit - 4 * gradient).detach().requires_grad_()
    assert float(logit.detach().sigmoid()) == pytest.approx((1 - smoothing) * real_share, abs=1e-9)


def test_smoothing_leaves_fakes_and_the_generator_alone() -> None:
    loss = smoothed(LOSSES["non-saturating"], 0.1)
    assert loss.generator is LOSSES["non-saturating"].generator
    real, fake = torch.tensor([0.3]), torch.tensor([-0.4, 0.9])
    target = -0.9 * real.sigmoid().log() - 0.1 * (1 - real.sigmoid()).log()
    torch.testing.assert_close(loss.discriminator(real, fake), (target - (1 - fake.sigmoid()).log().mean()).squeeze())


def test_hinge_leaves_logits_beyond_the_margin_alone() -> None:
    assert discriminator_gradients("hinge", 1.1, -1.1) == (0, 0)
    assert discriminator_gradients("hinge", 0.9, -0.9) == (-1, 1)


def test_least_squares_stops_at_its_targets() -> None:
    assert discriminator_gradients("least-squares", 0.5, -0.5) == (0, 0)
    assert generator_gradient("least-squares", 0.5) == 0


def test_minimax_saturates_where_non_saturating_pushes_hardest() -> None:
    """Goodfellow et al. (2014), section 3: at D(G(z)) = sigmoid(-20) one gradient is gone, the other whole."""
    assert generator_gradient("minimax", -20.0) == pytest.approx(-1 / (1 + math.exp(20)), rel=1e-9)
    assert generator_gradient("non-saturating", -20.0) == pytest.approx(-1, rel=1e-8)
    assert generator_gradient("minimax", 20.0) == pytest.approx(-1, rel=1e-8)


@pytest.mark.parametrize("name", ["minimax", "non-saturating"])
def test_cross_entropies_stay_finite_and_exact_at_huge_logits(name: str) -> None:
    right, wrong = torch.tensor([1e4]), torch.tensor([-1e4])
    assert float(LOSSES[name].discriminator(right, wrong)) == 0
    assert float(LOSSES[name].discriminator(wrong, right)) == pytest.approx(2e4)
    assert abs(float(LOSSES[name].generator(wrong, right))) == (0 if name == "minimax" else 1e4)
    assert abs(float(LOSSES[name].generator(right, right))) == (1e4 if name == "minimax" else 0)


@every_loss
def test_nan_logits_are_not_hidden(name: str) -> None:
    broken, fine = torch.tensor([float("nan"), 0.0]), torch.zeros(2)
    assert LOSSES[name].discriminator(broken, fine).isnan()
    assert LOSSES[name].discriminator(fine, broken).isnan()
    assert LOSSES[name].generator(broken, fine).isnan()


def test_wasserstein_without_a_penalty_is_refused_in_one_line() -> None:
    with pytest.raises(ValueError, match="needs gradient_penalty > 0"):
        GanTraining(loss="wasserstein", gradient_penalty=0)
