"""A success that is reported is one in a second look too: each image alone, and all in another order; the whole table.

And samples whose answers are no numbers, or logits far from 0, take nothing from the others.
"""

from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from attacks import TABLE, Classifier
from attacks.random import permutation, seeded, uniform
from evaluation.under_attack.bound_attacks import with_options
from evaluation.under_attack.trials import attack_outcome

EPS = {"linf": 0.06, "l2": 0.4, "l1": 1.5, "l0": 3.0}
SHORT: dict[str, Any] = {
    "steps": 10,
    "queries": 100,
    "tile": 1,
    "kernel": 3,
    "search_steps": 4,
    "num_targets": 3,
    "population": 10,
    "side": 3,
}
COUNT = 40
COARSE = ("pgd-kl", "deepfool")
"""At logits of 1e4, of which float32 keeps three decimals, the noise that the first starts at and the 2 % by which the
second oversteps a boundary round away."""


class Convolutions(nn.Module):
    """They round otherwise in batches of another size. Where told to, answers to dark corners are NaN or infinite."""

    def __init__(self, *, offset: float = 0.0, bad: float | None = None) -> None:
        super().__init__()
        with seeded(0):
            self.body = nn.Sequential(
                nn.Conv2d(1, 16, 3, padding=1),
                nn.ReLU(),
                nn.Conv2d(16, 16, 3, stride=2),
                nn.ReLU(),
                nn.Flatten(),
                nn.Linear(144, 5),
            )
        self.offset, self.bad = offset, bad

    def forward(self, images: Tensor) -> Tensor:
        logits = 4 * self.body(images) + self.offset
        if self.bad is None:
            return logits
        return torch.where(images.amax(dim=(1, 2, 3), keepdim=True)[:, :, 0, 0] < 0.05, self.bad, logits)


@cache
def data() -> tuple[Tensor, Tensor]:
    images = uniform(5, torch.arange(COUNT), (1, 8, 8))
    return images, Classifier(Convolutions()).logits(images).argmax(dim=1)


def bound_attack(name: str, norm: str | None, *, nearest: bool = False) -> Any:
    options = {"norm": norm, "eps": None if nearest else EPS.get(norm or ""), **SHORT}
    return with_options(TABLE[name].attack, **{key: value for key, value in options.items() if value})


CASES = [
    pytest.param(name, norm, nearest, id=f"{name}-{norm}{'-nearest' * nearest}")
    for name, entry in TABLE.items()
    for norm in (entry.norms or (None,))
    for nearest in ((False, True) if entry.aim == "minimal" else (False,))
]


@pytest.mark.parametrize(("name", "norm", "nearest"), CASES)
def test_a_success_holds_alone_and_in_another_order(name, norm, nearest) -> None:
    images, labels = data()
    classifier = Classifier(Convolutions())
    outcome = attack_outcome(classifier, images, labels, bound_attack(name, norm, nearest=nearest))
    found = outcome.adversarial
    assert found.dtype == torch.float32
    order = permutation(1, COUNT)
    alone = torch.cat([classifier.logits(image[None]) for image in found]).argmax(dim=1)
    turned = torch.cat([classifier.logits(part) for part in found[order].split(7)]).argmax(dim=1)
    assert torch.equal(alone != labels, outcome.success)
    assert torch.equal(turned != labels[order], outcome.success[order])


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow) if name == "sparsefool" else name
        for name, entry in TABLE.items()
        if entry.per_sample and entry.norms
    ],
)
@pytest.mark.parametrize("bad", [float("nan"), pytest.param(float("inf"), marks=pytest.mark.slow)])
def test_answers_that_are_no_numbers_take_nothing_from_the_others(name, bad) -> None:
    images, labels = data()
    attack = bound_attack(name, TABLE[name].norms[0])
    expected = attack(Classifier(Convolutions()), images[:8], labels[:8])
    spoilt = torch.cat([images[:8], torch.zeros_like(images[:3])])
    found = attack(Classifier(Convolutions(bad=bad)), spoilt, torch.cat([labels[:8], torch.tensor([0, 1, 2])]))
    assert ((found >= 0) & (found <= 1)).all()
    near = torch.isclose(found[:8], expected, rtol=0, atol=1e-4)  # a sign may turn by rounding in another batch
    assert near.double().mean() > 0.99


@pytest.mark.parametrize(
    ("name", "norm", "nearest"),
    [case for case in CASES if TABLE[case.values[0]].norms and not case.values[2] and case.values[0] not in COARSE],
)
def test_a_number_added_to_all_logits_makes_no_attack_much_weaker(name, norm, nearest) -> None:
    images, labels = data()
    attack = bound_attack(name, norm, nearest=nearest)
    broken = []
    for offset in (0.0, 1e4):
        classifier = Classifier(Convolutions(offset=offset))
        found = attack(classifier, images, labels)
        broken.append(float((classifier.logits(found).argmax(dim=1) != labels).double().mean()))
    assert broken[1] >= broken[0] - 0.1, broken  # float32 keeps three decimals of such logits
