"""The number of CPU threads for training a classifier, measured by a training step on a copy."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from copy import deepcopy

from advgan.classifier.mixing import steps_per_epoch
from advgan.classifier.training import State, train
from advgan.config import ClassifierTraining, NetworkConfig
from advgan.data import ImageSet
from advgan.storage.runs import Run
from evaluation.jobs.threads import threads_for

UNCHANGED = {"seed": 0, "epochs": 1}
"""Settings that do not change a step's cost, replaced by these values in the key of the measurement."""


def fitting_threads(
    network: NetworkConfig,
    training: ClassifierTraining,
    state: State,
    data: ImageSet,
    *,
    extra: ImageSet | None = None,
    resumed: Run | None = None,
) -> AbstractContextManager[None]:
    """Compute with the threads that suit a training step; the state is left as it is."""
    recipe = training.model_copy(update=UNCHANGED).model_dump(mode="json")
    shape = [data.size, data.channels, data.num_classes, len(data), 0 if extra is None else len(extra)]
    return threads_for(
        lambda: _step(state, training, data, extra),
        about={"work": "fit", "network": network.model_dump(mode="json"), "training": recipe, "data": shape},
        device=state.device,
        resumed=resumed,
    )


def _step(state: State, training: ClassifierTraining, data: ImageSet, extra: ImageSet | None) -> Callable[[], object]:
    """A step from the middle of training, where the budget of a defense is whole."""
    copied = deepcopy(state)
    per_epoch = steps_per_epoch(training, len(data), 0 if extra is None else len(extra))
    copied.step = training.epochs * per_epoch
    longer = training.model_copy(update={"epochs": 2 * training.epochs + 100})
    steps = train(copied, data, longer, extra=extra)
    return lambda: next(steps)
