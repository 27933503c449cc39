"""The class label of each sample of a conditional generator."""

import torch
from torch import Tensor

from advgan.sampling.classes import sample_labels
from advgan.sampling.stored import TrainedGan
from evaluation.jobs.sample.config import SampleConfig


def chosen_labels(config: SampleConfig, gan: TrainedGan, indices: Tensor) -> Tensor | None:
    """The class of `--label` for all of (N,) indices, else independent draws; None of an unconditional generator.

    They are in the shares of the images that the generator was trained on, where its checkpoint knows them.
    """
    if config.label is None:
        return sample_labels(gan.generator, indices, seed=config.seed)
    if gan.generator.num_classes == 0:
        raise ValueError(f"--label {config.label}: this generator is unconditional, it draws no chosen class")
    if config.label not in gan.classes:
        raise ValueError(f"--label {config.label}: no such class; this generator knows {', '.join(gan.classes)}")
    return torch.full_like(indices, gan.classes.index(config.label))
