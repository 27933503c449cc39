"""Training and attacking the classifiers that measure the use of generated images."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch

from advgan.classifier.mixing import steps_per_epoch
from advgan.classifier.training import start, train
from advgan.config import ClassifierTraining, DefenseConfig, NetworkConfig
from advgan.data import ImageSet
from attacks import Classifier, pgd
from evaluation.statistics.intervals import Estimate, rate
from evaluation.under_attack.outcomes import clean_outcome
from evaluation.under_attack.trials import attack_outcome

DEFENSE_STEPS, ATTACK_STEPS = 5, 20
MOST_ATTACKED = 1000
"""Images that are attacked, at most."""

Progress = Callable[[str, int, int], None]
"""Told what is being done, and how many of how many steps of it are."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """One way to learn from any images; all that it gives is a function of it and of the images."""

    network: NetworkConfig
    steps: int
    """Batches, rounded up to whole passes over the images."""
    eps: float
    """Linf budget of adversarial training, and of the attack after it."""
    origin: str = "as given"
    """Where that budget comes from, in words."""
    seed: int = 0
    device: torch.device | str = "cpu"
    progress: Progress | None = None

    def training(self, num_images: int, *, robust: bool) -> ClassifierTraining:
        """The settings for so many images."""
        batch_size = min(ClassifierTraining().batch_size, num_images)
        return ClassifierTraining(
            epochs=max(1, math.ceil(self.steps / (num_images // batch_size))),
            batch_size=batch_size,
            defense=DefenseConfig(name="pgd", eps=self.eps, steps=DEFENSE_STEPS) if robust else DefenseConfig(),
            seed=self.seed,
        )

    def fit(self, data: ImageSet, name: str, *, robust: bool) -> Classifier:
        """Train a classifier; its last weights count, none are chosen by their score."""
        training = self.training(len(data), robust=robust)
        state = start(self.network, training, data, device=self.device)
        total = training.epochs * steps_per_epoch(training, len(data))
        for step in train(state, data, training):
            self._tell(name, step.step, total)
        return state.classifier(name)

    def accuracy(self, classifier: Classifier, data: ImageSet) -> Estimate:
        """Share of images that a classifier gives their label."""
        return rate(clean_outcome(classifier, data.unit(), data.labels).correct)

    def robust_accuracy(self, classifier: Classifier, data: ImageSet) -> Estimate:
        """Share of images that it gives their label before PGD and after."""
        attack = partial(pgd, eps=self.eps, steps=ATTACK_STEPS, seed=self.seed)
        found = rate(attack_outcome(classifier, data.unit(), data.labels, attack).robust)
        self._tell(f"attack {classifier.name}", 1, 1)
        return found

    def attacked(self, data: ImageSet) -> ImageSet:
        """Those of the images that are attacked, a random draw."""
        return data.draw(MOST_ATTACKED, self.seed)

    def words(self, num_images: int, *, robust: bool) -> str:
        """Say how a classifier learns from so many images."""
        training = self.training(num_images, robust=robust)
        batches = training.epochs * steps_per_epoch(training, num_images)
        learnt = f"{self.network.name}, {batches} batches of {training.batch_size}, last weights"
        if not robust:
            return learnt
        return (
            f"{learnt}, adversarial training with {DEFENSE_STEPS} steps of PGD, then {ATTACK_STEPS} steps of PGD, both "
            f"within linf {self.eps:.3g}, {self.origin}"
        )

    def _tell(self, name: str, done: int, total: int) -> None:
        if self.progress is not None:
            self.progress(name, done, total)
