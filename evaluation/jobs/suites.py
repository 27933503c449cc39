"""Attacks by name, bound to a budget: what `--attack fgsm,pgd --eps 0.1,0.2` means."""

import difflib
from functools import partial
from typing import Literal

from pydantic import Field, field_validator
from torch import Tensor

from advgan.config import Budget, Positive, Section
from attacks import ATTACKS

CONTROLS = {"uniform", "gaussian"}  # blind noise: no target, no gradient
ITERATED = {"bim", "mifgsm", "pgd"}
SEEDED = {"uniform", "gaussian", "pgd"}
CONVENTIONAL_EPS = {
    ("linf", 1): 0.3,
    ("linf", 3): 8 / 255,
    ("l2", 1): 2.0,
    ("l2", 3): 0.5,
    ("l1", 1): 10.0,
    ("l1", 3): 12.0,
}
"""The budgets that the field quotes: MNIST for grey images, CIFAR-10 for colour."""


class AttackOptions(Section):
    """Attacks by name and the options that they share; each takes those that it has."""

    attacks: tuple[str, ...] = Field(default=("uniform", "fgsm", "pgd"), min_length=1)
    norm: Literal["linf", "l2", "l1"] = "linf"
    eps: tuple[Budget, ...] | None = Field(default=None, min_length=1)
    """None: the budget that the field quotes for this norm and number of channels."""
    steps: int = Field(default=40, ge=1)
    step_size: Positive | None = None
    restarts: int = Field(default=1, ge=1)
    targeted: bool = False
    seed: int = Field(default=0, ge=0)

    @field_validator("attacks")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if name not in ATTACKS:
                near = difflib.get_close_matches(name, ATTACKS, n=1)
                hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(ATTACKS)}"
                raise ValueError(f"--attack {name}: no such attack ({hint})")
        return names

    def budgets(self, channels: int) -> tuple[float, ...]:
        """The budgets in force for images of so many channels, ascending."""
        return tuple(sorted(set(self.eps))) if self.eps else (CONVENTIONAL_EPS[self.norm, channels],)


def bind(name: str, options: AttackOptions) -> "partial[Tensor]":
    """The attack of that name with all its options but `eps` filled in."""
    attack = partial(ATTACKS[name], norm=options.norm)
    if name in SEEDED:
        attack = partial(attack, seed=options.seed)
    if name not in CONTROLS:
        attack = partial(attack, targeted=options.targeted)
    if name in ITERATED:
        attack = partial(attack, steps=options.steps, step_size=options.step_size)
    if name == "pgd":
        attack = partial(attack, restarts=options.restarts)
    return attack


def setting_name(name: str, norm: str, eps: float) -> str:
    """How scores and file names call an attack with its budget, such as `pgd-linf-0.3`."""
    return f"{name}-{norm}-{format_eps(eps)}"


def format_eps(eps: float) -> str:
    """`8/255` where the budget is a whole number of grey levels, else a short decimal number."""
    levels = round(eps * 255)
    return f"{levels}/255" if levels and abs(eps * 255 - levels) < 1e-6 and eps < 0.2 else f"{eps:g}"
