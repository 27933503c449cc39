from functools import partial

import pytest
import torch
from torch import nn

from attacks import Classifier, fgsm, pgd, uniform_noise
from evaluation import robustness
from evaluation.under_attack.eps_curve import eps_curve
from evaluation.under_attack.outcomes import bound, clean_outcome
from evaluation.under_attack.trials import attack_outcome, sweep

LEVELS = (0.45, 0.52, 0.58, 0.65, 0.9)
LABELS = torch.tensor([0, 1, 1, 1, 0])  # the last is wrong before any attack


class Brightness(nn.Module):
    """Class 1 where the mean pixel exceeds a threshold: it takes exactly the gap in linf to fool it."""

    def __init__(self, threshold=0.5):
        super().__init__()
        self.threshold = threshold

    def forward(self, images):
        gap = 10 * (images.flatten(1).mean(dim=1) - self.threshold)
        return torch.stack([-gap, gap], dim=1)


def plain(*levels, side=2):
    return torch.tensor(levels).reshape(-1, 1, 1, 1).expand(-1, 1, side, side).clone()


def classifier(network=None):
    return Classifier(network or Brightness())


def test_an_image_falls_exactly_where_the_budget_exceeds_its_distance_to_the_boundary():
    outcome = attack_outcome(classifier(), plain(*LEVELS), LABELS, partial(fgsm, eps=0.1))
    assert outcome.attacked.tolist() == [True, True, True, True, False]
    assert outcome.success.tolist() == [True, True, True, False, False]
    assert outcome.robust.tolist() == [False, False, False, True, False]
    assert outcome.linf.tolist() == pytest.approx([0.1, 0.1, 0.1, 0.1, 0])
    assert outcome.l2.tolist() == pytest.approx([0.2, 0.2, 0.2, 0.2, 0])
    assert torch.equal(outcome.adversarial[4], plain(*LEVELS)[4])


def test_only_the_attacks_own_passes_are_counted():
    model = classifier()
    outcome = attack_outcome(model, plain(*LEVELS), LABELS, partial(fgsm, eps=0.1), batch_size=3)
    assert outcome.forwards.tolist() == outcome.backwards.tolist() == [1, 1, 1, 1, 0]
    assert model.passes.forwards == 5 + 4 + 2 * 4
    noise = attack_outcome(model, plain(*LEVELS), LABELS, partial(uniform_noise, eps=0.1))
    assert not noise.forwards.any()
    assert not noise.backwards.any()


@pytest.mark.parametrize("batch_size", [1, 2, 64])
def test_the_batch_size_changes_nothing(batch_size):
    images, labels = torch.rand(20, 1, 2, 2, generator=torch.Generator().manual_seed(0)), torch.arange(20) % 2
    attack = partial(pgd, eps=0.05, steps=3, keep="last")
    whole = attack_outcome(classifier(), images, labels, attack)
    split = attack_outcome(classifier(), images, labels, attack, batch_size=batch_size)
    assert torch.allclose(whole.adversarial, split.adversarial, atol=1e-6)
    assert torch.equal(whole.success, split.success)
    assert torch.equal(whole.forwards, split.forwards)
    assert torch.equal(whole.backwards, split.backwards)


def test_random_attacks_know_samples_by_their_number_in_the_whole_set():
    images = plain(*[0.7] * 6)
    labels = torch.tensor([0, 1, 1, 0, 1, 1])
    seen = {}

    def spy(model, batch, labels, *, indices=None):
        seen.update(zip(indices.tolist(), batch, strict=True))
        return batch

    attack_outcome(classifier(), images, labels, spy, batch_size=2)
    assert sorted(seen) == [1, 2, 4, 5]


def test_rounding_to_8_bits_is_measured_on_its_own():
    """0.6012 - 0.1 = 0.5012 is below the threshold, its nearest level 128/255 = 0.50196 is not."""
    outcome = attack_outcome(classifier(Brightness(0.5015)), plain(0.6012), torch.tensor([1]), partial(fgsm, eps=0.1))
    assert outcome.success.item()
    assert outcome.robust_8bit.item()


