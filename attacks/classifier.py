"""The classifier under attack: a network with its normalisation, frozen while it is attacked, its passes counted."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from attacks.batch_sizes import PLANNING, filled_up
from attacks.outputs import Reader, answered
from attacks.unregistered import buffers_kept, unregistered_modules

Objective = Callable[[Tensor], Tensor]
"""(N, classes) logits to the (N,) values that an attack wants large."""


@dataclass
class Passes:
    """How many images have gone through the network, forwards and backwards."""

    forwards: int = 0
    backwards: int = 0


@dataclass
class Tally:
    """The passes of each sample of a batch: (N,) int64 on the device."""

    forwards: Tensor
    backwards: Tensor


class Gradient(NamedTuple):
    """The result of one forward and one backward pass, all detached."""

    gradient: Tensor
    """(N, C, H, W): of each sample's own value with respect to its own pixels."""
    values: Tensor
    """(N,)."""
    logits: Tensor
    """(N, classes)."""


class Jacobian(NamedTuple):
    """The result of one forward pass and one backward pass per class, all detached."""

    gradients: Tensor
    """(N, K, C, H, W): of K logits of each sample with respect to its own pixels."""
    logits: Tensor
    """(N, classes)."""


_WITHOUT = "use an attack that needs none (uniform, gaussian, square)"


