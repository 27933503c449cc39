"""The first query of a score-based attack: which samples are classified correctly and have to be attacked."""

import torch

from attacks.classifier import Classifier
from attacks.samples import Samples


def first_look(classifier: Classifier, samples: Samples, *, batch_size: int | None) -> Samples:
    """Select the samples that do not fool yet and have eps above 0; costs one forward pass a sample.

    Callers return the others unchanged.
    """
    fooled = [
        part.fooled(classifier.logits(part.images, rows=part.rows)) | (part.eps == 0)
        for part in samples.split(batch_size)
    ]
    return samples.select((~torch.cat(fooled)).nonzero().squeeze(1)) if fooled else samples
