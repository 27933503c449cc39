"""A classifier for other tools, which cannot move its network to a device, train it or switch its mode."""

import torch
from torch import Tensor, nn

from attacks.classifier import Classifier


class Sealed(nn.Module):
    """A module from images in [0, 1] to logits that hides a classifier and counts its passes as usual.

    It registers no parameters and no submodules, so that other tools find none; during a call the network is frozen as
    in `Classifier.frozen`. With `rows` (N,) every call must hold one image of each of these samples, whose passes
    `Classifier.tallied` then counts.
    """

    def __init__(self, classifier: Classifier, *, rows: Tensor | None = None) -> None:
        super().__init__()
        self._logits = lambda images: _logits(classifier, images, rows)

    def forward(self, images: Tensor) -> Tensor:
        """(N, C, H, W) to (N, classes), with a gradient where the images have one."""
        return self._logits(images)


def _logits(classifier: Classifier, images: Tensor, rows: Tensor | None) -> Tensor:
    def count_backward(gradient: Tensor) -> None:
        classifier.passes.backwards += len(gradient)
        if rows is not None and classifier._tally is not None:
            classifier._tally.backwards.index_add_(0, rows, torch.ones_like(rows))

    inputs = images.view_as(images)
    if inputs.requires_grad:
        inputs.register_hook(count_backward)
    with classifier.frozen():
        logits: Tensor = classifier(inputs)
    if rows is not None and classifier._tally is not None:
        classifier._tally.forwards.index_add_(0, rows, torch.ones_like(rows))
    return logits
