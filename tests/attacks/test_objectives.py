import torch
from torch.nn import functional as F

from attacks import fooled, log_odds
from attacks.random import normal

LOGITS = 3 * normal(0, torch.arange(20), (6,), dtype=torch.float64)
LABELS = torch.arange(20) % 6


def test_softplus_of_the_log_odds_is_the_cross_entropy() -> None:
    entropy = F.cross_entropy(LOGITS, LABELS, reduction="none")
    torch.testing.assert_close(F.softplus(log_odds(LOGITS, LABELS)), entropy, rtol=1e-12, atol=0)


def test_a_constant_added_to_all_logits_changes_nothing() -> None:
    for constant in (-50.0, 50.0):
        torch.testing.assert_close(log_odds(LOGITS + constant, LABELS), log_odds(LOGITS, LABELS), rtol=0, atol=1e-12)
        assert torch.equal(fooled(LOGITS + constant, LABELS), fooled(LOGITS, LABELS))


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
