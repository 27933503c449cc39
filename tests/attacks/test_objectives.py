import math

import pytest
import torch
from torch.nn import functional as F

from attacks import fooled, log_odds
from attacks.objectives import LOSSES, dlr, dlr_targeted, kl, margin, named_loss
from attacks.random import normal

LOGITS = 3 * normal(0, torch.arange(20), (6,), dtype=torch.float64)
LABELS = torch.arange(20) % 6
TARGETS = (LABELS + 1 + torch.arange(20) % 5) % 6
every_loss = pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)


def test_softplus_of_the_log_odds_is_the_cross_entropy() -> None:
    entropy = F.cross_entropy(LOGITS, LABELS, reduction="none")
    torch.testing.assert_close(F.softplus(log_odds(LOGITS, LABELS)), entropy, rtol=1e-12, atol=0)


@every_loss
@pytest.mark.parametrize("classes", [2, 3, 4, 6])
@pytest.mark.parametrize("targeted", [False, True])
def test_a_constant_added_to_all_logits_changes_nothing(loss, classes, targeted) -> None:
    logits, labels = LOGITS[:, :classes], LABELS % classes
    for constant in (-50.0, 50.0):
        shifted = loss(logits + constant, labels, targeted=targeted)
        torch.testing.assert_close(shifted, loss(logits, labels, targeted=targeted), rtol=0, atol=1e-12)
        assert torch.equal(fooled(logits + constant, labels), fooled(logits, labels))


def test_the_margin_is_above_zero_exactly_where_the_label_is_left() -> None:
    assert torch.equal(margin(LOGITS, LABELS) > 0, fooled(LOGITS, LABELS))
    assert torch.equal(margin(LOGITS, LABELS, targeted=True) > 0, fooled(LOGITS, LABELS, targeted=True))
    logits = torch.tensor([[3.0, -1.0, 2.0], [-5.0, -4.0, -7.0]])
    assert margin(logits, torch.tensor([0, 2])).tolist() == [-1, 3]
    assert margin(logits, torch.tensor([2, 1]), targeted=True).tolist() == [-1, 1]


def test_dlr_follows_the_formulas_of_the_paper() -> None:
    ordered = LOGITS.sort(dim=1, descending=True).values
    label, target = (LOGITS[torch.arange(20), classes] for classes in (LABELS, TARGETS))
    other = torch.where(label == ordered[:, 0], ordered[:, 1], ordered[:, 0])
    torch.testing.assert_close(dlr(LOGITS, LABELS), -(label - other) / (ordered[:, 0] - ordered[:, 2]))
    distance = ordered[:, 0] - (ordered[:, 2] + ordered[:, 3]) / 2
    torch.testing.assert_close(dlr_targeted(LOGITS, LABELS, TARGETS), -(label - target) / distance)


@pytest.mark.parametrize("classes", [3, 4, 6])
def test_a_factor_on_all_logits_does_not_change_dlr(classes) -> None:
    logits, labels = LOGITS[:, :classes], LABELS % classes
    for targeted in (False, True):
        expected = dlr(logits, labels, targeted=targeted)
        torch.testing.assert_close(dlr(1e4 * logits, labels, targeted=targeted), expected, rtol=0, atol=1e-9)


def test_dlr_falls_back_where_classes_are_missing() -> None:
    two, three = torch.tensor([[4.0, 1.0]]), torch.tensor([[4.0, 1.0, 0.0]])
    label, target = torch.tensor([0]), torch.tensor([1])
    assert dlr(two, label).item() == dlr(two, target, targeted=True).item() == -3
    assert dlr(three, label).item() == -3 / 4
    assert dlr(three, target, targeted=True).item() == pytest.approx(-3 / 3.5)
    assert dlr_targeted(three, label, target).item() == pytest.approx(-3 / 3.5)


