"""Rows on InfoGAN's codes, the classifier of a semi-supervised GAN, and linear probes of a discriminator.

Each has a control: the same number without what the GAN has learnt.
"""

from collections.abc import Collection

import torch
from torch import Tensor

from advgan.data import Data
from advgan.gan.rounds import labelled_indices
from advgan.models.interface import Discriminator
from advgan.sampling.drawing import draw
from advgan.sampling.stored import Game, TrainedGan
from evaluation.features.seen import Row
from evaluation.game.discriminator_fit import untrained_discriminator
from evaluation.game.hidden_features import hidden_features
from evaluation.own.codes import code_correlations, matched_accuracy, random_values
from evaluation.own.probe import INVERSE_PENALTY, labelled_rows, linear_probe
from evaluation.own.semi_supervised import class_accuracy
from evaluation.record.scores import Score, score_rows

POINT_METRICS = {
    "code_accuracy": "of an InfoGAN: share of real images that its categorical code sorts into their class",
    "code_accuracy_random": "the same of a random head on its features: the control",
    "code_correlation": "of an InfoGAN: each continuous code as read off generated images, with the one put in",
    "class_accuracy": "of a semi-supervised GAN: accuracy of the classifier inside on test images",
    "class_accuracy_pixels": "the control: logistic regression on the pixels of the same labelled images",
    "probe_accuracy": "accuracy of a linear classifier on the features of a discriminator that saw no labels",
    "probe_accuracy_pixels": "the control: the same classifier on pixels",
    "probe_accuracy_untrained": "the control: the same classifier on the discriminator's features before training",
}
MOST_TEST = 5_000
"""Test images, at most; more hardly narrow an interval."""
LABELLED = 1_000
"""Labelled images that train a probe; also the most for which the control on pixels is fitted."""
MOST_CLASSES = 100


def own_scores(
    gan: TrainedGan,
    data: Data,
    fakes: Tensor,
    labels: Tensor | None,
    *,
    subject: str = "",
    name: str = "",
    seed: int = 0,
) -> list[Score]:
    """Score this GAN by those of POINT_METRICS that apply to it; `fakes` are its samples 0, 1, ... of the seed."""
    rows = own_rows(gan, data, fakes, labels, POINT_METRICS, seed=seed)
    return score_rows(rows, subject=subject, data=name, setting="discriminator", seed=seed)


def own_rows(
    gan: TrainedGan, data: Data, fakes: Tensor, labels: Tensor | None, wanted: Collection[str], *, seed: int = 0
) -> list[Row]:
    """The rows of `own_scores` for the wanted names of POINT_METRICS, and the others of their groups."""
    if gan.discriminator is None or data.train.are_points or not 2 <= data.num_classes <= MOST_CLASSES:
        return []
    rows: list[Row] = []
    asked = {word.partition("_")[0] for word in wanted}
    if "code" in asked and gan.generator.space.num_codes and gan.discriminator.num_classes == 0:
        rows += _codes(gan, data, fakes, seed)
    if "class" in asked and gan.discriminator.head.names_classes and labels is None:
        rows += _classifier(gan.game, data, seed)
    if "probe" in asked and _saw_no_labels(gan.game):
        rows += _transfer(gan, data, seed)
    return rows


def _saw_no_labels(game: Game) -> bool:
    return not game.networks.conditional and not game.discriminator.head.names_classes and game.networks.packing == 1


def _codes(gan: TrainedGan, data: Data, fakes: Tensor, seed: int) -> list[Row]:
    """Evaluate the code head on real test images (categorical) and on generated ones (continuous)."""
    network, space, rows = gan.game.discriminator, gan.generator.space, list[Row]()
    if space.categorical:
        test = data.test.draw(MOST_TEST, seed)
        features = hidden_features(network, test.unit(), seed=seed)
        with torch.no_grad():
            guessed = network.head.guess(features.to(_device(network)))[:, : space.categorical].argmax(dim=1).cpu()
        text = f"best one-to-one assignment of {space.categorical} values to {data.num_classes} classes, on the same "
        text += "test images; Wilson interval"
        untaught = random_values(features, space.categorical, seed=seed)
        rows += [
            ("code_accuracy", matched_accuracy(guessed, test.labels), len(test), text),
            ("code_accuracy_random", matched_accuracy(untaught, test.labels), len(test), f"a random head; {text}"),
        ]
    if space.continuous:
        given = draw(gan.generator, torch.arange(len(fakes)), seed=seed)[:, space.categorical : space.num_codes].cpu()
        features = hidden_features(network, fakes, seed=seed)
        with torch.no_grad():
            read = network.head.guess(features.to(_device(network)))[:, space.categorical :].cpu()
        for number, found in enumerate(code_correlations(read, given)):
            text = "Pearson, guessed with given, on generated images; interval by Fisher's z"
            rows.append((f"code_correlation[{number}]", found, len(fakes), text))
    return rows


def _classifier(game: Game, data: Data, seed: int) -> list[Row]:
    """Accuracy of a semi-supervised GAN's classifier, and of a pixel classifier trained on the same labels."""
    test = data.test.draw(MOST_TEST, seed)
    features = hidden_features(game.discriminator, test.unit(), seed=seed)
    with torch.no_grad():
        logits = game.discriminator.head.classify(features.to(_device(game.discriminator))).cpu()
    told = labelled_indices(data.train, game.training)
    text = f"{len(told)} labelled training images; Wilson interval over test images"
    rows = [("class_accuracy", class_accuracy(logits, test.labels), len(test), text)]
    if len(told) <= LABELLED:
        found = linear_probe(data.train.unit(told), data.train.labels[told], test.unit(), test.labels)
        rows.append(("class_accuracy_pixels", found, len(test), f"{_REGRESSION}; the same {text}"))
    return rows


def _transfer(gan: TrainedGan, data: Data, seed: int) -> list[Row]:
    """Logistic regression on learnt features, on pixels, and on the features of the network before its training."""
    told = labelled_rows(data.train.labels, LABELLED, seed=seed)
    train, test = data.train.select(told), data.test.draw(MOST_TEST, seed)
    untrained = untrained_discriminator(gan, seed=gan.game.training.seed)
    kinds = {
        "probe_accuracy": [
            hidden_features(gan.game.discriminator, images.unit(), seed=seed) for images in (train, test)
        ],
        "probe_accuracy_pixels": [train.unit(), test.unit()],
        "probe_accuracy_untrained": [hidden_features(untrained, images.unit(), seed=seed) for images in (train, test)],
    }
    text = f"{_REGRESSION}; {len(train)} labelled training images; Wilson interval over test images"
    return [
        (metric, linear_probe(known, train.labels, asked, test.labels), len(test), text)
        for metric, (known, asked) in kinds.items()
    ]


def _device(network: Discriminator) -> torch.device:
    return next(network.parameters()).device


_REGRESSION = f"logistic regression on standardised features, C = {INVERSE_PENALTY:g}"
