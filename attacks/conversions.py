"""Hand a classifier to other tools (foolbox, ART): normalisation inside, pixels in [0, 1]."""

import importlib
from typing import Any

from torch import nn

from attacks import foolbox
from attacks.classifier import Classifier
from attacks.sealed import Sealed


def to_foolbox(classifier: Classifier) -> Any:
    """Wrap the classifier as a `foolbox.PyTorchModel` on pixels in [0, 1], for images and labels on its device.

    Foolbox's passes are counted in `classifier.passes`; weights, gradients and modes of the network do not change.
    """
    return foolbox.model(Sealed(classifier), classifier.device)


def to_art(classifier: Classifier, *, input_shape: tuple[int, int, int], num_classes: int) -> Any:
    """Wrap the classifier as ART's `PyTorchClassifier` on pixels in [0, 1].

    `input_shape` is (C, H, W). ART takes and gives numpy arrays, and turns images into float32. Its passes are counted
    in `classifier.passes`; ART can neither train the network nor read its layers. Raises ValueError where ART is not
    installed.
    """
    try:
        estimators = importlib.import_module("art.estimators.classification")
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "art":
            raise
        raise ValueError("to_art needs ART: pip install adversarial-robustness-toolbox") from None
    return estimators.PyTorchClassifier(
        model=Sealed(classifier),
        loss=nn.CrossEntropyLoss(),
        input_shape=input_shape,
        nb_classes=num_classes,
        clip_values=(0.0, 1.0),
        device_type="cpu" if classifier.device.type == "cpu" else "gpu",
    )