class Fragile(nn.Module):
    """NaN as soon as an image is darker than 0.55."""

    def forward(self, images):
        return torch.where(images.amin(dim=(1, 2, 3)) < 0.55, torch.nan, Brightness()(images).T).T


def test_a_nan_is_an_error_of_the_model_and_is_marked():
    model = classifier(Fragile())
    clean = clean_outcome(model, plain(0.5, 0.6, 0.9), torch.tensor([0, 1, 1]))
    assert clean.correct.tolist() == [False, True, True]

    def darker(model, images, labels, *, indices=None):
        return images - 0.1

    outcome = attack_outcome(model, plain(0.5, 0.6, 0.9), torch.tensor([0, 1, 1]), darker)
    assert outcome.robust.tolist() == [False, False, True]
    assert outcome.broken.tolist() == [False, True, False]


def test_a_targeted_attack_succeeds_at_its_target_only():
    class Three(nn.Module):
        def forward(self, images):
            level = images.mean(dim=(1, 2, 3))
            return torch.stack([0.3 - level, 0.2 * torch.ones_like(level) - (level - 0.5).abs(), level - 0.7], dim=1)

    labels, targets = torch.tensor([0, 0]), torch.tensor([1, 2])

    def brighter(model, images, labels, *, targeted, indices=None):
        assert labels.tolist() == targets.tolist()
        return images + 0.4

    attack = partial(brighter, targeted=True)
    outcome = attack_outcome(classifier(Three()), plain(0.0, 0.05), labels, attack, targets=targets)
    assert outcome.attacked.all()
    assert outcome.success.tolist() == [True, False]
    assert not outcome.robust.any()


def test_targets_and_targeted_go_together():
    images, labels = plain(0.2, 0.8), torch.tensor([0, 1])
    with pytest.raises(ValueError, match="needs targets"):
        attack_outcome(classifier(), images, labels, partial(pgd, eps=0.1, targeted=True))
    with pytest.raises(ValueError, match="bind targeted=True"):
        attack_outcome(classifier(), images, labels, partial(pgd, eps=0.1, targeted=False), targets=1 - labels)
    with pytest.raises(ValueError, match="other than the image's label"):
        attack_outcome(classifier(), images, labels, partial(pgd, eps=0.1, targeted=True), targets=labels)


@pytest.mark.parametrize("cascade", [False, True])
def test_nobody_is_given_the_true_labels_for_targets(cascade):
    """A function of one's own that reaches for a class would defend the model if it were given the class to leave."""
    images, labels = plain(0.2, 0.8), torch.tensor([0, 1])

    def towards(model, images, labels, *, indices=None):
        return pgd(model, images, labels, eps=0.4, targeted=True, indices=indices)

    right = {"to": partial(pgd, eps=0.4, targeted=True)}
    for own in (towards, partial(towards)):
        with pytest.raises(ValueError, match="targets were given, and towards does not say whether it wants them"):
            robustness(classifier(), images, labels, {**right, "own": own}, targets=1 - labels, cascade=cascade)
    for attacks in ({"pgd": partial(pgd, eps=0.1)}, {"pgd": partial(pgd, eps=0.1, targeted=False)}):
        with pytest.raises(ValueError, match="no attack wants them: bind targeted=True"):
            robustness(classifier(), images, labels, attacks, targets=1 - labels, cascade=cascade)


def test_a_function_of_ones_own_says_that_it_wants_the_true_labels():
    images, labels, given = plain(0.2, 0.8), torch.tensor([0, 1]), []

    def own(model, images, labels, *, targeted=False, indices=None):
        given.append(labels.tolist())
        return images

    attacks = {"to": partial(own, targeted=True), "from": partial(own, targeted=False)}
    robustness(classifier(), images, labels, attacks, targets=1 - labels)
    assert given == [[1, 0], [0, 1]]


