"""Classifiers by bare name: those that a user trained, found again, or one fitted on the way and kept for later."""

import math
import shutil
from pathlib import Path

from advgan.classifier.mixing import steps_per_epoch
from advgan.classifier.sources import load_classifier
from advgan.classifier.stored import cached_classifier_path, load_trained, save_classifier
from advgan.classifier.training import start, train
from advgan.config import ClassifierTraining, NetworkConfig
from advgan.data import Data
from advgan.models.classifiers.architectures import CLASSIFIERS
from advgan.storage.atomic import replacing
from attacks import Classifier
from evaluation.extractors import is_extractor, named_extractor
from evaluation.features.features import Extractor, classifier_extractor
from evaluation.features.protocols import DEFAULT
from evaluation.jobs.fitting_threads import fitting_threads
from evaluation.jobs.setup import Setup, log, progress
from evaluation.modes.points import points_extractor
from evaluation.modes.stacked import stacked_extractor

EMBEDDED = "digits"
JUDGE = "cnn"
"""The architecture that scores generators where the user names none."""
STEPS = 600
"""Enough for the small images that this is for; at least one pass over the images."""


def choose_classifier(
    source: str,
    data: Data,
    setup: Setup,
    *,
    given: str = "",
    mean: tuple[float, ...] | None = None,
    std: tuple[float, ...] | None = None,
) -> Classifier:
    """Load the classifier that a string names; a bare `resnet` is the one trained on these data.

    On the embedded digits a missing one is fitted and kept; on other data, which `given` spells as the user did, a
    ValueError names the command to type.
    """
    is_missing = source in CLASSIFIERS and not cached_classifier_path(source, data.digest).is_file()
    if is_missing and data.name != EMBEDDED:
        raise ValueError(
            f"--model {source}: none is trained on {data.name} yet; "
            f"type: advgan fit --data {given or data.name} --model {source}"
        )
    classifier = load_classifier(
        str(fitted_classifier(source, data, setup)) if source in CLASSIFIERS else source,
        num_classes=data.num_classes,
        size=data.size,
        channels=data.channels,
        mean=mean,
        std=std,
        device=setup.torch_device(),
    )
    classifier.name = Path(source).name
    return classifier


def choose_extractor(features: str, data: Data, setup: Setup, *, protocol: str = DEFAULT) -> Extractor:
    """Find what sees the images for a generator's scores: `auto`, the run of a classifier, or a name of EXTRACTORS.

    That may be `inception`, under the protocol given, or `file.py:object` too. Points are always seen by their
    coordinates; stacked digits, unless by a named extractor, through a classifier of single digits, which `auto` fits
    on the digits that they are made of.
    """
    if data.train.are_points:
        if features != "auto":
            raise ValueError(f"--features {features}: points are no images: leave it at auto, which reads coordinates")
        return points_extractor(data.name)
    is_run = features == "auto" or Path(features).exists()
    if is_extractor(features) or protocol != DEFAULT or not is_run:
        return named_extractor(features, device=setup.torch_device(), protocol=protocol)
    if data.parts is not None:
        return stacked_extractor(choose_extractor(features, data.parts, setup))
    path = fitted_classifier(JUDGE, data, setup) if features == "auto" else Path(features)
    classifier, info = load_trained(path, device=setup.torch_device())
    if (info.size, info.channels, info.classes) != (data.size, data.channels, data.classes):
        raise ValueError(
            f"--features {features}: was trained on {info.data_name} ({info.size}x{info.size}, {len(info.classes)} "
            f"classes), not on images like {data.name} ({data.size}x{data.size}, {data.num_classes} classes)"
        )
    return classifier_extractor(classifier, name=info.name, digest=info.digest)


def fitted_classifier(name: str, data: Data, setup: Setup) -> Path:
    """The checkpoint of a classifier of these very images; fitted now, by the plain recipe, where there is none yet."""
    path = cached_classifier_path(name, data.digest)
    if path.is_file():
        return path
    epochs = max(1, math.ceil(STEPS * ClassifierTraining().batch_size / len(data.train)))
    training, network = ClassifierTraining(epochs=epochs), NetworkConfig(name=name)
    log.info("no %s is trained on %s yet: fitting one for %d epochs, kept in %s", name, data.name, epochs, path)
    state = start(network, training, data.train, device=setup.torch_device())
    threads = fitting_threads(network, training, state, data.train)
    with threads, progress(epochs * steps_per_epoch(training, len(data.train)), f"fit {name}") as bar:
        for _ in train(state, data.train, training):
            bar.update()
    save_classifier(path, state, network, training, data=data.describe())
    return path


def remember(checkpoint: Path, name: str, data: Data) -> None:
    """Let `--model NAME` on these data mean this checkpoint from now on."""
    with replacing(cached_classifier_path(name, data.digest)) as temporary:
        shutil.copyfile(checkpoint, temporary)
