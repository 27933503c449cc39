"""The same classifier for other tools: normalisation inside, pixels in [0, 1]."""

import importlib
from typing import Any

from torch import nn

from attacks import foolbox
from attacks.classifier import Classifier
from attacks.sealed import Sealed


def to_foolbox(classifier: Classifier) -> Any:
    """The classifier as a `foolbox.PyTorchModel` on pixels in [0, 1], for images and labels on its device.

    What foolbox does with it is counted among its passes and leaves no trace in the network.
    """
    return foolbox.model(Sealed(classifier), classifier.device)


def to_art(classifier: Classifier, *, input_shape: tuple[int, int, int], num_classes: int) -> Any:
    """The classifier as ART's `PyTorchClassifier` on pixels in [0, 1].

    `input_shape` is (C, H, W). ART takes and gives numpy arrays, and turns images into float32. What it does with the
    classifier is counted among its passes and leaves no trace in the network; so ART cannot train it, nor look into its
    layers. Raises ValueError where ART is not installed.
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
