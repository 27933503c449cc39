"""A factor on all logits changes no decision, so it makes no attack weaker, and lets none stand still."""

import inspect
from functools import cache, partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from attacks import NORMS, TABLE, Classifier, fooled
from attacks.objectives import kl
from attacks.random import seeded, uniform

FACTORS = {50.0: 1.0, 1e3: 1.0, 1e6: 1.0, 1e-3: 0.01, 1e-6: 0.01}
"""Each with the factor at which float32 still has all digits, and classes have about the same weights in the log-odds.

At 1000 the label's probability rounds to 1 and that of every other class to 0; below 0.01 all have the same, so that
the log-odds ask for all other classes together, and not for the likeliest, whatever the precision."""
SHORT: dict[str, Any] = {
    "steps": 8,
    "queries": 250,
    "tile": 1,
    "kernel": 3,
    "search_steps": 9,
    "num_targets": 3,
    "population": 20,
}
"""Options that make an attack short, and fit for images of six pixels a side."""
EPS = {"linf": 0.1, "l2": 0.6, "l1": 2.0, "l0": 3.0}
SHARED = ("universal",)
"""One change for all: its cap is another matter."""


class Scaled(nn.Module):
    def __init__(self, factor: float) -> None:
        super().__init__()
        with seeded(0):
            self.body = nn.Sequential(nn.Flatten(), nn.Linear(36, 64), nn.ReLU(), nn.Linear(64, 4))
        self.factor = 5 * factor

    def forward(self, images: Tensor) -> Tensor:
        return self.factor * self.body(images)


@cache
def sure() -> tuple[Tensor, Tensor]:
    """The 32 of many images that are farthest from the boundary, and their labels."""
    images = uniform(3, torch.arange(120), (1, 6, 6))
    logits = Classifier(Scaled(1.0)).logits(images)
    top = logits.topk(2, dim=1).values
    chosen = (top[:, 1] - top[:, 0]).argsort()[:32]
    return images[chosen], logits.argmax(dim=1)[chosen]


def cases() -> list[Any]:
    return [
        pytest.param(name, norm, targeted, id=f"{name}-{norm}{'-targeted' * targeted}")
        for name, entry in TABLE.items()
        if entry.knowledge in ("gradients", "scores") and name not in SHARED
        for norm in entry.norms[:2]
        for targeted in (False, True)
        if not targeted or "targeted" in inspect.signature(entry.attack).parameters
    ]


@pytest.mark.parametrize(("name", "norm", "targeted"), cases())
def test_an_attack_is_as_strong_whatever_the_scale_of_the_logits(name, norm, targeted) -> None:
    images, labels = sure()
    known = inspect.signature(TABLE[name].attack).parameters
    options = {"norm": norm, "eps": EPS[norm], "targeted": targeted, **SHORT}
    attack = partial(TABLE[name].attack, **{key: value for key, value in options.items() if key in known})
    aims = (labels + 1) % 4 if targeted else labels
    judge, broken, moved = Classifier(Scaled(1.0)), {}, {}
    for factor in sorted({*FACTORS, *FACTORS.values()}):
        found = attack(Classifier(Scaled(factor)), images, aims)
        broken[factor] = float(fooled(judge.logits(found), aims, targeted=targeted).double().mean())
        moved[factor] = float((NORMS[norm].size(found - images) > 0).double().mean())
    for factor, usual in FACTORS.items():
        # APGD compares losses, which at 1e-6 round to one value; float64 would cost it a third more operators.
        assert broken[factor] >= broken[usual] - (0.13 if name == "apgd-ce" else 0.07), broken
        assert moved[factor] >= moved[usual] - 0.05, moved


@pytest.mark.parametrize("factor", [1e-6, 1.0, 1000.0])
def test_the_slope_of_the_divergence_is_that_of_exact_arithmetic(factor) -> None:
    clean = factor * torch.tensor([[1.0, -0.4, 0.3, -2.0]])
    logits = (clean + factor * 1e-3 * torch.tensor([[-0.7, 0.2, 0.5, 1.0]])).requires_grad_()
    (found,) = torch.autograd.grad(kl(logits, clean).sum(), logits)
    odds, before = ((each.double() - each.double().max()).exp() for each in (logits.detach(), clean))
    exact = odds / odds.sum() - before / before.sum()
    exact[:, 0] = -exact[:, 1:].sum()
    torch.testing.assert_close(found.double(), exact / exact.abs().max(), rtol=1e-2, atol=1e-6)
    assert found.abs().max() == 1
