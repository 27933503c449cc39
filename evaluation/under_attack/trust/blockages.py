"""Find the operations inside a network that block gradients: dead rectifiers, clamps, step functions."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from evaluation.record.findings import Finding
from evaluation.under_attack.probes import Probes, enough

Kind = Literal["rectifier", "clamp", "step"]

RECTIFIERS = {"relu", "threshold"}
CLAMPS = {"clamp", "clip", "clamp_min", "clamp_max", "hardtanh", "relu6", "hardsigmoid"}
STEPS = {"round", "floor", "ceil", "trunc", "fix", "sign", "sgn", "heaviside", "floor_divide", "bucketize"}
CUTS = {"detach", "argmax", "argmin", "gt", "ge", "lt", "le", "greater", "less", "searchsorted", "histc", "item"}
"""Functions without a gradient. Some also make harmless masks, so they only explain a gradient that is wrong."""
CLAMPED = 0.05
"""Share of the input values that a clamp may change: it changes none where it only repeats the bounds of pixels."""


@dataclass
class Trace(TorchFunctionMode):
    """While active, note the operations of those kinds that an image's values run through.

    A tensor depends on the image if it requires a gradient, as parameters are frozen. What a rectifier passes on is
    read from its result; a step passes nothing.
    """

    images: Tensor
    ended: dict[Kind, Tensor] = field(default_factory=dict)
    """For each kind, (n,) bool: a nonzero gradient arrived in the backward pass, and none was passed on."""
    names: dict[Kind | Literal["cut"], set[str]] = field(default_factory=lambda: defaultdict(set))
    clamped: float = 0.0
    """Largest share of an image-sized tensor's values that one clamp changed."""

    def __post_init__(self) -> None:
        super().__init__()

    def __torch_function__(
        self, function: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run the operation, and watch the gradient that comes back through it."""
        name = _name(function)
        kind = _kind(name)
        source = next((value for value in args if isinstance(value, Tensor)), None)
        tainted = source is not None and source.requires_grad
        before = source.detach().clone() if tainted and kind == "clamp" and source is not None else None
        result = function(*args, **(kwargs or {}))
        if not tainted:
            return result
        if name in CUTS:
            self.names["cut"].add(name)
        if kind is not None and isinstance(result, Tensor):
            self._watch(kind, name, result, before)
        return result

    def _watch(self, kind: Kind, name: str, result: Tensor, before: Tensor | None) -> None:
        values = result.detach()
        if len(values) != len(self.images):
            return
        self.names[kind].add(name)
        if kind == "step":
            passing = torch.zeros_like(values, dtype=torch.bool)
        elif before is None:
            passing = values > 0
        else:
            passing = values == before
            if values.shape == self.images.shape:
                self.clamped = max(self.clamped, float((~passing).double().mean()))
        if result.requires_grad:
            result.register_hook(lambda gradient: self._arrived(kind, gradient, passing))

    def _arrived(self, kind: Kind, gradient: Tensor, passing: Tensor) -> None:
        arriving, leaving = ((values != 0).flatten(1).any(dim=1) for values in (gradient, gradient * passing))
        ended = arriving & ~leaving
        self.ended[kind] = self.ended.get(kind, torch.zeros_like(ended)) | ended


def trace(probes: Probes) -> Trace:
    """Follow one forward and one backward pass through the network, uncompiled."""
    watched = Trace(probes.images)

    def followed(images: Tensor) -> None:
        with watched:
            logits = probes.classifier(images)
        values = probes.objective(logits)
        if values.requires_grad:
            torch.autograd.grad(values.sum(), images, allow_unused=True)

    eager = torch.compiler.set_stance("force_eager")
    with probes.classifier.frozen(), torch.inference_mode(False), torch.enable_grad(), eager:
        followed(probes.images.detach().clone().requires_grad_())
    return watched


def blockage_findings(probes: Probes, wrong: Tensor) -> list[Finding]:
    """Say what cuts the gradient; `wrong` (n,) are the images where there is none or a false one.

    Steps inside are harmless, and go unmentioned, where the gradient is right in spite of them.
    """
    watched = trace(probes)
    found = [_dead(probes, watched), _clamped(watched), _stepped(probes, watched, wrong)]
    return [finding for finding in found if finding is not None]


def _dead(probes: Probes, watched: Trace) -> Finding | None:
    dead = int((watched.ended["rectifier"] & probes.flat).sum()) if "rectifier" in watched.ended else 0
    if not enough(dead, len(probes)):
        return None
    return Finding(
        "warning",
        "The gradient ends in dead units",
        f"At {dead} of {len(probes)} images a layer of rectifiers ({', '.join(sorted(watched.names['rectifier']))}) "
        "lets no gradient through.",
        "Every unit that matters is inactive there, so attacks see a flat loss. Replace the rectifier by a leaky or "
        "smooth one in the gradient, or attack without gradients.",
        code="dead-units",
    )


def _clamped(watched: Trace) -> Finding | None:
    if watched.clamped <= CLAMPED:
        return None
    return Finding(
        "warning",
        "The network clamps its input",
        f"Inside, {watched.clamped:.0%} of the input values are moved to a bound "
        f"({', '.join(sorted(watched.names['clamp']))}), where their gradient is 0.",
        "A pixel that is clamped looks as if it had no effect, until it is moved far enough. Attack through a copy "
        "whose clamp passes the gradient on, or without gradients.",
        code="input-clamp",
    )


def _stepped(probes: Probes, watched: Trace, wrong: Tensor) -> Finding | None:
    names, count = watched.names["step"] | watched.names["cut"], int(wrong.sum())
    if not names or not enough(count, len(probes)):
        return None
    return Finding(
        "warning",
        "A step inside has no derivative",
        f"The image runs through {', '.join(sorted(names))}, and the gradient is zero or false at {count} of "
        f"{len(probes)} images.",
        "Gradient attacks fail at that step and not at the model. Attack a copy in which it is replaced by the "
        "identity or a smooth substitute (Athalye et al., 2018), and transfer the result.",
        code="non-differentiable-step",
    )


def _name(function: Callable[..., Any]) -> str:
    if function is Tensor.data.__get__:  # type: ignore[attr-defined]
        return "detach"
    return getattr(function, "__name__", "").rstrip("_")


def _kind(name: str) -> Kind | None:
    if name in RECTIFIERS:
        return "rectifier"
    if name in CLAMPS:
        return "clamp"
    return "step" if name in STEPS else None
