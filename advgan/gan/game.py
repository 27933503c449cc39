"""The losses of both players of a GAN: the adversarial loss, and further terms with the weights of a configuration."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from advgan.config import GanTraining
from advgan.gan.history import distance_from_mean
from advgan.gan.losses import LOSSES, Loss, smoothed
from advgan.gan.orthogonal import off_diagonal
from advgan.gan.penalties import dragan_penalty, gradient_penalty, lecam_penalty, squared_gradient
from advgan.gan.state import State
from attacks.random import uniform

CLOUD = 3
"""A stream of attacks.random, beside those of training."""


@dataclass(frozen=True)
class Sight:
    """One batch as the discriminator's input: real and generated images, augmented, packed, or as pyramids."""

    state: State
    training: GanTraining
    numbers: Tensor
    """(N,) int64: the numbers of the images over the whole run."""
    real: Tensor
    fake: Tensor
    labels: Tensor | None
    codes: Tensor
    """(M, categorical + continuous): InfoGAN's codes of the M generated images."""
    labelled: tuple[Tensor, Tensor] | None
    """The labelled images of a semi-supervised GAN, and their labels."""
    mixing: Tensor | None = None
    """(N,) in [0, 1]: the share of the real image at which the gradient penalty is taken."""

    @cached_property
    def real_features(self) -> Tensor:
        return self.state.discriminator.features(self.real, self.labels)

    @cached_property
    def fake_features(self) -> Tensor:
        return self.state.discriminator.features(self.fake, self.labels)

    @cached_property
    def real_logits(self) -> Tensor:
        return self.state.discriminator.head(self.real_features, self.labels).float()

    @cached_property
    def fake_logits(self) -> Tensor:
        return self.state.discriminator.head(self.fake_features, self.labels).float()


class Turn(NamedTuple):
    """One player's loss on a batch."""

    total: Tensor
    """What is minimised."""
    adversarial: Tensor
    terms: dict[str, Tensor]
    """The further terms by name, unweighted."""


Term = Callable[[Sight], Tensor]


def _information(sight: Sight) -> Tensor:
    """InfoGAN's loss: minus the lower bound of the mutual information of codes and images, up to a constant, in nats.

    Cross-entropy of the categorical code, plus half the squared error of each continuous one, which is a Gaussian of
    variance 1 (Chen et al., 2016).
    """
    space = sight.state.generator.space
    guesses = sight.state.discriminator.head.guess(sight.fake_features).float()
    loss = torch.zeros((), device=guesses.device)
    if space.categorical:
        values = sight.codes[:, : space.categorical].argmax(dim=1)
        loss = loss + cross_entropy(guesses[:, : space.categorical], values)
    if space.continuous:
        errors = guesses[:, space.categorical :] - sight.codes[:, space.categorical :]
        loss = loss + errors.square().sum(dim=1).mean() / 2
    return loss


def _classes(sight: Sight, features: Tensor, labels: Tensor) -> Tensor:
    return cross_entropy(sight.state.discriminator.head.classify(features).float(), labels)


def _naming_both(sight: Sight) -> Tensor:
    """Mean cross-entropy of the classes of real and generated images; semi-supervised: of the labelled images alone."""
    if sight.labelled is not None:
        images, labels = sight.labelled
        return _classes(sight, sight.state.discriminator.features(images), labels)
    assert sight.labels is not None
    return (_classes(sight, sight.real_features, sight.labels) + _classes(sight, sight.fake_features, sight.labels)) / 2


def _naming_fakes(sight: Sight) -> Tensor:
    assert sight.labels is not None
    return _classes(sight, sight.fake_features, sight.labels)


def _matching(sight: Sight) -> Tensor:
    """Feature matching: squared distance of the mean features of both batches (Salimans et al., 2016, section 3.1)."""
    with torch.no_grad():
        real = sight.real_features.float().mean(dim=0)
    return (real - sight.fake_features.float().mean(dim=0)).square().sum()


def _penalty_between(sight: Sight) -> Tensor:
    assert sight.mixing is not None
    return gradient_penalty(sight.state.discriminator, sight.real, sight.fake, sight.labels, mixing=sight.mixing)


