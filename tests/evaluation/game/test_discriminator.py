import math

import pytest
import torch
from scipy import stats
from torch import nn

from advgan.gan.losses import LOSSES
from attacks.random import normal, uniform
from evaluation.game.discriminator import Judgements, discriminator_scores, jensen_shannon_bound, judge, separation
from evaluation.game.discriminator_findings import discriminator_findings

LN2 = math.log(2)


def logits(seed, mean, *, count=300, spread=1.0):
    return mean + spread * normal(seed, torch.arange(count), ())


def judgements(train=0.3, held_out=0.3, fake=-0.3, **options):
    return Judgements(logits(0, train, **options), logits(1, held_out, **options), logits(2, fake, **options))


def scored(judged, loss="non-saturating"):
    return {score.metric: score for score in discriminator_scores(judged, loss=loss, subject="gan", data="digits")}


@pytest.mark.parametrize("loss", [name for name in LOSSES if name != "wasserstein"])
def test_a_discriminator_that_cannot_tell_is_at_equilibrium_in_every_loss(loss):
    nothing = Judgements(torch.zeros(20), torch.zeros(20), torch.zeros(20))
    found = scored(nothing, loss)
    assert found["discriminator_loss_distance"].value == pytest.approx(0, abs=1e-7)
    assert found["generator_loss_distance"].value == pytest.approx(0, abs=1e-7)
    assert found["jsd_lower_bound"].value == pytest.approx(0, abs=1e-7)
    assert found["real_fake_separation"].value == 0.5
    assert found["real_probability_held_out"].value == found["fake_probability"].value == 0.5
    assert found["train_held_out_gap"].value == 0


def test_probabilities_and_accuracies_of_known_logits():
    judged = Judgements(torch.tensor([1.0, 1, 1, -1]), torch.tensor([1.0, -1]), torch.tensor([-1.0, -1, -1, -1, 1]))
    found = scored(judged)
    sure = 1 / (1 + math.exp(-1))
    assert found["real_probability_train"].value == pytest.approx(0.75 * sure + 0.25 * (1 - sure))
    assert found["real_probability_held_out"].value == pytest.approx(0.5)
    assert found["fake_probability"].value == pytest.approx(0.8 * (1 - sure) + 0.2 * sure)
    accuracies = ("real_accuracy_train", "real_accuracy_held_out", "fake_accuracy")
    assert [found[name].value for name in accuracies] == [0.75, 0.5, 0.8]
    assert [found[name].samples for name in accuracies] == [4, 2, 5]
    assert found["train_held_out_gap"].value == 0.5


def test_the_losses_are_those_of_training_on_held_out_images():
    judged = judgements(train=5)
    found = scored(judged, "hinge")
    expected = float(LOSSES["hinge"].discriminator(judged.held_out, judged.fake)) - 2
    assert found["discriminator_loss_distance"].value == pytest.approx(expected, rel=1e-5)
    bound = found["jsd_lower_bound"]
    assert bound.value == pytest.approx(jensen_shannon_bound(judged.held_out, judged.fake))
    assert bound.low < bound.value < bound.high < 0.3
    expected = float(LOSSES["hinge"].generator(judged.fake, judged.held_out))
    assert found["generator_loss_distance"].value == pytest.approx(expected, rel=1e-5)


def test_a_critic_has_no_zero_so_nothing_is_read_from_it():
    found = scored(judgements(), "wasserstein")
    told = {"real_probability_train", "real_accuracy_train", "fake_accuracy", "generator_loss_distance"}
    assert not {*told, "jsd_lower_bound"} & set(found)
    assert not [score for score in found.values() if "at equilibrium" in score.protocol]
    assert found["discriminator_loss_distance"].value == pytest.approx(-0.6, abs=0.15)
    shifted = Judgements(*(values + 100 for values in vars(judgements()).values()))
    again = scored(shifted, "wasserstein")
    assert again["discriminator_loss_distance"].value == pytest.approx(found["discriminator_loss_distance"].value, 1e-4)
    assert again["real_fake_separation"].value == found["real_fake_separation"].value


def test_the_bound_reaches_ln_2_where_real_and_fake_are_apart_and_0_where_the_discriminator_is_wrong():
    sure = torch.full((10,), 50.0)
    assert jensen_shannon_bound(sure, -sure) == pytest.approx(LN2)
    assert jensen_shannon_bound(-sure, sure) == 0


def test_the_bound_is_tight_for_the_best_discriminator_and_below_the_divergence_for_any_other():
    """Two Gaussians a distance of 1.5 apart: the best logit is linear, the divergence is known by quadrature."""
    grid = torch.linspace(-8, 10, 20_001, dtype=torch.float64)
    p, q = (torch.exp(-((grid - m) ** 2) / 2) / math.sqrt(2 * math.pi) for m in (1.5, 0))
    mixture = (p + q) / 2
    divergence = float(torch.trapezoid(p * (p / mixture).log() + q * (q / mixture).log(), grid) / 2)
    real, fake = 1.5 + normal(0, torch.arange(20_000), ()), normal(1, torch.arange(20_000), ())

    def best(x):
        return 1.5 * x - 1.125

    assert jensen_shannon_bound(best(real), best(fake)) == pytest.approx(divergence, abs=0.01)
    for scale, shift in ((0.5, 0), (2, 0), (1, 1), (1, -2)):
        assert jensen_shannon_bound(scale * best(real) + shift, scale * best(fake) + shift) < divergence


