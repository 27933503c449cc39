"""Steps of a published recipe by the published code and by ours, from the same weights, on the same draws.

    python benchmarks/paper_steps.py sngan-cifar10 --peer ~/mimicry
    python benchmarks/paper_steps.py dcgan64 --peer ~/examples
    python benchmarks/paper_steps.py r3gan-cifar10 --peer ~/R3GAN --width 96

`--peer` is a checkout of the code named in the recipe (`advgan ls presets`). Both sides compute in float64, so that
what differs in the mathematics stands out from what rounding does; `--single` shows float32. Networks are narrow unless
`--width` is the recipe's own; parameters are counted at full width. Prints a row of Markdown: the recipe, parameters of
both players, what was run, the largest relative difference of the discriminator's and of the generator's loss, and the
distance of all weights from the published code's, relative to their norm and to the way that they have gone.
"""

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from itertools import islice
from pathlib import Path
from typing import Any
from unittest.mock import patch

import click
import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from advgan.config import GanNetworks, GanTraining
from advgan.config.presets import preset_file
from advgan.config.resolve import resolve
from advgan.data import ImageSet
from advgan.gan import training as loop
from advgan.gan.rounds import Round, rounds
from advgan.gan.state import State, start
from advgan.machine.processes import Processes
from advgan.models.gans.r3gan import ResidualBlock
from attacks.random import seeded
from benchmarks.paper_peers import PEERS, Peer, Trace, Weights
from evaluation.jobs.train.job import TrainConfig

CLASSES = 10
NARROW = {"dcgan64": 8, "r3gan-cifar10": 32}
"""Widths unless told otherwise, where 8 is not it."""


@click.command(help=__doc__, context_settings={"max_content_width": 100})
@click.argument("name", type=click.Choice(list(PEERS)))
@click.option("--peer", "path", type=click.Path(exists=True, file_okay=False, path_type=Path), required=True)
@click.option("--steps", default=10, show_default=True, help="Generator steps.")
@click.option("--batch-size", default=8, show_default=True)
@click.option("--width", type=int, help="networks.width; 8 (r3gan 32) by default.")
@click.option("--single", is_flag=True, help="Compute in float32.")
@click.option("--their-iteration", is_flag=True, help="Leave their power iteration in its own order.")
def main(
    name: str, path: Path, steps: int, batch_size: int, width: int | None, single: bool, their_iteration: bool
) -> None:
    """Compare, and print."""
    torch.set_num_threads(1)
    peer, full = PEERS[name], _configuration(name, steps, batch_size)
    counts = _counts(peer, path, full.networks)
    networks = full.networks.model_copy(update={"width": width or NARROW.get(name, 8)})
    size = full.data.resize or 32
    state = start(networks, full.training, size=size, channels=3, num_classes=CLASSES)
    _awaken(state)
    data = _noise(4 * batch_size, size)
    draws = _draws(state, data, full.training)
    with ExitStack() as stack:
        if not single:
            stack.enter_context(_doubled(state))
            draws = [Round(*(_double(each) for each in part)) for part in draws]
        players = peer.build(path, networks, CLASSES)
        begun = _load(players, peer.translate(state), double=not single)
        stack.enter_context(nullcontext() if their_iteration else _our_iteration())
        theirs = peer.steps(path, players, draws, full.training)
        ours = _ours(state, peer, data, draws, full.training)
    moved = {key: value - begun[key] for key, value in theirs.weights.items()}
    apart = {key: ours.weights[key] - value for key, value in theirs.weights.items()}
    losses = (
        _relative(ours.discriminator, theirs.discriminator),
        _relative(ours.generator, theirs.generator),
    )
    print(
        f"| {name} | {counts} | {steps} of {batch_size}, width {networks.width} | "
        f"{losses[0]:.1e} | {losses[1]:.1e} | "
        f"{_norm(apart) / _norm(theirs.weights):.1e} | {_norm(apart) / _norm(moved):.1e} |"
    )
    worst = sorted(apart, key=lambda key: -float(apart[key].norm() / moved[key].norm().clamp_min(1e-12)))[:3]
    print(
        "farthest, of their way: " + ", ".join(f"{key} {_part(apart, moved, key):.1e}" for key in worst),
        file=sys.stderr,
    )
    print("losses, ours: " + " ".join(f"{value:.6f}" for value in ours.discriminator), file=sys.stderr)
    print("losses, theirs: " + " ".join(f"{value:.6f}" for value in theirs.discriminator), file=sys.stderr)


def _configuration(name: str, steps: int, batch_size: int) -> TrainConfig:
    """The recipe, short, with nothing random that the published code draws otherwise."""
    config = resolve(TrainConfig, file=preset_file("train", f"paper/{name}"))
    options = config.training.model_dump() | {"steps": steps, "batch_size": batch_size, "augmentation": ()}
    options |= {"mirror": False, "ramp": options["ramp"] | {"augmentation": None}}
    if options["ramp"]["steps"]:
        options["ramp"]["steps"] = 2 * steps
    return config.model_copy(update={"training": GanTraining.model_validate(options)})


