"""Every attack by name, with the facts that choose where it applies: its norms, its knowledge and its aim."""

from collections.abc import Callable
from functools import partial
from typing import Literal, NamedTuple

from torch import Tensor

from attacks.black_box.bandits import bandits
from attacks.black_box.boundary import boundary
from attacks.black_box.hopskipjump import hopskipjump
from attacks.black_box.nes import nes
from attacks.black_box.one_pixel import one_pixel
from attacks.black_box.salt_and_pepper import salt_and_pepper
from attacks.black_box.signopt import signopt
from attacks.black_box.simba import simba
from attacks.black_box.spsa import spsa
from attacks.black_box.square import square
from attacks.corruptions.corruption import CORRUPTIONS, corruption
from attacks.gradient.apgd import apgd_ce, apgd_dlr, apgd_t
from attacks.gradient.pgd import bim, fgsm, kl_pgd, mifgsm, pgd
from attacks.gradient.transfer import TRANSFER_NORMS, combined, difgsm, nifgsm, sifgsm, tifgsm, vmifgsm
from attacks.minimal.carlini_wagner import carlini_wagner
from attacks.minimal.ddn import ddn
from attacks.minimal.deepfool import deepfool
from attacks.minimal.ead import ead
from attacks.minimal.fab import fab, fab_t
from attacks.minimal.fmn import fmn
from attacks.minimal.jsma import jsma
from attacks.minimal.sigma_zero import sigma_zero
from attacks.minimal.sparsefool import sparsefool
from attacks.noise import gaussian_noise, uniform_noise
from attacks.unbounded.patch import patch
from attacks.unbounded.spatial import spatial
from attacks.unbounded.universal import universal

Knowledge = Literal["none", "gradients", "scores", "decisions"]
"""What an attack reads from the classifier: gradients, logits ("scores"), predicted classes alone ("decisions"), or
nothing ("none": noise and corruptions)."""
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
    per_sample: bool = True
    """Whether a sample's result is independent of the other samples of the call."""
    direct: bool = True
    """Whether it climbs the label's own loss on the very network attacked, so that what it leaves speaks for that
    network's gradient; not where its images are made for other networks, or climb another loss."""


_LENGTHS = ("linf", "l2", "l1")
_ALL = (*_LENGTHS, "l0")

TABLE: dict[str, Entry] = {
    # Controls
    "uniform": Entry(uniform_noise, _ALL, "none"),
    "gaussian": Entry(gaussian_noise, _ALL, "none"),
    # Gradient, fixed budget
    "fgsm": Entry(fgsm, _ALL, "gradients"),
    "bim": Entry(bim, _ALL, "gradients"),
    "mifgsm": Entry(mifgsm, _ALL, "gradients", direct=False),
    "pgd": Entry(pgd, _ALL, "gradients"),
    "pgd-kl": Entry(kl_pgd, _ALL, "gradients", direct=False),
    # Transfer
    "nifgsm": Entry(nifgsm, TRANSFER_NORMS, "gradients", direct=False),
    "difgsm": Entry(difgsm, TRANSFER_NORMS, "gradients", direct=False),
    "tifgsm": Entry(tifgsm, TRANSFER_NORMS, "gradients", direct=False),
    "sifgsm": Entry(sifgsm, TRANSFER_NORMS, "gradients", direct=False),
    "vmifgsm": Entry(vmifgsm, TRANSFER_NORMS, "gradients", direct=False),
    "si-ni-di-ti-fgsm": Entry(combined, TRANSFER_NORMS, "gradients", direct=False),
    # AutoAttack
    "apgd-ce": Entry(apgd_ce, _LENGTHS, "gradients"),
    "apgd-dlr": Entry(apgd_dlr, _LENGTHS, "gradients"),
    "apgd-t": Entry(apgd_t, _LENGTHS, "gradients"),
    "fab": Entry(fab, _LENGTHS, "gradients", "minimal"),
    "fab-t": Entry(fab_t, _LENGTHS, "gradients", "minimal"),
    # Minimal perturbation
    "deepfool": Entry(deepfool, ("l2", "linf"), "gradients", "minimal"),
    "sparsefool": Entry(sparsefool, ("l1",), "gradients", "minimal"),
    "ddn": Entry(ddn, ("l2",), "gradients", "minimal"),
    "fmn": Entry(fmn, ("linf", "l2", "l1", "l0"), "gradients", "minimal"),
    "carlini-wagner": Entry(carlini_wagner, ("l2", "linf"), "gradients", "minimal"),
    "ead": Entry(ead, ("l1",), "gradients", "minimal"),
    "jsma": Entry(jsma, ("l0",), "gradients", "minimal"),
    "sigma-zero": Entry(sigma_zero, ("l0",), "gradients", "minimal"),
    # Black box
    "square": Entry(square, _LENGTHS, "scores"),
    "spsa": Entry(spsa, ("linf", "l2"), "scores"),
    "nes": Entry(nes, _LENGTHS, "scores"),
    "bandits": Entry(bandits, ("linf", "l2"), "scores"),
    "simba": Entry(simba, ("l2", "linf"), "scores"),
    "one-pixel": Entry(one_pixel, ("l0",), "scores"),
    "hopskipjump": Entry(hopskipjump, ("l2", "linf"), "decisions", "minimal"),
    "boundary": Entry(boundary, ("l2",), "decisions", "minimal"),
    "signopt": Entry(signopt, ("l2",), "decisions", "minimal"),
    # Other threat models
    "universal": Entry(universal, ("linf", "l2"), "gradients", per_sample=False),
    "patch": Entry(patch, (), "gradients", "free"),
    "spatial": Entry(spatial, (), "scores", "free"),
    "salt-and-pepper": Entry(salt_and_pepper, (), "decisions", "free"),
    **{kind: Entry(partial(corruption, kind=kind), (), "none", "free") for kind in CORRUPTIONS},
}

ATTACKS: dict[str, Callable[..., Tensor]] = {name: entry.attack for name, entry in TABLE.items()}
"""Every attack by name, with its options unbound; `TABLE` says which norms each takes."""


def entry_of(attack: object) -> Entry | None:
    """Find the entry of an attack, with or without options bound to it; None for an attack that is not of the table.

    Names that are one function with other options (the transfer attacks, the corruptions) give the first entry of it.
    """
    function = _unbound(attack)
    return next((entry for entry in TABLE.values() if _unbound(entry.attack) is function), None)


def _unbound(attack: object) -> object:
    return attack.func if isinstance(attack, partial) else attack
