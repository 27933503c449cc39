"""The first query of an attack that sees scores: who has to be attacked at all."""

import torch

from attacks.classifier import Classifier
from attacks.samples import Samples


def first_look(classifier: Classifier, samples: Samples, *, batch_size: int | None) -> Samples:
    """The samples that do not fool as they are, and have a budget; costs one forward pass a sample.

    Whoever is left out is answered with its image.
    """
    fooled = [
        part.fooled(classifier.logits(part.images, rows=part.rows)) | (part.eps == 0)
        for part in samples.split(batch_size)
    ]
    return samples.select((~torch.cat(fooled)).nonzero().squeeze(1)) if fooled else samples
