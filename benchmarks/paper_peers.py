"""The published codes themselves, from a checkout that the user has: their networks with our weights, and their steps.

Nothing of them is here but the names by which they are called. What a package of theirs imports without need (metrics
in TensorFlow, setuptools' parser of versions) is replaced by empty modules while it is loaded.
"""

import ast
import contextlib
import io
import runpy
import sys
import tempfile
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot
from torch.optim import Adam

from advgan.config import GanNetworks, GanTraining
from advgan.gan.rounds import Round
from advgan.gan.state import State

Weights = dict[str, Tensor]


class Trace(NamedTuple):
    """What some steps of training leave."""

    discriminator: list[float]
    """The adversarial loss of the last turn of each step."""
    generator: list[float]
    weights: Weights
    """Of both players at the end, by the names of the published code."""


class Peer(NamedTuple):
    """A published code, made from our networks."""

    build: Callable[[Path, GanNetworks, int], tuple[nn.Module, nn.Module]]
    """(checkout, networks, classes) to its generator and discriminator."""
    translate: Callable[[State], tuple[Weights, Weights]]
    """Our weights by its names."""
    steps: Callable[[Path, tuple[nn.Module, nn.Module], list[Round], GanTraining], Trace]
    """Train it on these draws."""


# mimicry


def mimicry_networks(path: Path, networks: GanNetworks, classes: int) -> tuple[nn.Module, nn.Module]:
    """SNGAN, projection or WGAN-GP at 32 pixels."""
    _empty_packages(path, "torch_mimicry", "torch_mimicry.nets", "torch_mimicry.training")
    wide, narrow = {"nz": networks.latent_dim, "ngf": 4 * networks.width}, {"ndf": 2 * networks.width}
    if networks.conditional:
        from torch_mimicry.nets.cgan_pd import cgan_pd_32 as module  # type: ignore[import-not-found]

        return (
            module.CGANPDGenerator32(num_classes=classes, **wide),
            module.CGANPDDiscriminator32(num_classes=classes, **narrow),
        )
    if networks.discriminator_norm == "none":
        from torch_mimicry.nets.wgan_gp import wgan_gp_32 as module  # type: ignore[import-not-found]

        return module.WGANGPGenerator32(**wide), module.WGANGPDiscriminator32(**narrow)
    from torch_mimicry.nets.sngan import sngan_32 as module  # type: ignore[import-not-found]

    return module.SNGANGenerator32(**wide), module.SNGANDiscriminator32(**narrow)


def to_mimicry(state: State) -> tuple[Weights, Weights]:
    """Blocks are numbered from 2 in its generator, from 1 in its discriminator; scale and shift share an embedding."""
    ours, generator = dict(state.generator.state_dict()), {}
    for name, value in ours.items():
        parts = name.split(".")
        if name.endswith("scale.weight"):
            shift = ours[name.replace("scale", "shift")]
            found = {"embed.weight": torch.cat([1 + value, shift]).T.contiguous()}
        elif name.endswith("shift.weight"):
            continue
        else:
            found = {parts[-1]: value}
        if parts[0] == "blocks":
            inner = {"norm1": "b1", "norm2": "b2", "conv1": "c1", "conv2": "c2", "shortcut": "c_sc"}[parts[2]]
            bn = "bn." if parts[2].startswith("norm") and f"blocks.{parts[1]}.{parts[2]}.scale.weight" in ours else ""
            place = f"block{int(parts[1]) + 2}.{inner}."
        else:
            place, bn = {"seed": "l1.", "norm": "b5.", "last": "c5."}[parts[0]], ""
        for last, tensor in found.items():
            generator[place + ("" if last == "embed.weight" else bn) + last] = tensor
    return generator, _mimicry_discriminator(dict(state.discriminator.state_dict()))


def _mimicry_discriminator(ours: Weights) -> Weights:
    endings = {"original": "weight_orig", "_u": "weight_u", "_v": "weight_v", "weight": "weight", "bias": "bias"}
    layers = {"conv1": "c1", "conv2": "c2", "shortcut": "c_sc"}
    found = {}
    for name, value in ours.items():
        parts = name.split(".")
        if parts[0] == "trunk":
            place = f"block{int(parts[2]) + 1}.{layers[parts[3]]}"
        else:
            place = {"linear": "l5", "embedding": "l_y"}[parts[1]]
        found[f"{place}.{endings[parts[-1]]}"] = value
    if "l_y.weight_orig" not in found:
        return found
    # Its conditional discriminator takes the last two layers from a spectral norm of its own, which keeps u alone.
    for layer in ("l5", "l_y"):
        found[f"{layer}.weight"] = found.pop(f"{layer}.weight_orig")
        found[f"{layer}.sn_u"] = found.pop(f"{layer}.weight_u")[None]
        del found[f"{layer}.weight_v"]
    return found


