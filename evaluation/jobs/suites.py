"""Attacks by name, bound to a budget: what `--attack fgsm,pgd --eps 0.1,0.2` means."""

import inspect
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, field_validator, model_validator

from advgan.config import Budget, Positive, Section
from advgan.config.mistakes import alike
from evaluation.under_attack.budgets import CONVENTIONAL_EPS

if TYPE_CHECKING:
    from torch import Tensor

    from attacks import Entry
    from evaluation.under_attack.trials import Trial

FOOLBOX = "foolbox:"
NOT_OPTIONS = {"classifier", "images", "labels", "eps", "norm", "indices", "batch_size", "compact", "kind"}
"""Parameters of an attack that are not for `options`: they come from elsewhere."""


class AttackOptions(Section):
    """Attacks by name and the options that they share; each takes those that it has."""

    attacks: tuple[str, ...] = Field(default=("uniform", "fgsm", "pgd"), min_length=1)
    norm: Literal["linf", "l2", "l1", "l0"] = "linf"
    eps: tuple[Budget, ...] | None = Field(default=None, min_length=1)
    """None: the conventional budget for this norm and number of channels."""
    steps: int | None = Field(default=None, ge=1)
    """Here and below None is each attack's own default."""
    step_size: Positive | None = None
    restarts: int | None = Field(default=None, ge=1)
    queries: int | None = Field(default=None, ge=1)
    """Forward passes that an attack without gradients may spend on an image."""
    targeted: bool = False
    cascade: bool = False
    """Give each attack only what those before it left."""
    options: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """More options of single attacks, by the attack's name: `options: {pgd: {loss: margin}}`."""
    seed: int = Field(default=0, ge=0)

    def idle(self) -> dict[str, str]:
        entries = [attack_entry(name) for name in self.attacks]
        taken = {parameter for entry in entries for parameter in _parameters(entry.attack)}
        none = f"{self.attacks[0]} is not" if len(self.attacks) == 1 else f"none of {', '.join(self.attacks)} is"
        optional = ("steps", "step_size", "restarts", "queries", "targeted")
        found = {key: f"{none} an attack with this option; leave it out" for key in optional if key not in taken}
        if not any(entry.norms for entry in entries):
            found |= dict.fromkeys(("norm", "eps"), f"{none} bounded by a norm; leave it out")
        if len(self.attacks) == 1:
            found["cascade"] = f"{self.attacks[0]} is the only attack; name several, or leave it out"
        return found

    @field_validator("attacks")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            attack_entry(name)
        if len(set(names)) < len(names):
            raise ValueError(f"{','.join(names)} names an attack twice")
        return names

    @model_validator(mode="after")
    def _fits(self) -> "AttackOptions":
        for name in self.attacks:
            entry = attack_entry(name)
            if entry.norms and self.norm not in entry.norms:
                raise ValueError(f"--attack {name}: has no {self.norm}; give --norm {' or '.join(entry.norms)}")
            if self.targeted and entry.knowledge != "none" and "targeted" not in _parameters(entry.attack):
                raise ValueError(f"--attack {name}: has no targeted form; leave out --targeted or the attack")
            if self.cascade and not entry.norms:
                raise ValueError(f"--attack {name}: is not bounded by a norm, so it has no place in a cascade")
        for name, options in self.options.items():
            if name not in self.attacks:
                raise ValueError(f"options.{name}: this attack is not among the attacks ({', '.join(self.attacks)})")
            known = sorted(_parameters(attack_entry(name).attack) - NOT_OPTIONS)
            for option in options:
                if option not in known:
                    raise ValueError(f"options.{name}.{option}: no such option; {name} has {', '.join(known)}")
        return self

    def budgets(self, channels: int) -> tuple[float, ...]:
        """The budgets in force for images of so many channels, ascending."""
        return tuple(sorted(set(self.eps))) if self.eps else (CONVENTIONAL_EPS[self.norm, channels],)

    def trials(self, channels: int) -> "list[Trial]":
        """The attacks in order, bound, each with its budgets."""
        from evaluation.under_attack.trials import Trial

        budgets = self.budgets(channels)
        return [Trial(name, bind(name, self), budgets if attack_entry(name).norms else None) for name in self.attacks]

    def settings(self, channels: int) -> dict[str, list[str]]:
        """The names under which each attack's scores stand."""
        return {
            name: [setting_name(name, self.norm, eps) for eps in self.budgets(channels)]
            if attack_entry(name).norms
            else [name]
            for name in self.attacks
        }


def attack_entry(name: str) -> "Entry":
    """The facts about an attack; ValueError, with the nearest name, for one that there is not."""
    if name.startswith(FOOLBOX):
        from attacks.foolbox import foolbox_entry

        return foolbox_entry(name.removeprefix(FOOLBOX))
    from attacks.table import TABLE

    if name not in TABLE:
        meant = alike(name, TABLE)
        hint = f"did you mean {meant}?" if meant else "advgan ls attacks names them"
        raise ValueError(f"no attack {name!r} ({hint})")
    return TABLE[name]


def bind(name: str, options: AttackOptions) -> "partial[Tensor]":
    """The attack of that name with all its options but `eps` filled in."""
    entry = attack_entry(name)
    shared = {key: getattr(options, key) for key in ("norm", "seed", "targeted", "steps", "restarts", "queries")}
    given = {**shared, "step_size": options.step_size, **options.options.get(name, {})}
    known = _parameters(entry.attack)
    return partial(entry.attack, **{key: value for key, value in given.items() if key in known and value is not None})


def setting_name(name: str, norm: str, eps: float) -> str:
    """How scores and file names call an attack with its budget, such as `pgd-linf-0.3`."""
    return f"{name}-{norm}-{format_eps(eps)}"


def in_file_names(setting: str) -> str:
    """A setting as names of files spell it, where `/` and `:` mean something else."""
    return setting.replace("/", "of").replace(":", "-")


def format_eps(eps: float) -> str:
    """`8/255` where the budget is a whole number of grey levels, else a short decimal number."""
    levels = round(eps * 255)
    return f"{levels}/255" if levels and abs(eps * 255 - levels) < 1e-6 and eps < 0.2 else f"{eps:g}"


def _parameters(attack: Callable[..., "Tensor"]) -> set[str]:
    return set(inspect.signature(attack).parameters)
