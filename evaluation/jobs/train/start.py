"""The initial state of a GAN's training: a new run, a resumed one, or one restarted by torchrun."""

import os
import sys
from pathlib import Path

import torch

from advgan.config import GanTraining
from advgan.data import Data
from advgan.gan.ramps import rate
from advgan.gan.recording import insisted, obstacle
from advgan.gan.training import State, start
from advgan.machine.processes import Processes
from advgan.sampling.stored import load_state, networks_of, recipe_of
from advgan.storage.checkpoints import room_for_checkpoints
from advgan.storage.lock import hold
from advgan.storage.runs import Run, latest_run
from evaluation.jobs.begun_with import check_recipe, newest_checkpoint
from evaluation.jobs.longer import lengthen
from evaluation.jobs.setup import Setup, log
from evaluation.jobs.train.config import TrainConfig
from evaluation.watching.alarms import exhausted


def begin(
    config: TrainConfig, setup: Setup, data: Data, device: torch.device, processes: Processes
) -> tuple[State, Run]:
    """A new run, or an old one as its newest whole checkpoint left it, its log rewound to there; the same in all."""
    shape = {"size": data.size, "channels": data.channels, "num_classes": data.num_classes}
    state = start(config.networks, config.training, **shape, device=device)
    run, newest = Run(Path()), None
    if processes.is_first:
        newest = newest_checkpoint(setup.resume, load_state) if setup.resume else None
        if newest is None:
            players = state.generator_optimizer, state.discriminator_optimizer
            setup.check_place("train", checkpoints=room_for_checkpoints(state.to_tree(), *players))
        run = setup.resume or setup.create_run("train", f"{data.name}-{config.networks.family}", config)
    run, newest = processes.from_first((run, newest))
    if newest:
        check_recipe(run, networks_of(newest), config.networks, section="networks")
        before = recipe_of(newest)
        check_recipe(run, before, config.training, section="training", longer="steps")
        state = load_state(newest, device=device)
        _check_longer(config, run, before=before)
    if processes.is_first:
        if newest:
            _lengthen(config, run, before=before, done=state.step)
        if setup.resume:
            log.info("resuming %s after step %d", run.folder, state.step)
        run.rewind_log(state.step)
    return state, run


def _check_longer(config: TrainConfig, run: Run, *, before: GanTraining) -> None:
    """Refuse to make a run longer where that would change what it has done, or do nothing."""
    steps = config.training.steps
    if steps != before.steps and config.networks.family == "progressive":
        raise ValueError(
            f"--steps {steps} with --resume {run.folder}: progressive networks grow with the share of the "
            f"{before.steps} steps that are done, and would shrink again: begin a new run of {steps} steps"
        )
    looks = [row["distance"] for row in run.rows() if "distance" in row]
    if steps > before.steps and exhausted(looks, config.patience):
        raise ValueError(
            f"--steps {steps} with --resume {run.folder}: it stopped after {config.patience} evaluations without a "
            f"better distance, and would again: add --patience {2 * (config.patience or 1)} or more"
        )


def _lengthen(config: TrainConfig, run: Run, *, before: GanTraining, done: int) -> None:
    def share(step: int, steps: int) -> float:
        return rate(config.training.model_copy(update={"steps": steps}), step, peak=1.0)

    steps = {"before": before.steps, "now": config.training.steps}
    lengthen(run, config, option="--steps", unit="steps", done=done, rate=share, **steps)


def check_recordable(config: TrainConfig, setup: Setup) -> None:
    """Refuse, before any work, to begin a training that insists on recordings where none can be made.

    One that goes on may do so on another device than it began on; see `recipe_here`.
    """
    reason = _unmet(config, setup.torch_device())
    if reason and not setup.resume:
        raise insisted(reason)


def recipe_here(config: TrainConfig, device: torch.device) -> GanTraining:
    """The recipe that a training follows on this device: with direct passes, which is said, where it has no others."""
    reason = _unmet(config, device)
    if not reason:
        return config.training
    log.warning("Note: training.cuda_graphs true: %s; passes are not recorded.", reason)
    return config.training.model_copy(update={"cuda_graphs": False})


def _unmet(config: TrainConfig, device: torch.device) -> str | None:
    """Why recordings on which the recipe insists cannot be made."""
    if config.training.cuda_graphs is not True:
        return None
    networks = config.networks
    grows = networks.family == "progressive"
    return obstacle(device, grows=grows, synchronised=networks.synchronised)


def restarted_run(setup: Setup) -> Run | None:
    """The run that torchrun began and, after a process died, starts again with the same command; None where it did not.

    It is `--out`, or else the newest run, if that has this command line.
    """
    if os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") == "0":
        return None
    try:
        run = Run(setup.out) if setup.out else latest_run("train")
        command = run.environment["command"]
    except (ValueError, KeyError):
        return None
    if command[1:] != sys.argv[1:]:
        return None
    if os.environ.get("RANK", "0") == "0":
        hold(run.folder)
    return run