def mimicry_steps(path: Path, players: tuple[nn.Module, nn.Module], draws: list[Round], training: GanTraining) -> Trace:
    """Its own `train_step` of both, with our latents in place of its `torch.randn` and labels in place of `randint`."""
    from torch_mimicry.training.scheduler import LRScheduler  # type: ignore[import-not-found]

    generator, discriminator = players
    stream, logged = iter(draws), _Log()
    made: list[Round] = []
    generator.generate_images = lambda **_: generator(made[-1].noise)
    generator.generate_images_with_labels = lambda **_: (
        generator(made[-1].noise, made[-1].labels),
        made[-1].labels,
    )
    rates = training.discriminator_learning_rate, training.generator_learning_rate
    betas = training.beta1, training.beta2
    critic_adam, adam = (Adam(each.parameters(), rate, betas) for each, rate in zip(players[::-1], rates, strict=True))
    scheduler = LRScheduler(training.schedule, critic_adam, adam, training.steps)
    losses: tuple[list[float], list[float]] = [], []
    for step in range(training.steps):
        for _ in range(training.discriminator_steps):
            made.append(next(stream))
            batch = made[-1].real, made[-1].labels
            with _penalty_points(made[-1]):
                discriminator.train_step(real_batch=batch, netG=generator, optD=critic_adam, log_data=logged)
        losses[0].append(float(logged.values["errD"]))
        made.append(next(stream))
        generator.train_step(
            real_batch=(made[-1].real, made[-1].labels), netD=discriminator, optG=adam, log_data=logged
        )
        losses[1].append(float(logged.values["errG"]))
        scheduler.step(log_data=logged, global_step=step + 1)
    return Trace(*losses, _weights(players))


class _Log:
    """The last value of each quantity that is logged."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}

    def add_metric(self, name: str, value: Any, **_: Any) -> None:
        self.values[name] = value.detach() if isinstance(value, Tensor) else value


def _penalty_points(part: Round) -> contextlib.AbstractContextManager[Any]:
    """Its gradient penalty draws points by `torch.rand`: let it draw ours."""
    mixing = part.mixing
    return contextlib.nullcontext() if mixing is None else patch("torch.rand", lambda *_: mixing[:, None])


# pytorch/examples


def examples_networks(path: Path, networks: GanNetworks, classes: int) -> tuple[nn.Module, nn.Module]:
    """The two classes of its script, which cannot be imported: it parses a command line and trains."""
    script = ast.parse((path / "dcgan" / "main.py").read_text(encoding="utf-8"))
    script.body = [each for each in script.body if isinstance(each, ast.ClassDef)]
    scope: dict[str, Any] = {"nn": nn, "nz": networks.latent_dim, "nc": 3, "ngf": networks.width, "ndf": networks.width}
    exec(compile(script, "main.py", "exec"), scope)
    return scope["Generator"](1), scope["Discriminator"](1)


def to_examples(state: State) -> tuple[Weights, Weights]:
    """Layers in their order; the linear layers at the seams are convolutions of 4x4 maps."""
    generator, discriminator = state.generator, state.discriminator
    assert isinstance(generator, nn.Module)
    assert isinstance(discriminator, nn.Module)
    seed = generator.get_parameter("seed.0.weight")
    maps = len(seed) // 16
    found: Weights = {"main.0.weight": seed.T.reshape(-1, maps, 4, 4)}
    for index, up in enumerate(generator.get_submodule("ups").children(), start=1):
        found[f"main.{3 * index}.weight"] = up.get_parameter("weight")
    for index, norm in enumerate(generator.get_submodule("norms").children()):
        found |= {f"main.{3 * index + 1}.{name}": norm.get_parameter(f"norm.{name}") for name in ("weight", "bias")}
    found[f"main.{3 * (index + 1)}.weight"] = generator.get_parameter("last.weight")
    layers = list(discriminator.get_submodule("layers").named_parameters())
    judged = {f"main.{name}": value for name, value in layers}
    head = discriminator.get_parameter("head.linear.weight")
    judged[f"main.{len(list(discriminator.get_submodule('layers').children()))}.weight"] = head.reshape(1, maps, 4, 4)
    return found, judged


def examples_steps(
    path: Path, players: tuple[nn.Module, nn.Module], draws: list[Round], training: GanTraining
) -> Trace:
    """Its script as it stands, from first line to last, with our batches for its loader's and our latents for noise."""
    noise = iter([draws[0].noise, *(part.noise for part in draws)])  # the first is for its pictures
    read: list[float] = []

    class Criterion(nn.BCELoss):
        def forward(self, output: Tensor, label: Tensor) -> Tensor:
            loss = super().forward(output, label)
            read.append(loss.item())
            return loss

    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        files = [Path(folder) / name for name in ("netG.pth", "netD.pth")]
        for network, file in zip(players, files, strict=True):
            torch.save(network.state_dict(), file)
        arguments = ["--dataset", "fake", "--batchSize", len(draws[0].real), "--niter", 1, "--outf", folder]
        arguments += ["--netG", files[0], "--netD", files[1]]
        arguments += ["--nz", draws[0].noise.shape[1], "--ngf", _width(players[0]), "--ndf", _width(players[0])]
        with (
            patch("sys.argv", ["main.py", *map(str, arguments)]),
            patch("torch.utils.data.DataLoader", lambda *_, **__: [(part.real, part.labels) for part in draws]),
            patch("torch.randn", lambda *_, **__: next(noise)[:, :, None, None]),
            patch("torch.nn.BCELoss", Criterion),
            patch("torchvision.utils.save_image", lambda *_, **__: None),
            _default_dtype(draws[0].real.dtype),
        ):
            scope = runpy.run_path(str(path / "dcgan" / "main.py"))
    discriminator = [real + fake for real, fake in zip(read[::3], read[1::3], strict=True)]
    return Trace(discriminator, read[2::3], _weights((scope["netG"], scope["netD"])))


