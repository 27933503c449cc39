"""Every attack by name, with the facts that choose where it applies: its norms, its knowledge and its aim."""

from collections.abc import Callable
from typing import Literal, NamedTuple

from torch import Tensor

from attacks.boundary import boundary
from attacks.gradient import bim, fgsm, mifgsm, pgd
from attacks.hopskipjump import hopskipjump
from attacks.noise import gaussian_noise, uniform_noise
from attacks.signopt import signopt

Knowledge = Literal["none", "gradients", "scores", "decisions"]
"""What an attack asks of the classifier; "none" is a control, "scores" are logits, "decisions" their argmax alone."""
Aim = Literal["budget", "minimal", "free"]
"""`budget`: the strongest image within eps. `minimal`: the nearest image that fools; with eps, any within it.
`free`: another threat model than a ball, whose options say how large a change may be."""


class Entry(NamedTuple):
    """One attack of the table."""

    attack: Callable[..., Tensor]
    norms: tuple[str, ...]
    """Those that it takes, its default first; empty for an attack that is not bounded by a norm."""
    knowledge: Knowledge
    aim: Aim = "budget"


_ALL = ("linf", "l2", "l1")

TABLE: dict[str, Entry] = {
    # Controls
    "uniform": Entry(uniform_noise, _ALL, "none"),
    "gaussian": Entry(gaussian_noise, _ALL, "none"),
    # Gradient, fixed budget
    "fgsm": Entry(fgsm, _ALL, "gradients"),
    "bim": Entry(bim, _ALL, "gradients"),
    "mifgsm": Entry(mifgsm, _ALL, "gradients"),
    "pgd": Entry(pgd, _ALL, "gradients"),
    # Transfer
    # AutoAttack
    # Minimal perturbation
    # Black box
    "hopskipjump": Entry(hopskipjump, ("l2", "linf"), "decisions", "minimal"),
    "boundary": Entry(boundary, ("l2",), "decisions", "minimal"),
    "signopt": Entry(signopt, ("l2",), "decisions", "minimal"),
    # Other threat models
}

ATTACKS: dict[str, Callable[..., Tensor]] = {name: entry.attack for name, entry in TABLE.items()}
"""Every attack by name, with its options unbound; `TABLE` says which norms each takes."""
