"""Fine-tuning: start a new training from the weights of a trained classifier, with a new optimiser and schedule."""

from pathlib import Path

import torch

from advgan.classifier.stored import TrainedClassifier, load_trained
from advgan.classifier.training import INITIALIZATION, State, assemble
from advgan.config import ClassifierTraining
from advgan.data import ImageSet
from advgan.models.classifiers.heads import replace_head
from attacks.random import seeded


def start_from(
    path: Path, training: ClassifierTraining, data: ImageSet, *, device: torch.device | str = "cpu"
) -> tuple[State, TrainedClassifier]:
    """Build the state before the first step from a run or checkpoint: its weights, averaged if they were, and its
    normalisation; the optimiser and the schedule begin anew.

    Where the classes are others than it was trained on, the head is a fresh one. Raises ValueError in one line where
    there is no classifier, or the images have another form.
    """
    classifier, info = load_trained(path)
    info.check_form(size=data.size, channels=data.channels, source=path)
    network = classifier.network.requires_grad_().train()
    if info.classes != data.classes:
        with seeded(training.seed, stream=INITIALIZATION):
            replace_head(network, data.num_classes)
    mean, std = (tuple(values.flatten().tolist()) for values in (classifier.mean, classifier.std))
    state = assemble(network, training, mean=mean, std=std, num_classes=data.num_classes, device=device)
    return state, info