def _width(generator: nn.Module) -> int:
    last = [module for module in generator.modules() if isinstance(module, nn.ConvTranspose2d)][-1]
    return last.in_channels


# R3GAN


def r3gan_networks(path: Path, networks: GanNetworks, classes: int) -> tuple[nn.Module, nn.Module]:
    """Its networks at 32 pixels, with its reference paths instead of its kernels, which have no float64."""
    _empty_module("pkg_resources", parse_version=lambda text: tuple(map(int, text.split("+")[0].split(".")[:2])))
    _visible(path)
    from R3GAN import FusedOperators, Networks, Resamplers  # type: ignore[import-not-found]

    Networks.InterpolativeUpsampler = Resamplers.InterpolativeUpsamplerReference
    Networks.InterpolativeDownsampler = Resamplers.InterpolativeDownsamplerReference
    Networks.BiasedActivation = FusedOperators.BiasedActivationReference
    widths, cardinality, blocks = [networks.width] * 4, [networks.width // 8] * 4, [2] * 4
    told = {"ConditionDimension": classes} if networks.conditional else {}
    latent = {"ConditionEmbeddingDimension": networks.latent_dim} if networks.conditional else {}
    features = {"ConditionEmbeddingDimension": networks.width} if networks.conditional else {}
    return (
        Networks.Generator(networks.latent_dim, widths, cardinality, blocks, 2, **told, **latent),
        Networks.Discriminator(widths, cardinality, blocks, 2, **told, **features),
    )


def to_r3gan(state: State) -> tuple[Weights, Weights]:
    """Both have four stages of two blocks, and around them what begins and ends a network."""
    generator, discriminator = state.generator, state.discriminator
    assert isinstance(generator, nn.Module)
    assert isinstance(discriminator, nn.Module)
    made = _r3gan_blocks(generator, first=1) | {
        "MainLayers.0.Layers.0.Basis": generator.get_parameter("layers.0.constant"),
        "MainLayers.0.Layers.0.LinearLayer.weight": generator.get_parameter("layers.0.modulate.weight"),
        "AggregationLayer.Layer.weight": _convolutions(generator)[-1].weight,
    }
    judged = _r3gan_blocks(discriminator, first=0) | {
        "ExtractionLayer.Layer.weight": discriminator.get_parameter("layers.0.weight"),
        "MainLayers.3.Layers.2.Basis.weight": _convolutions(discriminator)[-1].weight,
        "MainLayers.3.Layers.2.LinearLayer.weight": discriminator.get_parameter("head.linear.weight"),
    }
    if state.generator.num_classes:
        made["EmbeddingLayer.weight"] = generator.get_parameter("inputs.embedding.weight").T
        judged["EmbeddingLayer.weight"] = discriminator.get_parameter("head.embedding.weight").T
    return made, judged


def _convolutions(network: nn.Module) -> list[nn.Conv2d]:
    return [module for module in network.modules() if isinstance(module, nn.Conv2d)]


def _r3gan_blocks(network: nn.Module, *, first: int) -> Weights:
    from advgan.models.gans.r3gan import ResidualBlock

    found: Weights = {}
    blocks = [module for module in network.modules() if isinstance(module, ResidualBlock)]
    for number, block in enumerate(blocks):
        place = f"MainLayers.{number // 2}.Layers.{number % 2 + first}."
        for index, layer in enumerate((block.widen, block.mix, block.narrow), start=1):
            found[f"{place}LinearLayer{index}.Layer.weight"] = layer.weight
            if layer.bias is not None:
                found[f"{place}NonLinearity{index}.Bias"] = layer.bias
    return found


def r3gan_steps(path: Path, players: tuple[nn.Module, nn.Module], draws: list[Round], training: GanTraining) -> Trace:
    """Its two accumulations of gradients and its schedules, in one precision, without augmentations and average."""
    from R3GAN.Trainer import AdversarialTraining  # type: ignore[import-not-found]

    generator, discriminator = players
    for module in (*generator.modules(), *discriminator.modules()):
        if hasattr(module, "DataType"):
            module.DataType = draws[0].real.dtype
    trainer, stream = AdversarialTraining(generator, discriminator), iter(draws)
    critic_adam, adam = (Adam(each.parameters(), betas=(0.0, 0.0)) for each in (discriminator, generator))
    decay = _function(path / "training" / "training_loop.py", "cosine_decay_with_warmup")
    total, ramp = (training.ramp.steps or training.steps) * training.batch_size, training.ramp
    assert ramp.learning_rate is not None
    assert ramp.penalties is not None
    losses: tuple[list[float], list[float]] = [], []
    for step in range(training.steps):
        seen, peak = step * training.batch_size, training.generator_learning_rate
        rate = decay(seen, peak, total, ramp.learning_rate * peak)
        beta2 = decay(seen, training.beta2, total, ramp.beta2)
        gamma = decay(seen, training.r1, total, ramp.penalties * training.r1)
        for optimizer in (critic_adam, adam):
            optimizer.param_groups[0].update(lr=rate, betas=(0.0, beta2))
        for player, other, optimizer in (
            (discriminator, generator, critic_adam),
            (generator, discriminator, adam),
        ):
            part = next(stream)
            told = one_hot(part.labels, 10).to(part.real.dtype)
            optimizer.zero_grad()
            player.requires_grad_(True)
            other.requires_grad_(False)
            if player is discriminator:
                loss, *_ = trainer.AccumulateDiscriminatorGradients(part.noise, part.real, told, gamma)
                losses[0].append(float(loss.mean()))
            else:
                loss, *_ = trainer.AccumulateGeneratorGradients(part.noise, part.real, told)
                losses[1].append(float(loss.mean()))
            optimizer.step()
    return Trace(*losses, _weights(players))


def _function(file: Path, name: str) -> Callable[..., Any]:
    """One function of a module that cannot be imported without a GPU."""
    import numpy as np

    module = ast.parse(file.read_text(encoding="utf-8"))
    module.body = [each for each in module.body if isinstance(each, ast.FunctionDef) and each.name == name]
    scope: dict[str, Any] = {"np": np}
    exec(compile(module, file.name, "exec"), scope)
    function: Callable[..., Any] = scope[name]
    return function


# What they share


def _weights(players: tuple[nn.Module, nn.Module]) -> Weights:
    return {
        f"{side}.{name}": value.detach().clone()
        for side, network in zip(("generator", "discriminator"), players, strict=True)
        for name, value in network.named_parameters()
    }


def _visible(path: Path) -> None:
    if str(path) not in sys.path:
        sys.path.insert(0, str(path))


def _empty_packages(path: Path, *names: str) -> None:
    """Packages whose own `__init__` is not run, but whose modules are found."""
    for name in names:
        _empty_module(name, __path__=[str(path.joinpath(*name.split(".")))])


def _empty_module(name: str, **attributes: Any) -> None:
    module = sys.modules.setdefault(name, types.ModuleType(name))
    vars(module).update(attributes)


@contextlib.contextmanager
def _default_dtype(dtype: torch.dtype) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


MIMICRY = Peer(mimicry_networks, to_mimicry, mimicry_steps)
PEERS: dict[str, Peer] = {
    "dcgan64": Peer(examples_networks, to_examples, examples_steps),
    "sngan-cifar10": MIMICRY,
    "projection-cifar10": MIMICRY,
    "wgan-gp-cifar10": MIMICRY,
    "r3gan-cifar10": Peer(r3gan_networks, to_r3gan, r3gan_steps),
}