@every_loss
@pytest.mark.parametrize("classes", [2, 3, 4, 6])
def test_the_least_likely_class_as_target_leaves_a_gradient(loss, classes) -> None:
    """And so does the label while it is the most likely: an attack starts from these two."""
    for targeted in (False, True):
        logits = LOGITS[:, :classes].clone().requires_grad_()
        labels = logits.argmin(dim=1) if targeted else logits.argmax(dim=1)
        (gradient,) = torch.autograd.grad(loss(logits, labels, targeted=targeted).sum(), logits)
        sign = 1 if targeted else -1
        assert (sign * gradient.gather(1, labels[:, None]) > 1e-3).all()


@every_loss
def test_equal_logits_give_finite_values(loss) -> None:
    for classes in (2, 3, 4):
        for targeted in (False, True):
            assert loss(torch.ones(3, classes), torch.arange(3) % 2, targeted=targeted).isfinite().all()


def test_kl_is_the_divergence_of_the_clean_answer_from_the_other() -> None:
    clean = LOGITS.roll(1, 0)
    clean_odds, odds = clean.softmax(1), LOGITS.softmax(1)
    torch.testing.assert_close(kl(LOGITS, clean), (clean_odds * (clean_odds / odds).log()).sum(1))
    torch.testing.assert_close(kl(clean, clean + 7), torch.zeros(20, dtype=torch.float64), rtol=0, atol=1e-12)


def test_an_unknown_loss_is_refused() -> None:
    assert named_loss("dlr") is dlr
    with pytest.raises(ValueError, match="unknown loss 'cw': choose from ce, margin, dlr"):
        named_loss("cw")


def test_the_gradient_of_a_certain_float32_answer_does_not_fade() -> None:
    logits = torch.tensor([[300.0, 0.0, -1.0]], requires_grad=True)
    (gradient,) = torch.autograd.grad(log_odds(logits, torch.tensor([0])).sum(), logits)
    torch.testing.assert_close(gradient, torch.tensor([[-1.0, 0.7310586, 0.2689414]]))
    (faded,) = torch.autograd.grad(F.cross_entropy(logits, torch.tensor([0])), logits)
    assert faded[0, 0] == 0  # what the cross-entropy would have given


def test_fooled_means_elsewhere_or_with_a_target_there() -> None:
    logits = torch.tensor([[2.0, 1.0], [1.0, 2.0]])
    labels = torch.tensor([0, 0])
    assert fooled(logits, labels).tolist() == [False, True]
    assert fooled(logits, labels, targeted=True).tolist() == [True, False]


def test_nan_logits_never_count_as_success() -> None:
    logits = torch.tensor([[torch.nan, 1.0], [1.0, torch.nan], [torch.nan, torch.nan], [-torch.inf, torch.inf]])
    for label, targeted in ((0, False), (1, False), (0, True), (1, True)):
        assert not fooled(logits, torch.full((4,), label), targeted=targeted)[:3].any()
    assert fooled(logits, torch.zeros(4, dtype=torch.int64))[3]


@pytest.mark.parametrize("targeted", [False, True])
@pytest.mark.parametrize("spoilt", [None, math.inf, -math.inf, math.nan])
def test_the_log_odds_are_those_that_autograd_would_derive(spoilt, targeted) -> None:
    logits = 5 * torch.randn(40, 6, generator=torch.Generator().manual_seed(0))
    if spoilt is not None:
        logits[torch.rand(40, 6, generator=torch.Generator().manual_seed(1)) < 0.2] = spoilt
    labels = torch.arange(40) % 6
    ours, plain = (logits.clone().requires_grad_() for _ in range(2))
    is_label = labels[:, None] == torch.arange(6)
    others = plain.masked_fill(is_label, -torch.inf).logsumexp(dim=1)
    expected = others - torch.where(is_label, plain, 0).sum(dim=1)
    expected = -expected if targeted else expected
    found = log_odds(ours, labels, targeted=targeted)
    weights = torch.arange(40) + 0.5
    slopes = [torch.autograd.grad((weights * each).sum(), at)[0] for each, at in ((found, ours), (expected, plain))]
    assert torch.equal(found.nan_to_num(7), expected.nan_to_num(7))
    assert torch.equal(slopes[0].nan_to_num(7), slopes[1].nan_to_num(7))
