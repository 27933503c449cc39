"""Attacks confined to images of 8 bits: on the levels, within the budget, and fooling as they are; the whole table."""

from functools import cache, partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from attacks import NORMS, TABLE, Classifier, pgd
from attacks.random import seeded, uniform
from evaluation import robustness
from evaluation.under_attack.bound_attacks import with_options
from evaluation.under_attack.trials import attack_outcome

EPS = {"linf": 3.4 / 255, "l2": 0.12, "l1": 0.5, "l0": 3.0}
"""Few levels, so that rounding matters."""
SHORT: dict[str, Any] = {
    "steps": 8,
    "queries": 120,
    "tile": 1,
    "kernel": 3,
    "search_steps": 4,
    "num_targets": 3,
    "population": 10,
    "side": 3,
}


class Steep(nn.Module):
    """Its boundaries are within a level or two of many images."""

    def __init__(self) -> None:
        super().__init__()
        with seeded(0):
            self.body = nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 4))

    def forward(self, images: Tensor) -> Tensor:
        return 5 * self.body(images)


@cache
def near() -> tuple[Tensor, Tensor]:
    """The 24 of many images of 8 bits that are nearest to a boundary, and their labels."""
    images = (uniform(3, torch.arange(200), (1, 8, 8)) * 255).round() / 255
    logits = Classifier(Steep()).logits(images)
    top = logits.topk(2, dim=1).values
    chosen = (top[:, 0] - top[:, 1]).argsort()[:24]
    return images[chosen], logits.argmax(dim=1)[chosen]


def bound_attack(name: str, norm: str | None, **more: Any) -> Any:
    options = {"norm": norm, "eps": EPS.get(norm or ""), **SHORT, **more}
    return with_options(TABLE[name].attack, **{key: value for key, value in options.items() if value})


CASES = [
    pytest.param(name, norm, id=f"{name}-{norm}") for name, entry in TABLE.items() for norm in (entry.norms or (None,))
]


@pytest.mark.parametrize(("name", "norm"), CASES)
def test_what_counts_lies_on_the_levels_within_the_budget_and_fools_as_it_is(name, norm) -> None:
    images, labels = near()
    classifier = Classifier(Steep())
    outcome = attack_outcome(classifier, images, labels, bound_attack(name, norm), eight_bit=True)
    found = outcome.adversarial
    assert torch.equal(found, (found * 255).round() / 255)
    if norm is not None:
        assert (NORMS[norm].size(found - images) <= EPS[norm] * (1 + 1e-5) + 1e-5).all()
    alone = torch.cat([classifier.logits(image[None]) for image in found]).argmax(dim=1)
    assert torch.equal(alone != labels, outcome.success)
    assert torch.equal(outcome.robust, outcome.robust_8bit)


@pytest.mark.parametrize("name", ["deepfool", "fmn", "ddn", "fab", "carlini-wagner"])
def test_an_attack_for_the_nearest_image_goes_on_to_one_that_survives_rounding(name) -> None:
    images, labels = near()
    norm = TABLE[name].norms[0]
    attack = bound_attack(name, norm, steps=30)
    unbounded = partial(attack.func, **{key: value for key, value in attack.keywords.items() if key != "eps"})
    floats, levels = (
        attack_outcome(Classifier(Steep()), images, labels, unbounded, eight_bit=asked) for asked in (False, True)
    )
    assert int(levels.success.sum()) >= int((~floats.robust_8bit).sum())
    assert levels.success.double().mean() > 0.9


def test_passes_are_those_of_the_classifier_and_rows_say_what_was_attacked() -> None:
    images, labels = near()
    classifier = Classifier(Steep())
    attacks = {"pgd": partial(pgd, eps=EPS["linf"], steps=4, keep="last")}
    scores = robustness(classifier, images, labels, attacks, eight_bit=True)
    found = {score.metric: score for score in scores if score.setting == "pgd"}
    assert found["forwards_per_image"].value == 4
    assert found["backwards_per_image"].value == 4
    assert found["robust_accuracy"].value == found["robust_accuracy_8bit"].value
    assert "8 bits" in found["robust_accuracy"].protocol
    assert found["mean_linf"].value <= 3 / 255 + 1e-6


def test_images_between_the_levels_are_refused() -> None:
    images, labels = near()
    with pytest.raises(ValueError, match="eight_bit needs images of 8 bits"):
        robustness(Classifier(Steep()), images * 0.9, labels, {"pgd": partial(pgd, eps=0.1)}, eight_bit=True)
