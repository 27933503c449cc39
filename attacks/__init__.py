"""Adversarial attacks on image classifiers. The leaf of the project: it imports nothing else of ours."""

from typing import Protocol

from torch import Tensor

from attacks.classifier import Classifier, Gradient, Passes, Tally
from attacks.gradient.pgd import bim, fgsm, mifgsm, pgd
from attacks.kept import Keep
from attacks.noise import gaussian_noise, uniform_noise
from attacks.norms import L0, L1, L2, LINF, NORMS, Norm, named_norm
from attacks.objectives import fooled, log_odds
from attacks.samples import check_images
from attacks.table import ATTACKS, TABLE, Entry


class Attack(Protocol):
    """Images in [0, 1], (N, C, H, W), and labels (N,) to adversarial images of the same shape, dtype and device.

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
    "bim",
    "check_images",
    "fgsm",
    "fooled",
    "gaussian_noise",
    "log_odds",
    "mifgsm",
    "named_norm",
    "pgd",
    "uniform_noise",
]
