"""Adversarial attacks on image classifiers. The leaf of the project: it imports nothing else of ours."""

from typing import Protocol

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
from attacks.classifier import Classifier, Gradient, Passes, Tally
from attacks.corruptions.corruption import corruption
from attacks.gradient.apgd import apgd_ce, apgd_dlr, apgd_t
from attacks.gradient.pgd import bim, fgsm, kl_pgd, mifgsm, pgd
from attacks.gradient.transfer import combined, difgsm, nifgsm, sifgsm, tifgsm, vmifgsm
from attacks.kept import Keep
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
from attacks.norms import L0, L1, L2, LINF, NORMS, Norm, named_norm
from attacks.objectives import fooled, log_odds
from attacks.samples import check_images
from attacks.table import ATTACKS, TABLE, Entry
from attacks.unbounded.patch import patch
from attacks.unbounded.spatial import spatial
from attacks.unbounded.universal import universal


class Attack(Protocol):
    """Map images in [0, 1], (N, C, H, W), and labels (N,) to adversarial images of the same shape, dtype and device.

    The labels are the classes to leave, or with an attack's option `targeted` the classes to reach. `indices` (N,) are
    the samples' numbers in the whole data set, on which randomness depends. All other options are keyword-only, and
    bound before: `partial(pgd, eps=8 / 255)` is an Attack. Every result lies in the ball and in [0, 1].
    """

    def __call__(
        self, classifier: Classifier, images: Tensor, labels: Tensor, *, indices: Tensor | None = None
    ) -> Tensor: ...


__all__ = [
    "ATTACKS",
    "L0",
    "L1",
    "L2",
    "LINF",
    "NORMS",
    "TABLE",
    "Attack",
    "Classifier",
    "Entry",
    "Gradient",
    "Keep",
    "Norm",
    "Passes",
    "Tally",
    "apgd_ce",
    "apgd_dlr",
    "apgd_t",
    "bandits",
    "bim",
    "boundary",
    "carlini_wagner",
    "check_images",
    "combined",
    "corruption",
    "ddn",
    "deepfool",
    "difgsm",
    "ead",
    "fab",
    "fab_t",
    "fgsm",
    "fmn",
    "fooled",
    "gaussian_noise",
    "hopskipjump",
    "jsma",
    "kl_pgd",
    "log_odds",
    "mifgsm",
    "named_norm",
    "nes",
    "nifgsm",
    "one_pixel",
    "patch",
    "pgd",
    "salt_and_pepper",
    "sifgsm",
    "sigma_zero",
    "signopt",
    "simba",
    "sparsefool",
    "spatial",
    "spsa",
    "square",
    "tifgsm",
    "uniform_noise",
    "universal",
    "vmifgsm",
]