DISCRIMINATOR_TERMS: dict[str, Term] = {
    "gradient_penalty": _penalty_between,
    "dragan": lambda sight: dragan_penalty(
        sight.state.discriminator,
        sight.real,
        sight.labels,
        noise=uniform(sight.training.seed, sight.numbers, sight.real.shape[1:], stream=CLOUD),
    ),
    "r1": lambda sight: squared_gradient(sight.state.discriminator, sight.real, sight.labels),
    "r2": lambda sight: squared_gradient(sight.state.discriminator, sight.fake, sight.labels),
    "lecam": lambda sight: lecam_penalty(
        sight.real_logits,
        sight.fake_logits,
        real_mean=sight.state.gauges.real_logit,
        fake_mean=sight.state.gauges.fake_logit,
    ),
    "classification": _naming_both,
    "information": _information,
    "historical_averaging": lambda sight: distance_from_mean(
        list(sight.state.discriminator.parameters()), sight.state.discriminator_mean
    ),
}
LAZY = ("gradient_penalty", "dragan", "r1", "r2")
"""Penalties that are computed only every `penalty_every` steps (lazy regularisation)."""
RAMPED = ("r1", "r2")
"""Terms whose weight may be ramped over the steps."""

GENERATOR_TERMS: dict[str, Term] = {
    "feature_matching": _matching,
    "classification": _naming_fakes,
    "information": _information,
    "orthogonal": lambda sight: off_diagonal(sight.state.generator),
    "historical_averaging": lambda sight: distance_from_mean(
        list(sight.state.generator.parameters()), sight.state.generator_mean
    ),
}


def loss_of(training: GanTraining) -> Loss:
    """The adversarial loss of a configuration, with label smoothing where it is set."""
    loss = LOSSES[training.loss]
    return smoothed(loss, training.label_smoothing) if training.label_smoothing else loss


def discriminator_weights(state: State, training: GanTraining) -> dict[str, float]:
    """The discriminator's terms with a weight above 0."""
    head = state.discriminator.head
    weights = {
        "gradient_penalty": training.penalty_weight,
        "dragan": training.dragan,
        "r1": training.r1,
        "r2": training.r2,
        "lecam": training.lecam,
        "classification": training.classification if head.names_classes else 0.0,
        "information": training.information if head.num_codes else 0.0,
        "historical_averaging": training.historical_averaging,
    }
    return {name: weight for name, weight in weights.items() if weight}


def generator_weights(state: State, training: GanTraining) -> dict[str, float]:
    """The generator's terms with a weight above 0; no class term for the unconditional, semi-supervised generator."""
    head = state.discriminator.head
    weights = {
        "feature_matching": training.feature_matching,
        "classification": training.classification if head.names_classes and state.generator.num_classes else 0.0,
        "information": training.information if head.num_codes else 0.0,
        "orthogonal": training.orthogonal,
        "historical_averaging": training.historical_averaging,
    }
    return {name: weight for name, weight in weights.items() if weight}


def discriminator_turn(sight: Sight, loss: Loss, weights: dict[str, float]) -> Turn:
    """The discriminator's loss; real and generated images pass separately, each with its own batch statistics.

    Lazy terms are computed every `penalty_every` steps, with their weight multiplied by it.
    """
    every = sight.training.penalty_every
    rests = sight.state.batches % every != 0
    adversarial = loss.discriminator(sight.real_logits, sight.fake_logits)
    terms, total = {}, adversarial
    for name, weight in weights.items():
        if name in LAZY and rests:
            terms[name] = torch.zeros((), device=adversarial.device)
            continue
        terms[name] = DISCRIMINATOR_TERMS[name](sight)
        weighted = weight * (every if name in LAZY else 1) * terms[name]
        if name in RAMPED and sight.state.penalty_share is not None:
            weighted = weighted * sight.state.penalty_share
        total = total + weighted
    return Turn(total, adversarial, terms)


def generator_turn(sight: Sight, loss: Loss, weights: dict[str, float]) -> Turn:
    """The generator's loss; real logits enter without gradient, and only in relativistic losses (`Loss.compares`)."""
    fake_logits = sight.fake_logits
    with torch.no_grad():
        real_logits = sight.real_logits if loss.compares else fake_logits
    adversarial = loss.generator(fake_logits, real_logits)
    share = sight.training.adversarial
    terms, total = {}, adversarial if share == 1 else share * adversarial
    for name, weight in weights.items():
        terms[name] = GENERATOR_TERMS[name](sight)
        total = total + weight * terms[name]
    return Turn(total, adversarial, terms)