def test_arrays_and_lists_are_scored_as_tensors_are():
    images, labels = plain(0.2, 0.45, 0.8), torch.tensor([0, 0, 1])
    attacks = {"pgd": partial(pgd, eps=0.1)}
    expected = robustness(classifier(), images, labels, attacks)
    assert robustness(classifier(), images.numpy(), labels.tolist(), attacks) == expected
    assert robustness(classifier(), list(images), labels.numpy(), attacks) == expected
    for call in (attack_outcome, partial(sweep, eps_values=[0.1])):
        attack = attacks["pgd"] if call is attack_outcome else pgd
        assert call(classifier(), images.numpy(), labels.tolist(), attack)
    with pytest.raises(ValueError, match="images must be a tensor, an array"):
        robustness(classifier(), "digits", labels, attacks)
    with pytest.raises(ValueError, match=r"images must be \(N, C, H, W\)"):
        robustness(classifier(), images[0].numpy(), labels, attacks)
    with pytest.raises(ValueError, match="divide by 255"):
        robustness(classifier(), (images * 255).to(torch.uint8).numpy(), labels, attacks)


def test_a_sweep_attacks_at_each_budget_what_is_right_before() -> None:
    attacked = []

    def counting(model, images, labels, *, eps, indices=None):
        attacked.append((eps, indices.tolist()))
        return fgsm(model, images, labels, eps=eps)

    outcomes = sweep(classifier(), plain(*LEVELS), LABELS, counting, [0.1, 0.03, 0.2])
    assert attacked == [(0.03, [0, 1, 2, 3]), (0.1, [0, 1, 2, 3]), (0.2, [0, 1, 2, 3])]
    assert [int(outcome.robust.sum()) for outcome in outcomes.values()] == [3, 1, 0]
    assert all(outcome.forwards.tolist() == [1, 1, 1, 1, 0] for outcome in outcomes.values())
    assert outcomes[0.2].linf.tolist() == pytest.approx([0.2, 0.2, 0.2, 0.2, 0])


def test_the_curve_starts_at_the_clean_accuracy():
    curve = eps_curve(sweep(classifier(), plain(*LEVELS), LABELS, fgsm, [0.2, 0.03, 0.1]))
    assert curve.eps == (0, 0.03, 0.1, 0.2)
    assert curve.robust_accuracy == pytest.approx((0.8, 0.6, 0.2, 0))
    assert all(
        low <= value <= high for low, value, high in zip(curve.low, curve.robust_accuracy, curve.high, strict=True)
    )
    assert curve.smallest_eps.tolist() == pytest.approx([0.1, 0.03, 0.1, 0.2, 0])
    assert curve.samples == 5


def test_a_budget_of_0_breaks_nothing_and_is_no_second_point_of_the_curve():
    curve = eps_curve(sweep(classifier(), plain(*LEVELS), LABELS, fgsm, [0.0]))
    assert curve.eps == (0,)
    assert curve.robust_accuracy == (0.8,)
    assert curve.smallest_eps[:4].isinf().all()


def test_a_curve_needs_a_point():
    with pytest.raises(ValueError, match="at least one budget"):
        eps_curve({})


def test_options_bound_by_partial_can_be_read():
    attack = partial(partial(pgd, eps=0.1), targeted=True)
    assert (bound(attack, "eps"), bound(attack, "targeted"), bound(attack, "norm")) == (0.1, True, None)
    assert bound(fgsm, "eps") is None


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (torch.zeros(0, 1, 2, 2), torch.zeros(0, dtype=torch.int64), "no images"),
        (plain(0.2, 0.8), torch.tensor([0]), "2 images need as many"),
        (plain(0.2), torch.tensor([0.0]), "whole-numbered labels"),
        (plain(0.2), torch.tensor([2]), "has 2 classes"),
        (plain(0.2), torch.tensor([-1]), "labels run from -1"),
    ],
)
def test_images_and_labels_that_do_not_fit_are_refused(images, labels, message):
    with pytest.raises(ValueError, match=message):
        clean_outcome(classifier(), images, labels)


def test_an_attack_that_changes_the_shape_is_refused():
    with pytest.raises(ValueError, match="the attack returned"):
        attack_outcome(classifier(), plain(0.2), torch.tensor([0]), lambda m, x, y, indices=None: x[..., :1])