def test_the_separation_is_scipys_with_ties_counted_half():
    higher, lower = logits(0, 0.5, count=40).round(decimals=1), logits(1, 0, count=30).round(decimals=1)
    expected = stats.mannwhitneyu(higher.numpy(), lower.numpy()).statistic / (40 * 30)
    assert separation(higher, lower) == pytest.approx(expected)
    assert separation(torch.tensor([2.0]), torch.tensor([1.0, 2.0, 3.0])) == 0.5


def test_scores_have_intervals_in_range_and_say_their_sizes():
    for score in discriminator_scores(judgements(held_out=4, fake=-4), loss="non-saturating", seed=1):
        assert score.low <= score.value <= score.high
        assert score.setting == "discriminator-non-saturating"
        assert "interval" in score.protocol
        if "distance" not in score.metric and "gap" not in score.metric:
            assert score.low >= 0
            assert score.high <= 1


def test_logits_that_are_no_numbers_and_empty_sets_are_refused():
    broken = Judgements(torch.zeros(5), torch.zeros(5), torch.tensor([0, torch.nan]))
    with pytest.raises(ValueError, match="training has diverged"):
        discriminator_scores(broken, loss="hinge")
    with pytest.raises(ValueError, match="at least two"):
        discriminator_scores(Judgements(torch.zeros(5), torch.zeros(1), torch.zeros(5)), loss="hinge")


class Mean(nn.Module):
    """The mean signed pixel, plus the label where there is one; different in training mode."""

    num_classes = 0

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))

    def forward(self, images, labels=None):
        assert not self.training
        return self.weight * images.mean(dim=(1, 2, 3)) + (0 if labels is None else labels)


def test_judging_signs_the_images_batches_them_and_keeps_the_mode():
    images = torch.tensor([0.0, 0.5, 1.0]).reshape(3, 1, 1, 1).expand(3, 1, 2, 2)
    network = Mean().train()
    assert judge(network, images, batch_size=2).tolist() == [-1, 0, 1]
    assert judge(network, images, torch.tensor([1, 2, 3]), batch_size=2).tolist() == [0, 2, 4]
    assert network.training


def titles(judged, loss="non-saturating"):
    return [finding.title for finding in discriminator_findings(judged, loss=loss)]


@pytest.mark.parametrize("loss", list(LOSSES))
def test_of_a_healthy_game_it_is_said_that_it_is_hardly_told_and_nothing_else(loss):
    assert titles(judgements(), loss) == ["The discriminator hardly tells real from generated"]


def test_a_discriminator_somewhat_ahead_is_no_news():
    assert titles(judgements(train=1, held_out=1, fake=-1)) == []


def test_a_saturated_discriminator_is_an_alarm_but_a_separating_critic_is_not():
    judged = judgements(train=5, held_out=5, fake=-5)
    assert titles(judged) == ["The discriminator is saturated"]
    assert discriminator_findings(judged, loss="hinge")[0].level == "warning"
    assert discriminator_findings(judged, loss="wasserstein")[0].level == "info"


def test_a_dead_discriminator_gives_one_answer_whatever_it_is():
    assert titles(Judgements(torch.zeros(99), torch.zeros(99), torch.zeros(99))) == ["The discriminator is dead"]
    assert titles(judgements(train=700, held_out=700, fake=700, spread=1e-3)) == ["The discriminator is dead"]


def test_an_overfitting_discriminator_prefers_what_it_was_trained_on():
    assert titles(judgements(train=2)) == [
        "The discriminator hardly tells real from generated",
        "The discriminator overfits",
    ]
    assert titles(judgements(train=0.35)) == ["The discriminator hardly tells real from generated"]


def test_an_inverted_discriminator_is_an_alarm():
    assert titles(judgements(train=-1, held_out=-1, fake=1)) == ["The discriminator is inverted"]


def test_a_diverged_discriminator_is_an_alarm():
    broken = Judgements(torch.zeros(60), torch.zeros(60), torch.full((60,), torch.inf))
    (finding,) = discriminator_findings(broken, loss="hinge")
    assert finding.title == "The discriminator has diverged"
    assert "60 of 180 logits" in finding.evidence


def test_a_handful_of_images_gives_no_verdict():
    few = judgements(train=5, held_out=5, fake=-5, count=20)
    assert titles(few) == ["Too few images for a verdict on the discriminator"]


def test_healthy_games_stay_silent_at_many_seeds():
    for seed in range(40):
        parts = [uniform(3 * seed + part, torch.arange(120), ()) * 4 - 2 for part in range(3)]
        judged = Judgements(parts[0] + 0.2, parts[1] + 0.2, parts[2] - 0.2)
        assert all(finding.level == "info" for finding in discriminator_findings(judged, loss="hinge"))
