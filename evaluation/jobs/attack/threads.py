"""The number of CPU threads for attacking a classifier, measured by passes on a copy."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from copy import deepcopy
from typing import Literal

import torch
from torch import Tensor

from advgan.data import ImageSet
from advgan.machine.processes import Processes
from advgan.machine.room import Room
from advgan.storage.runs import Run
from attacks import Classifier
from evaluation.jobs.threads import structure, threads_for


def attacking_threads(
    classifier: Classifier,
    images: ImageSet,
    batch_size: int | Literal["auto"],
    *,
    resumed: Run | None = None,
    processes: Processes | None = None,
) -> AbstractContextManager[None]:
    """Compute with the threads that suit a pass of a batch as full as those that follow."""
    count = min(Room.of(batch_size).size, len(images))
    shape = [count, images.channels, images.size]
    return threads_for(
        lambda: _pass(classifier, images.unit(torch.arange(count))),
        about={"work": "attack", "network": structure(classifier.network), "images": shape},
        device=classifier.device,
        resumed=resumed,
        processes=processes,
    )


def _pass(classifier: Classifier, images: Tensor) -> Callable[[], object]:
    """A forward and backward pass to the pixels, or forward alone for networks without gradients."""
    copied = deepcopy(classifier)
    if not copied.differentiable:
        return lambda: copied.logits(images)
    return lambda: copied.gradient(images, lambda logits: logits.amax(dim=1))
