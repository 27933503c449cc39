"""Surrogates of a classifier with useful gradients: smoothed, straight-through (BPDA), and distilled."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from attacks import Classifier, Gradient
from attacks.classifier import Objective
from attacks.random import normal, permutation, seeded
from evaluation.under_attack.trust.blockages import CLAMPS, STEPS

DRAWS, SIGMA = 8, 0.1
"""Noise samples and deviation for the smoothed gradient: a tenth of the range spans steps of coarse quantisation."""
SIDE, WIDTH, LESSONS, BATCH = 32, 16, 100, 64
"""Largest image side, channels, training steps and batch size of the distilled network: a second on a CPU."""
LEARNING_RATE = 3e-3
MOST_IMAGES = 2000
_SMOOTHING, _DISTILLING = 1 << 41, (1 << 41) + 1
_STEPS = {
    "round",
    "floor",
    "ceil",
    "trunc",
    "fix",
    "sign",
    "sgn",
    "clamp",
    "clip",
    "clamp_min",
    "clamp_max",
    "hardtanh",
}


class Smoothed(Classifier):
    """The mean gradient over images with Gaussian noise, the same for each sample in every step."""

    def gradient(self, images: Tensor, objective: Objective, *, rows: Tensor | None = None) -> Gradient:
        """As any classifier, from DRAWS passes."""
        clean = self.logits(images, rows=rows)
        seats = torch.arange(len(images), device=images.device)
        total = torch.zeros_like(images)
        for draw in range(DRAWS):
            noise = SIGMA * normal(0, seats, images.shape[1:], stream=_SMOOTHING + draw, dtype=images.dtype)
            found = super().gradient((images + noise).clamp(0, 1), objective, rows=rows)
            total = total + torch.nan_to_num(found.gradient)
        return Gradient(total / DRAWS, objective(clean), clean)


class StraightThrough(Classifier):
    """The same outputs, with the derivative of every rounding, sign and clamp set to 1 (BPDA: Athalye et al., 2018)."""

    def forward(self, images: Tensor) -> Tensor:
        """As any classifier, uncompiled."""
        with torch.compiler.set_stance("force_eager"), _PassOn():
            return super().forward(images)


class _PassOn(TorchFunctionMode):
    def __torch_function__(
        self, function: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = function(*args, **(kwargs or {}))
        source = args[0] if args else None
        # In-place forms end with an underscore and keep their meaning.
        if getattr(function, "__name__", "") not in STEPS | CLAMPS or (kwargs or {}).get("inplace"):
            return result
        if not isinstance(source, Tensor) or not source.requires_grad or source.shape != result.shape:
            return result
        return source + (result - source).detach()


def distilled(classifier: Classifier, images: Tensor, logits: Tensor, *, seed: int) -> Classifier:
    """Train a small network to answer as the classifier did: no passes through the classifier.

    `images` (N, C, H, W) and the classifier's `logits` (N, classes) of them, on any device.
    """
    device = classifier.device
    chosen = permutation(seed, len(images), stream=_DISTILLING)[:MOST_IMAGES]
    inputs = images[chosen.to(images.device)].to(device, torch.float32)
    aims = _soft(logits[chosen.to(logits.device)]).to(device)
    with seeded(seed, _DISTILLING), torch.enable_grad():
        network = _network(images.shape[1], logits.shape[1], max(images.shape[-2:])).to(device)
        optimizer = torch.optim.Adam(network.parameters(), LEARNING_RATE)
        for step in range(LESSONS):
            batch = permutation(seed, len(inputs), stream=_DISTILLING + 1 + step)[:BATCH].to(device)
            loss = F.cross_entropy(network(inputs[batch]), aims[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return Classifier(network.eval(), name="a distilled copy")


def _soft(logits: Tensor) -> Tensor:
    """Probabilities, of logits scaled to what a network of this size can learn."""
    finite = torch.nan_to_num(logits.float())
    spread = (finite.amax(dim=1) - finite.mean(dim=1)).median().clamp(min=1e-12)
    return (10 / spread * finite).softmax(dim=1)


def _network(channels: int, classes: int, side: int) -> nn.Module:
    stride = 2 if side >= SIDE / 2 else 1
    return nn.Sequential(
        nn.AdaptiveAvgPool2d(SIDE) if side > SIDE else nn.Identity(),
        nn.Conv2d(channels, WIDTH, 4, stride, 1),
        nn.ReLU(),
        nn.Conv2d(WIDTH, 2 * WIDTH, 3, 2, 1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(4),
        nn.Flatten(),
        nn.Linear(32 * WIDTH, classes),
    )
