"""Modes: which classes a generator draws, and how often, as a classifier sees them."""

from dataclasses import dataclass

from torch import Tensor

from attacks.random import permutation
from evaluation.features.features import Features
from evaluation.statistics.histograms import Divergence, forward_estimate, reverse_estimate, variation_estimate
from evaluation.statistics.intervals import UNKNOWN, Estimate, rate
from evaluation.statistics.occupancy import covered_interval

HIGH_QUALITY = 0.9
"""The least probability of an image of high quality, by a classifier that asks for none itself."""


@dataclass(frozen=True)
class Modes:
    """Histograms over the classes; real and fake images are sorted by the same classifier, so its errors cancel."""

    real_counts: Tensor
    """(C,) int64."""
    fake_counts: Tensor
    """(C,) int64: images assigned to the class with at least the wanted confidence."""
    hit: Tensor
    """(C,) bool: at least the wanted number of such images."""

    @property
    def covered(self) -> int:
        """Number of classes hit, among those that real images fall into."""
        return int((self.hit & (self.real_counts > 0)).sum())

    @property
    def wanted(self) -> int:
        """Number of classes that real images fall into."""
        return int((self.real_counts > 0).sum())

    @property
    def missed(self) -> list[int]:
        """The classes that real images fall into and fakes do not."""
        return (~self.hit & (self.real_counts > 0)).nonzero().flatten().tolist()


def modes(real: Features, fake: Features, *, least: int = 1, confidence: float | None = None) -> Modes:
    """Sort images into classes. A class is hit by `least` fakes, each assigned to it with at least that `confidence`.

    By default the confidence is the extractor's: for digits any, and one fake is the field's rule (Metz et al., 2017).
    It takes one misclassified image for a mode, which a higher `least` or `confidence` prevents.
    """
    num_classes = real.probabilities.shape[1]
    sure = fake.sure if confidence is None else fake.probabilities.amax(dim=1) >= confidence
    real_counts = real.classes[real.sure].bincount(minlength=num_classes).cpu()
    fake_counts = fake.classes[sure].bincount(minlength=num_classes).cpu()
    return Modes(real_counts, fake_counts, fake_counts >= least)


def covered_estimate(found: Modes) -> Estimate:
    """Number of classes that one fake at least falls into, with an interval about its expectation for so many fakes."""
    counts = found.fake_counts[found.real_counts > 0]
    return Estimate(float((counts > 0).sum()), *(covered_interval(counts) if counts.sum() else UNKNOWN))


def reverse_mode_divergence(found: Modes, *, seed: int = 0) -> Divergence:
    """KL(fake || real): what fakes have too much of."""
    return reverse_estimate(found.real_counts, found.fake_counts, seed=seed)


def forward_mode_divergence(found: Modes, *, seed: int = 0) -> Divergence:
    """KL(real || fake): what fakes have too little of; smoothed, so finite with a missing class."""
    return forward_estimate(found.real_counts, found.fake_counts, seed=seed)


def mode_variation(found: Modes, *, seed: int = 0) -> Divergence:
    """Total variation: the share of images that would have to change class."""
    return variation_estimate(found.real_counts, found.fake_counts, seed=seed)


def high_quality_share(seen: Features, *, confidence: float = HIGH_QUALITY) -> Estimate:
    """Share of images that the classifier assigns to a class with that probability at least; Wilson interval."""
    if not 0 <= confidence <= 1:
        raise ValueError(f"confidence must be in [0, 1], not {confidence:g}: it is a probability")
    return rate(seen.probabilities.amax(dim=1) >= confidence)


def label_agreement(fake: Features, labels: Tensor) -> Estimate:
    """Share of fakes that the classifier assigns to the class they were drawn for: (M,) labels."""
    if labels.shape != (len(fake),):
        raise ValueError(f"{len(fake)} images need as many labels; got {tuple(labels.shape)}")
    return rate((fake.classes == labels.to(fake.classes.device)) & fake.sure)


def shuffled_agreement(fake: Features, labels: Tensor, *, seed: int = 0) -> Estimate:
    """The agreement with the same labels in another order: what images that ignore their label would reach."""
    return label_agreement(fake, labels[permutation(seed, len(labels)).to(labels.device)])
