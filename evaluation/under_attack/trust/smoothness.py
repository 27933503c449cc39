"""Check the gradient against finite differences, and the network for steps (piecewise constant logits)."""

from typing import NamedTuple

import torch
from torch import Tensor

from attacks import Classifier
from attacks.norms import unit_max
from attacks.random import uniform
from evaluation.record.findings import Finding
from evaluation.under_attack.probes import Probes

TINY = 1e-3
"""Change of a pixel, a quarter of a grey level, within which trained networks are nearly linear: no file and no person
tells such images apart."""
LEAST = 1e-4
"""A tenth of it: the same change of a smooth network is a tenth, too, that of a staircase is nothing or a whole step.
Smaller ones drown in the rounding of float32."""
AGREEING = (0.5, 2.0)
"""Accepted range of the finite difference over the gradient's prediction. Trained networks, with and without
adversarial training, keep within 0.8 to 1.2 but for a few kinks; substituted or masked gradients do not."""
DISAGREEING = 0.25
"""Share of the images at which a gradient may be wrong. Kinks make it a few per cent; masking nearly all."""
ALIGNED = 0.5
"""Median cosine between the gradients at an image and at a TINY distance. Trained networks give 0.9 and more; where it
is below, a step that is a hundred times longer follows chance."""
MEASURABLE = 100.0
"""A difference of logits counts from so many units in the last place (rounding errors) on."""
_DIRECTION, _NOISE = 1 << 40, (1 << 40) + 1  # streams, away from those of attacks


class Slopes(NamedTuple):
    """Slopes of the objective along the sign of the gradient, over twice TINY: (n,) each."""

    promised: Tensor
    measured: Tensor
    measurable: Tensor
    """(n,) bool: the difference is well above rounding, and the gradient is not zero."""

    @property
    def belied(self) -> Tensor:
        """(n,) bool: the finite difference contradicts the gradient."""
        ratio = self.measured / torch.where(self.promised != 0, self.promised, 1)
        return self.measurable & ((ratio < AGREEING[0]) | (ratio > AGREEING[1]))


class Smoothness(NamedTuple):
    """What tiny changes of the probes showed."""

    stairs: Tensor
    """(n,) bool: see `find_stairs`."""
    slopes: Slopes | None
    """None where there is no gradient."""
    cosine: float | None
    """Median, between the gradients at an image and beside it; None where there is no gradient."""

    @property
    def wrong(self) -> Tensor:
        """(n,) bool: piecewise constant there, or the gradient contradicts the finite difference."""
        return self.stairs if self.slopes is None else self.stairs | self.slopes.belied


def measure_smoothness(probes: Probes, *, seed: int) -> Smoothness:
    """Spend five passes forwards and one backwards an image, beside the gradient at the image itself.

    Networks in half precision are spared: a TINY change is below the rounding of their input.
    """
    if not _precise(probes.classifier):
        return Smoothness(torch.zeros_like(probes.flat), None, None)
    return Smoothness(find_stairs(probes, seed=seed), measure_slopes(probes), _cosine(probes, seed))


def smoothness_findings(measured: Smoothness) -> list[Finding]:
    """Report gradients that the measured differences contradict."""
    found = [_staircase(measured.stairs), _disagreement(measured.slopes), _instability(measured.cosine)]
    return [finding for finding in found if finding is not None]


def measure_slopes(probes: Probes) -> Slopes | None:
    """Compare the gradient with a central difference; None where there is no gradient."""
    if probes.found is None:
        return None
    gradient = torch.nan_to_num(probes.found.gradient)
    move = TINY * gradient.sign()
    high, low = (probes.images + move).clamp(0, 1), (probes.images - move).clamp(0, 1)
    promised = (gradient * (high - low)).flatten(1).sum(dim=1)
    answers = [probes.classifier.logits(images) for images in (high, low)]
    measured = probes.objective(answers[0]) - probes.objective(answers[1])
    return Slopes(promised, measured, promised > MEASURABLE * _rounding(answers[0]))


def find_stairs(probes: Probes, *, seed: int) -> Tensor:
    """(n,) bool: a LEAST change of all pixels leaves the logits constant, or changes them as much as a TINY one."""
    noise = 2 * uniform(seed, probes.indices, probes.images.shape[1:], stream=_NOISE, dtype=probes.images.dtype) - 1
    before = probes.classifier.logits(probes.images)
    near, far = (
        (probes.classifier.logits((probes.images + size * noise).clamp(0, 1)) - before).abs().amax(dim=1)
        for size in (LEAST, TINY)
    )
    # A saturated network is still, too, but also far away; that is another finding.
    lively = far > MEASURABLE * _rounding(before)
    return (near == 0) | (lively & (near > 0.5 * far))


def _cosine(probes: Probes, seed: int) -> float | None:
    if probes.found is None or bool(probes.flat.all()):
        return None
    noise = 2 * uniform(seed, probes.indices, probes.images.shape[1:], stream=_DIRECTION, dtype=probes.images.dtype) - 1
    beside = probes.classifier.gradient((probes.images + TINY * noise).clamp(0, 1), probes.objective).gradient
    here, there = (unit_max(torch.nan_to_num(gradient)).flatten(1) for gradient in (probes.found.gradient, beside))
    return float(torch.cosine_similarity(here, there)[~probes.flat].median())


def _staircase(stairs: Tensor) -> Finding | None:
    if int(stairs.sum()) <= DISAGREEING * len(stairs):
        return None
    return Finding(
        "warning",
        "The output is a staircase",
        f"At {int(stairs.sum())} of {len(stairs)} images a change of every pixel by up to {LEAST} changes no logit at "
        "all, or as much as a tenfold one.",
        "Rounding or thresholding inside the network hides the gradient without making a prediction more robust. "
        "Attack without that step, or through a straight-through copy of it, and transfer the result.",
        code="staircase",
    )


def _disagreement(slopes: Slopes | None) -> Finding | None:
    if slopes is None:
        return None
    measurable, wrong = int(slopes.measurable.sum()), int(slopes.belied.sum())
    if wrong <= DISAGREEING * measurable:
        return None
    ratio = float((slopes.measured / slopes.promised)[slopes.measurable].median())
    return Finding(
        "warning",
        "The gradient is not that of the output",
        f"Along its own gradient the loss changes by less than {AGREEING[0]:g} or more than {AGREEING[1]:g} times what "
        f"the gradient promises, at {wrong} of {measurable} images (median {ratio:.2f} times, steps of {TINY}).",
        "The gradients are shattered, masked, or those of a substitute for a step without any. Attack with smoothed "
        "gradients and without gradients.",
        code="gradient-disagreement",
    )


def _instability(cosine: float | None) -> Finding | None:
    if cosine is None or cosine >= ALIGNED:
        return None
    return Finding(
        "warning",
        "Gradients are unstable",
        f"A change of every pixel by up to {TINY} turns the gradient to a median cosine of {cosine:.2f}.",
        "Its direction is noise, and so is every step along it: the gradients are shattered. Average gradients over "
        "small noise, or attack without gradients.",
        code="unstable-gradients",
    )


def _rounding(logits: Tensor) -> Tensor:
    """(n,) the last bit of the largest logit."""
    return torch.finfo(logits.dtype).eps * logits.abs().amax(dim=1).clamp(min=1e-12)


def _precise(classifier: Classifier) -> bool:
    floats = [parameter.dtype for parameter in classifier.network.parameters() if parameter.is_floating_point()]
    return all(torch.finfo(dtype).eps <= torch.finfo(torch.float32).eps for dtype in floats)