def _counts(peer: Peer, path: Path, networks: GanNetworks) -> str:
    """Parameters of both players, which must be as many."""
    size = 64 if networks.family == "dcgan" else 32
    state = start(networks, GanTraining(), size=size, channels=3, num_classes=CLASSES)
    sides = [(state.generator, state.discriminator), peer.build(path, networks, CLASSES)]
    ours, theirs = ([sum(each.numel() for each in player.parameters()) for player in side] for side in sides)
    assert ours == theirs, f"parameters: ours {ours}, theirs {theirs}"
    return " / ".join(f"{count:,}" for count in ours)


def _awaken(state: State) -> None:
    """Draw small what a residual network of R3GAN starts at 0, so that every layer takes part."""
    with seeded(1):
        for network in (state.generator, state.discriminator):
            for module in network.modules():
                if isinstance(module, ResidualBlock):
                    nn.init.normal_(module.narrow.weight, 0, 0.02)


def _noise(count: int, size: int) -> ImageSet:
    """Pictures of noise."""
    images = torch.randint(0, 256, (count, 3, size, size), generator=torch.Generator().manual_seed(2))
    return ImageSet(images.to(torch.uint8), torch.arange(count) % CLASSES, tuple("abcdefghij"), "noise")


def _draws(state: State, data: ImageSet, training: GanTraining) -> list[Round]:
    """The rounds of our training, as many as it uses."""
    used = training.steps * training.batches_per_step
    return [part for (part,) in islice(rounds(state, data, training, Processes()), used)]


def _ours(state: State, peer: Peer, data: ImageSet, draws: list[Round], training: GanTraining) -> Trace:
    """Our training itself, which is handed the draws that it would have made."""
    discriminator, generator = [], []
    with patch.object(loop, "rounds", lambda *_: iter([part] for part in draws)):
        for step in loop.train(state, data, training):
            discriminator.append(float(step.discriminator_loss))
            generator.append(float(step.generator_loss))
    return Trace(discriminator, generator, _named(peer.translate(state)))


def _load(players: tuple[nn.Module, nn.Module], weights: tuple[Weights, Weights], *, double: bool) -> Weights:
    """Give theirs our weights, all of them, and return them."""
    for network, given in zip(players, weights, strict=True):
        if double:
            network.double()
        missing = network.load_state_dict({key: value.detach() for key, value in given.items()}, strict=False)
        assert not missing.unexpected_keys, missing.unexpected_keys
        learnt = {name for name, _ in network.named_parameters()}
        assert not learnt & set(missing.missing_keys), missing.missing_keys
    return {key: value.detach().clone() for key, value in _named(weights).items()}


def _named(weights: tuple[Weights, Weights]) -> Weights:
    return {
        f"{side}.{name}": value.detach().clone()
        for side, given in zip(("generator", "discriminator"), weights, strict=True)
        for name, value in given.items()
    }


@contextmanager
def _doubled(state: State) -> Iterator[None]:
    """Float64 in our networks, and wherever our training asks for float32."""
    for network in (state.generator, state.discriminator, state.average):
        assert isinstance(network, nn.Module)
        network.double()
    for name, gauge in vars(state.gauges).items():
        setattr(state.gauges, name, gauge.double())
    with patch.object(Tensor, "float", Tensor.double):
        yield


def _double(value: Any) -> Any:
    return value.double() if isinstance(value, Tensor) and value.is_floating_point() else value


@contextmanager
def _our_iteration() -> Iterator[None]:
    """Let torch's older spectral norm, and mimicry's own, take the half steps of their power iteration in our order."""
    from torch.nn.functional import normalize
    from torch.nn.utils.spectral_norm import SpectralNorm

    def compute(self: Any, module: nn.Module, do_power_iteration: bool) -> Tensor:
        weight, u, v = (getattr(module, self.name + end) for end in ("_orig", "_u", "_v"))
        matrix = self.reshape_weight_to_matrix(weight)
        if do_power_iteration:
            with torch.no_grad():
                u.copy_(normalize(matrix.mv(v), dim=0, eps=self.eps))
                v.copy_(normalize(matrix.T.mv(u), dim=0, eps=self.eps))
        return weight / u.clone().dot(matrix.mv(v.clone()))

    def iterate(self: Any, **given: Any) -> tuple[Tensor, Tensor, Tensor]:
        matrix, u = given["W"], given["u"]
        with torch.no_grad():
            v = self.kept if hasattr(self, "kept") else normalize(u @ matrix)
            u = normalize(v @ matrix.T)
            self.kept = normalize(u @ matrix)
        return u @ (matrix @ self.kept.T), u, self.kept

    with ExitStack() as stack:
        stack.enter_context(patch.object(SpectralNorm, "compute_weight", compute))
        if "torch_mimicry" in sys.modules:
            from torch_mimicry.modules.spectral_norm import SpectralNorm as Own  # type: ignore[import-not-found]

            stack.enter_context(patch.object(Own, "_power_iteration", iterate))
        yield


def _relative(ours: list[float], theirs: list[float]) -> float:
    return max(abs(one - other) / max(abs(other), 1e-12) for one, other in zip(ours, theirs, strict=True))


def _norm(tensors: Weights) -> float:
    return float(torch.stack([value.norm() ** 2 for value in tensors.values()]).sum().sqrt())


def _part(apart: Weights, moved: Weights, key: str) -> float:
    return float(apart[key].norm() / moved[key].norm().clamp_min(1e-12))


if __name__ == "__main__":
    main()
