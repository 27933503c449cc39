"""A classifier handed to another tool: nothing of its network can be moved, trained or switched from there."""

import torch
from torch import Tensor, nn

from attacks.classifier import Classifier


class Sealed(nn.Module):
    """Images in [0, 1] to logits, by a classifier that this module hides, with the passes counted as usual.

    It has no parameters and no modules of its own, so that other tools cannot find them; during a call the network is
    in evaluation mode, and no gradient of a parameter is made. With `rows` (N,) every call must hold one image of each
    of these samples, whose passes `Classifier.tallied` then counts.
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
