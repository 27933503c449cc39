"""A class that can never win makes no attack weaker: neither one, nor several, nor such as are masked by -inf."""

import inspect
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from attacks import NORMS, TABLE, Classifier, fooled
from attacks.objectives import contenders, dlr, dlr_targeted, rivals
from attacks.random import normal, seeded, uniform

SHORT: dict[str, Any] = {"steps": 12, "queries": 40, "tile": 1, "kernel": 3, "search_steps": 3, "population": 10}
EPS = {"linf": 0.1, "l2": 0.5, "l1": 2.0, "l0": 3.0}
HOPELESS = ((-1e4,), (-30.0, -2e4, -5e4), (-torch.inf, -torch.inf))
CASES = [
    pytest.param(name, norm, targeted, id=f"{name}-{norm}{'-targeted' * targeted}")
    for name, entry in TABLE.items()
    if entry.knowledge in ("gradients", "scores") and entry.per_sample
    for norm in (*entry.norms[:2], *entry.norms[3:])
    for targeted in (False, True)
    if not targeted or "targeted" in inspect.signature(entry.attack).parameters
]


class Wider(nn.Module):
    """Six classes, and behind them some whose logits follow the image as others do, but far below."""

    def __init__(self, *below: float) -> None:
        super().__init__()
        with seeded(0):
            self.body = nn.Sequential(nn.Flatten(), nn.Linear(16, 32), nn.Tanh(), nn.Linear(32, 6)).double()
        self.below = below

    def forward(self, images: Tensor) -> Tensor:
        logits = 5 * self.body(images)
        others = [0.3 * logits[:, place % 6] + below for place, below in enumerate(self.below)]
        return torch.cat([logits, *(each[:, None] for each in others)], dim=1)


def attacked(name: str, norm: str, targeted: bool, below: tuple[float, ...]) -> tuple[Tensor, Tensor]:
    """What fooled, and by how much."""
    images = uniform(3, torch.arange(12), (1, 4, 4), dtype=torch.float64)
    judge = Classifier(Wider())
    labels = judge.logits(images).argmax(dim=1)
    known, entry = inspect.signature(TABLE[name].attack).parameters, TABLE[name]
    options = {"norm": norm, "targeted": targeted, **SHORT, **({"eps": EPS[norm]} if entry.aim == "budget" else {})}
    attack = partial(entry.attack, **{key: value for key, value in options.items() if key in known})
    aims = (labels + 1) % 6 if targeted else labels
    found = attack(Classifier(Wider(*below)), images, aims)
    return fooled(judge.logits(found), aims, targeted=targeted), NORMS[norm].size(found - images)


@pytest.mark.parametrize(("name", "norm", "targeted"), CASES)
def test_a_class_that_cannot_win_changes_nothing(name, norm, targeted, monkeypatch) -> None:
    monkeypatch.setattr("attacks.minimal.sparsefool._INNER_STEPS", 5)
    expected, sizes = attacked(name, norm, targeted, ())
    for below in HOPELESS:
        success, found = attacked(name, norm, targeted, below)
        assert torch.equal(success, expected), below
        torch.testing.assert_close(found, sizes, rtol=1e-5, atol=1e-9)


def test_contenders_are_all_classes_but_those_below_a_wide_gap() -> None:
    cases = [
        ([4.0, 3.0, 1.0, -2.0, -10.0], [True] * 5),
        ([4.0, 3.0, 1.0, -2.0, -1e4], [True] * 4 + [False]),
        ([-1e4, 3.0, 4.0, -3e4, 1.0], [False, True, True, False, True]),
        ([4.0, 4.0, -1e4, -1e4, -2e4], [True] * 5),
        ([1.0, 1.0, 1.0, 1.0, 1.0], [True] * 5),
        ([4.0, 3.0, 1.0, -torch.inf, -torch.inf], [True] * 3 + [False] * 2),
    ]
    for logits, expected in cases:
        assert contenders(torch.tensor([logits])).tolist() == [expected], logits
    ordinary = 3 * normal(0, torch.arange(200), (10,))
    assert contenders(ordinary).all(dim=1).double().mean() > 0.95
    for few in (2, 3):
        assert contenders(ordinary[:, :few]).all()


def test_masked_classes_are_no_rivals_before_the_label_and_leave_dlr_a_gradient() -> None:
    logits = torch.tensor([[3.0, -torch.inf, 1.0, -torch.inf]])
    assert rivals(logits, torch.tensor([0]), 3)[0, 0] == 2
    assert 0 not in rivals(logits, torch.tensor([0]), 3)
    label, target = torch.tensor([0]), torch.tensor([2])
    for loss in (partial(dlr, labels=label), partial(dlr_targeted, labels=label, targets=target)):
        leaf = logits.clone().requires_grad_()
        (slope,) = torch.autograd.grad(loss(leaf).sum(), leaf)
        assert (slope / slope.abs().max()).tolist() == [[-1, 0, 1, 0]]
