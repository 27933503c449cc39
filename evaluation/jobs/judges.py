"""Choose the classifier or feature extractor: one that the user names, or one trained by the fixed recipe."""

from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from advgan.classifier.sources import class_names, load_classifier
from advgan.classifier.stored import load_trained
from advgan.data import Data
from advgan.data.class_names import listed, numbers_among
from advgan.models.classifiers.architectures import CLASSIFIERS
from advgan.storage.checkpoints import find_checkpoint, load_checkpoint
from advgan.storage.headers import learnt_data
from advgan.storage.runs import read_config
from attacks import Classifier
from evaluation.extractors import check_extractor, is_extractor, named_extractor
from evaluation.extractors.random_network import RANDOM
from evaluation.features.features import Extractor, classifier_extractor
from evaluation.features.protocols import DEFAULT
from evaluation.jobs.fixed_recipe import STEPS, fixed_classifier, tried
from evaluation.jobs.foreign_model import READ_SO, ForeignModel
from evaluation.jobs.setup import Setup, log
from evaluation.modes.points import points_extractor
from evaluation.modes.stacked import stacked_extractor

EMBEDDED = "digits"
JUDGE = "cnn"
"""Default architecture of the classifier whose features score generators."""


def choose_classifier(
    source: str,
    data: Data,
    setup: Setup,
    *,
    given: str = "",
    foreign: ForeignModel | None = None,
) -> tuple[Classifier, Data]:
    """Load the classifier that a string names, and number the classes of the data as it does.

    A bare `resnet` is the one that the fixed recipe makes of the digits, and stays that one, whatever `advgan fit`
    trains: what a user fitted is named by its run. On other data than the embedded digits, which `given` spells as the
    user did, a ValueError says how to get a run to name. Classes are matched by name where the classifier is ours;
    where it has no names there must be as many. `foreign` states the input of a
    model that is not ours. Raises ValueError where it does not know one.
    """
    path = str(_by_name(source, data, setup, given)) if source in CLASSIFIERS else source
    names = class_names(path)
    classifier = load_classifier(
        path,
        num_classes=len(names) or data.num_classes,
        size=data.size,
        channels=data.channels,
        **(foreign.model_dump(include={*READ_SO}) if foreign else {}),
        device=setup.torch_device(),
    )
    classifier.name = Path(source).name
    return classifier, data.numbered_as(names, of=source) if names else data


def check_extractor_name(features: str) -> None:
    """Refuse, before the work, a name that is neither an extractor nor a run."""
    if features != "auto" and not Path(features).exists():
        check_extractor(features)


def choose_extractor(features: str, data: Data, setup: Setup, *, protocol: str = DEFAULT) -> Extractor:
    """Find what sees the images for a generator's scores: `auto`, the run of a classifier, or a name of EXTRACTORS.

    That may be `inception`, under the protocol given, or `file.py:object` too. Points are always seen by their
    coordinates; stacked digits, unless by a named extractor, through a classifier of single digits, which `auto` fits
    on the digits that they are made of. Images without classes are seen by an untrained network. A classifier is tried
    on images that it has not learnt from, and what it reached stands in the protocol of every score.
    """
    if data.train.are_points:
        if features != "auto":
            raise ValueError(f"--features {features}: points are no images: leave it at auto, which reads coordinates")
        return points_extractor(data.name)
    if features == "auto" and not data.has_classes:
        features = RANDOM
    is_run = features == "auto" or Path(features).exists()
    if is_extractor(features) or protocol != DEFAULT or not is_run:
        return named_extractor(features, device=setup.torch_device(), protocol=protocol)
    if data.parts is not None:
        return stacked_extractor(choose_extractor(features, data.parts, setup))
    return _judge(data, setup) if features == "auto" else _judge_of_run(features, data, setup)


def labelling_judge(data: Data, setup: Setup) -> Classifier:
    """The fixed-recipe classifier of the data, to label images without labels."""
    path, held_out = fixed_classifier(JUDGE, data, setup)
    classifier, info = load_trained(path, device=setup.torch_device())
    classifier.name = f"{info.name} {info.digest}, {held_out.words},"
    return classifier


def own_run(name: str, data: Data) -> Path | None:
    """The newest run of `advgan fit` here whose network is of that architecture and learnt from these images."""
    for file in sorted(Path("runs/fit").glob("*/config.yaml"), reverse=True):
        try:
            network = read_config(file.parent).get("network") or {}
            if network.get("name") != name:
                continue
            if learnt_data(load_checkpoint(find_checkpoint(file.parent))).digest == data.digest:
                return file.parent
        except (ValueError, KeyError, TypeError, AttributeError):  # a run that is not whole is none to name
            continue
    return None


def _judge(data: Data, setup: Setup) -> Extractor:
    path, held_out = fixed_classifier(JUDGE, data, setup)
    classifier, info = load_trained(path, device=setup.torch_device())
    return classifier_extractor(classifier, name=info.name, digest=info.digest, held_out=held_out)


def _judge_of_run(features: str, data: Data, setup: Setup) -> Extractor:
    classifier, info = load_trained(Path(features), device=setup.torch_device())
    numbers = numbers_among(info.classes, data.classes)
    if (info.size, info.channels) != (data.size, data.channels) or numbers is None or len(numbers) != data.num_classes:
        raise ValueError(
            f"--features {features}: was trained on {info.data_name} ({info.channels}x{info.size}x{info.size}; "
            f"{listed(info.classes)}), not on images like {data.name} ({data.channels}x{data.size}x{data.size}; "
            f"{listed(data.classes)}): leave it out, or give a run of advgan fit on these data"
        )
    known = "" if info.data_digest == data.digest else " of other data than it learnt from"
    its_own = data.numbered_as(info.classes, of=features)
    held_out = tried(classifier, its_own.test, called=f"test images{known}")
    return _numbered(classifier_extractor(classifier, name=info.name, digest=info.digest, held_out=held_out), numbers)


def _numbered(extractor: Extractor, numbers: tuple[int, ...]) -> Extractor:
    """The same, whose class k has the number `numbers[k]`."""
    if numbers == tuple(range(len(numbers))):
        return extractor
    order = torch.tensor(numbers).argsort()

    def look(images: Tensor) -> tuple[Tensor, Tensor]:
        features, probabilities = extractor.function(images)
        return features, probabilities[:, order.to(probabilities.device)]

    return replace(extractor, function=look)


def _by_name(source: str, data: Data, setup: Setup, given: str) -> Path:
    """The checkpoint that a bare name means; it is logged each time, since the user may mean a network fitted here."""
    own = own_run(source, data)
    if (given or data.name).lower() != EMBEDDED:
        way_out = (
            f"give its run, --model {own}"
            if own
            else f"type: advgan fit --data {given or data.name} --model {source}, and then give its run as --model"
        )
        raise ValueError(
            f"--model {source}: an architecture, which is fitted on the way to the embedded digits alone, not to "
            f"{data.name}; {way_out}"
        )
    path, held_out = fixed_classifier(source, data, setup)
    mine = f" One that you fitted is --model {own}." if own else ""
    log.info("--model %s: the one of the fixed recipe (%d steps, seed 0), %s.%s", source, STEPS, held_out.words, mine)
    return path