class Classifier(nn.Module):
    """A network that takes images in [0, 1], NCHW, and returns one logit a class.

    Normalisation (and the resizing to `resize` pixels, for networks of a fixed input size, and the order of the axes of
    `layout`: NHWC, or `flat`, one row an image) happens inside, so that budgets and bounds are always those of the
    pixels. What the network returns is read as `attacks.outputs` says: `num_classes` tells, where there are several
    outputs, which of them are logits, and one logit becomes two, 0 and itself. Inputs are cast to the dtype of the
    network (half precision, say), logits back to that of the images. `passes` counts images, not calls, and is never
    reset: take the difference of two readings.

    The logits of an image must not depend on the other images of its batch: gradients, shrinking batches and success
    rates rest on that. Where they do (batch norm without running statistics), a finding of `evaluation` says so.

    `differentiable=False` marks a network without gradients (an exported one, say): `gradient` then refuses.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        network: nn.Module,
        *,
        mean: Sequence[float] = (0.0,),
        std: Sequence[float] = (1.0,),
        resize: int | None = None,
        layout: Literal["NCHW", "NHWC", "flat"] = "NCHW",
        num_classes: int | None = None,
        differentiable: bool = True,
        name: str = "",
    ) -> None:
        super().__init__()
        if len(mean) != len(std) or not mean:
            raise ValueError(f"mean and std need one number a channel each; got {len(mean)} and {len(std)}")
        if min(std) <= 0:
            raise ValueError(f"std must be above 0 in every channel; got {tuple(std)}")
        self.network = network
        self.resize = resize
        self.layout = layout
        self.differentiable = differentiable
        self.name = name or type(network).__name__
        self.reader = Reader(self.name, num_classes)
        self.passes = Passes()
        self._tally: Tally | None = None
        home = getattr(_first(network), "device", "cpu")
        for buffer, values in (("mean", mean), ("std", std)):
            numbers = torch.tensor(values, dtype=torch.float32, device=home).reshape(1, -1, 1, 1)
            self.register_buffer(buffer, numbers, persistent=False)
        self._only_scales = not any(mean) and set(std) != {1}
        self._scales_too = any(mean) and set(std) != {1}
        self._is_frozen = False
        self._widest = 0

    @property
    def device(self) -> torch.device:
        """The device of the network's first parameter (or buffer), also after the network was moved."""
        first = _first(self.network)
        return self.mean.device if first is None else first.device

    def forward(self, images: Tensor) -> Tensor:
        """Images in [0, 1], NCHW, to (N, classes) logits in the dtype of the images."""
        if not isinstance(images, Tensor):
            raise ValueError(f"images must be a tensor; got a {type(images).__name__}: torch.as_tensor makes one")
        channels = self.mean.shape[1]
        if channels not in (1, images.shape[1]):
            raise ValueError(f"{self.name} normalises {channels} channels, but the images have {images.shape[1]}")
        first = _first(self.network)
        self._follow(images, first)
        self.passes.forwards += len(images)
        inputs = self._rounded(self._prepared(images, first))
        logits = self.reader.logits(answered(self.network, inputs, self.name), len(inputs), self._tried, images)
        return (logits if len(logits) == len(images) else logits[: len(images)]).to(images.device, images.dtype)

    def _prepared(self, images: Tensor, first: Tensor | None) -> Tensor:
        """Resize, normalise, cast and permute the images; always a new tensor, since networks may work in place."""
        inputs = images
        if self.resize is not None and inputs.shape[-2:] != (self.resize, self.resize):
            inputs = F.interpolate(inputs, size=(self.resize, self.resize), mode="bilinear", antialias=True)
        inputs = inputs / self.std if self._only_scales else inputs - self.mean
        if self._scales_too:
            inputs = inputs / self.std
        inputs = inputs.to(self._network_dtype(first, inputs.dtype))
        if self.layout == "NHWC":
            return inputs.permute(0, 2, 3, 1).contiguous()
        return inputs.flatten(1) if self.layout == "flat" else inputs

    def _tried(self, images: Tensor) -> object:
        """Run the network on probe images, in evaluation mode and without counting the pass."""
        with self.frozen():
            return answered(self.network, self._prepared(images, _first(self.network)), self.name)

    def logits(self, images: Tensor, *, rows: Tensor | None = None) -> Tensor:
        """Compute detached (N, classes) logits with the network in evaluation mode. `rows` as in `tallied`."""
        with self.frozen(), torch.no_grad():
            logits = self(images)
        self._count(images, rows, backwards=0)
        return logits

    def gradient(self, images: Tensor, objective: Objective, *, rows: Tensor | None = None) -> Gradient:
        """Differentiate each sample's objective with respect to its pixels: one forward and one backward pass.

        `rows` as in `tallied`. Works under `torch.no_grad` and `torch.inference_mode` too, touches no parameter's
        `.grad`, and computes no parameter's gradient. Values that are not finite come back as they are.
        """
        with self._attached(images) as (inputs, logits):
            values = objective(logits)
            gradient = self._slope(values, inputs, torch.ones_like(values))
        self.passes.backwards += len(images)
        self._count(images, rows, backwards=1)
        return Gradient(gradient, values.detach(), logits.detach())

    def jacobian(self, images: Tensor, *, classes: Tensor | None = None, rows: Tensor | None = None) -> Jacobian:
        """Differentiate several logits of each sample with respect to its pixels: one forward, one backward a class.

        `classes` (N, K) are those of each sample (None: all, in order). `rows` as in `tallied`.

        Each pass starts at the logits themselves, with a 1 at its class: through `gather` and `unbind` every one of the
        K would first lay out the gradients of all K. Not as one batch of passes either: that asks every operator of the
        network for a batched form, and on the CPU takes a third longer.
        """
        with self._attached(images) as (inputs, logits):
            if classes is None:
                classes = torch.arange(logits.shape[1], device=images.device).expand(len(images), -1)
            gradients = [
                self._slope(logits, inputs, one_hot, keeps_graph=number + 1 < classes.shape[1])
                for number, one_hot in enumerate(_one_hots(logits, classes))
            ]
        self.passes.backwards += len(images) * len(gradients)
        self._count(images, rows, backwards=len(gradients))
        return Jacobian(torch.stack(gradients, dim=1), logits.detach())

    @contextmanager
    def tallied(self, count: int) -> Iterator[Tally]:
        """Count the passes of each of `count` samples inside the block.

        Attacks pass `rows`, one entry an image: the number of the sample that each image of a call belongs to. Without
        `rows`, image k belongs to sample k, and a call with another number of images than `count` is not counted.
        """
        device = self.device
        outer, self._tally = self._tally, Tally(*(torch.zeros(count, dtype=torch.int64, device=device) for _ in "fb"))
        try:
            yield self._tally
        finally:
            self._tally = outer

    @contextmanager
    def _attached(self, images: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield images that require gradients, and their logits, also under `no_grad` and `inference_mode`."""
        if not self.differentiable:
            raise ValueError(f"{self.name} gives no gradients: {_WITHOUT}")
        with self.frozen(), torch.inference_mode(False), torch.enable_grad():
            inputs = (images.clone() if images.is_inference() else images.detach()).requires_grad_()
            yield inputs, self(inputs)

    def _slope(self, values: Tensor, inputs: Tensor, seed: Tensor, *, keeps_graph: bool = False) -> Tensor:
        """Differentiate the values with respect to the inputs; ValueError where the graph between them is cut."""
        if values.requires_grad:
            (slope,) = torch.autograd.grad(values, inputs, seed, retain_graph=keeps_graph, allow_unused=True)
            if slope is not None:
                return slope
        why = "torch.no_grad, detach, rounding or quantised weights inside the network?"
        raise ValueError(f"{self.name} cuts its own gradients ({why}): {_WITHOUT}")

    def _count(self, images: Tensor, rows: Tensor | None, *, backwards: int) -> None:
        if self._tally is None:
            return
        if rows is None:
            if len(images) != len(self._tally.forwards):
                return
            rows = torch.arange(len(images), device=images.device)
        self._tally.forwards.index_add_(0, rows, torch.ones_like(rows))
        if backwards:
            self._tally.backwards.index_add_(0, rows, torch.full_like(rows, backwards))

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Put the network in evaluation mode and its parameters to `requires_grad=False`, and restore every flag after.

        Batch norm statistics, parameters and their `.grad` stay untouched, also those of modules in plain lists, which
        PyTorch does not register and `eval()` does not reach. Blocks may be nested; the outermost restores.

        Under autocast parameters keep `requires_grad=True`, though no gradient of theirs is computed: torch caches the
        cast only of such parameters, and would cast others in every pass. So enter autocast first. On CUDA a batch that
        gets smaller within this block is padded to one of a few sizes, see `attacks.batch_sizes`.
        """
        if self._is_frozen:  # walking through a ResNet-50 takes a millisecond, too long for every step of an attack
            yield
            return
        modes = [(module, module.training) for module in self.modules()]
        flags = [(parameter, parameter.requires_grad) for parameter in self.parameters()]
        is_cast = torch.is_autocast_enabled(self.device.type) and torch.is_autocast_cache_enabled()
        self._is_frozen, self._widest = True, 0
        try:
            # The flags themselves, not eval(): exported modules refuse the call, and some networks override it.
            for module, _ in modes:
                module.training = False
            for parameter, _ in flags:
                parameter.requires_grad_(is_cast and parameter.is_floating_point())
            with buffers_kept(unregistered_modules(self.network)):
                yield
        finally:
            self._is_frozen = False
            for module, mode in modes:
                module.training = mode
            for parameter, flag in flags:
                parameter.requires_grad_(flag)

    def _follow(self, images: Tensor, first: Tensor | None) -> None:
        """Refuse images on another device than the network's, and move mean and std to that device once."""
        if first is not None and first.device != images.device:
            raise ValueError(
                f"the images are on {images.device}, {self.name} is on {first.device}: "
                f"move them there, images.to({str(first.device)!r})"
            )
        if self.mean.device != images.device:
            self.mean, self.std = self.mean.to(images.device), self.std.to(images.device)

    def _rounded(self, inputs: Tensor) -> Tensor:
        """Pad a batch that has got smaller during an attack (`attacks.batch_sizes`)."""
        if not self._is_frozen or inputs.device.type not in PLANNING:
            return inputs
        self._widest = max(self._widest, len(inputs))
        return filled_up(inputs, self._widest)

    def _network_dtype(self, first: Tensor | None, default: torch.dtype) -> torch.dtype:
        if isinstance(first, nn.Parameter) and first.is_floating_point():
            return first.dtype
        dtypes = (parameter.dtype for parameter in self.network.parameters() if parameter.is_floating_point())
        return next(dtypes, default)


def _one_hots(logits: Tensor, classes: Tensor) -> Iterator[Tensor]:
    """Yield K one-hot tensors (N, classes), one for each column of `classes` (N, K)."""
    zeros = logits.new_zeros(logits.shape)
    for column in classes.split(1, dim=1):
        yield zeros.scatter(1, column, 1)


def _first(network: nn.Module) -> Tensor | None:
    """The first parameter of a network, else its first buffer, which say where it is; None where it has neither."""
    return next(chain(network.parameters(), network.buffers()), None)
