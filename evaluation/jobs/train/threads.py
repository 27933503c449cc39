"""The number of CPU threads for training a generator, measured by a step on networks of its own."""

from collections.abc import Callable
from contextlib import AbstractContextManager

import torch

from advgan.config import Baseline
from advgan.data import Data
from advgan.gan.baselines import start_vae, train_vae
from advgan.gan.training import start, train
from advgan.machine.processes import Processes
from advgan.storage.runs import Run
from evaluation.jobs.threads import threads_for
from evaluation.jobs.train.config import TrainConfig

UNCHANGED = {"seed": 0, "steps": 1}
"""Settings that do not change a step's cost, replaced by these values in the key of the measurement."""


def training_threads(
    config: TrainConfig, data: Data, device: torch.device, *, resumed: Run | None, processes: Processes
) -> AbstractContextManager[None]:
    """Compute with the threads that suit a step of both players, the same in all processes."""
    recipe = config.training.model_copy(update=UNCHANGED).model_dump(mode="json")
    networks = config.networks.model_dump(mode="json")
    return threads_for(
        lambda: _step(config, data, device, processes),
        about={"work": "train", "networks": networks, "training": recipe, "data": _shape(data), "of": processes.count},
        device=device,
        resumed=resumed,
        processes=processes,
    )


def vae_threads(
    baseline: Baseline, data: Data, device: torch.device, *, resumed: Run | None
) -> AbstractContextManager[None]:
    """Compute with the threads that suit a step of a variational autoencoder."""
    recipe = baseline.model_copy(update=UNCHANGED).model_dump(mode="json")
    return threads_for(
        lambda: _vae_step(baseline, data, device),
        about={"work": "vae", "baseline": recipe, "data": _shape(data)},
        device=device,
        resumed=resumed,
    )


def _shape(data: Data) -> dict[str, int]:
    return {"size": data.size, "channels": data.channels, "num_classes": data.num_classes}


def _step(config: TrainConfig, data: Data, device: torch.device, processes: Processes) -> Callable[[], object]:
    """A step from the middle of training, where networks that grow have grown."""
    if config.networks.synchronised and processes.count > 1:
        raise ValueError("its statistics wait for the other processes")
    training = config.training.model_copy(update={"steps": 2 * config.training.steps + 100})
    state = start(config.networks, training, **_shape(data), device=device)
    state.step = config.training.steps
    steps = train(state, data.train, training)
    return lambda: next(steps)


def _vae_step(baseline: Baseline, data: Data, device: torch.device) -> Callable[[], object]:
    longer = baseline.model_copy(update={"steps": baseline.steps + 100})
    state = start_vae(longer, size=data.size, channels=data.channels, device=device)
    steps = train_vae(state, data.train, longer)
    return lambda: next(steps)
