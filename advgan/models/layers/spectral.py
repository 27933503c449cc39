"""Spectral normalisation (Miyato et al., 2018) of a whole network, layer by layer or for all layers at once."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.utils.parametrizations import _SpectralNorm
from torch.nn.utils.parametrize import ParametrizationList, is_parametrized, register_parametrization

from advgan.models.interface import Network

EPS = 1e-6
LAYERS = (nn.Linear, nn.Conv2d, nn.ConvTranspose2d, nn.Embedding)


class SpectralNorm(_SpectralNorm):
    """Torch's spectral norm, but it returns `bounded` where the weights were already normalised together."""

    bounded: Tensor | None = None

    def forward(self, weight: Tensor) -> Tensor:
        return super().forward(weight) if self.bounded is None else self.bounded

    def matrix(self, weight: Tensor) -> Tensor:
        """The weight with a row for each output."""
        return self._reshape_weight_to_matrix(weight)

    def like_weight(self, matrix: Tensor, weight: Tensor) -> Tensor:
        """Undo `matrix`, for a weight of this shape."""
        return matrix.view(weight.movedim(self.dim, 0).shape).movedim(0, self.dim)


def constrain(network: nn.Module) -> None:
    """Divide the weight of every linear layer, convolution and embedding by its largest singular value.

    One step of power iteration for each forward pass in train mode (Miyato et al., 2018); the singular vectors are
    buffers and so part of a checkpoint. A weight of zeros (a projection's embedding) has no norm to divide by, so it is
    first drawn from N(0, 0.02).
    """
    for module in list(network.modules()):
        if isinstance(module, LAYERS):
            if not bool(module.weight.any()):
                nn.init.normal_(module.weight, 0, 0.02)
            dim = 1 if isinstance(module, nn.ConvTranspose2d) else 0
            register_parametrization(module, "weight", SpectralNorm(module.weight, 1, dim, EPS))


class BoundTogether:
    """All weights of a network under spectral norm, normalised in one call.

    In W / (u W v) the weight gets two gradients, through the dividend and the divisor. `apart` accumulates them one
    after the other, as layer-wise normalisation does; without it they are added first, in fewer operators, which gives
    the same bits where the weight gets no other gradient.
    """

    def __init__(self, network: Network, *, apart: bool = False) -> None:
        self.apart = apart
        lists = [
            module.parametrizations["weight"]
            for module in network.modules()
            if is_parametrized(module, "weight") and isinstance(module.parametrizations, nn.ModuleDict)
        ]
        self.held = [held for held in lists if isinstance(held, ParametrizationList)]
        self.norms = [norm for held in self.held for norm in held if isinstance(norm, SpectralNorm)]

    @contextmanager
    def once(self) -> Iterator[None]:
        """Normalise all weights now, with one step of power iteration in train mode, for all passes of the block.

        Values and gradients equal layer-wise normalisation to the bit, with a third of the operators. Always in
        float32: in bfloat16 the singular value would have only three digits.
        """
        if self.norms:
            weights = [held.original for held in self.held]
            with torch.autocast(weights[0].device.type, enabled=False):
                found = _Bounded.apply(self.norms, *self._vectors(weights), *weights, *(weights if self.apart else ()))
            for norm, weight in zip(self.norms, found, strict=True):
                norm.bounded = weight
        try:
            yield
        finally:
            for norm in self.norms:
                norm.bounded = None

    @torch.no_grad()
    def _vectors(self, weights: Sequence[Tensor]) -> tuple[Sequence[Tensor], Sequence[Tensor]]:
        """The left and right singular vectors, as tensors that are not changed in place later."""
        if not self.norms[0].training:
            return [norm._u.clone() for norm in self.norms], [norm._v.clone() for norm in self.norms]
        matrices = [norm.matrix(weight) for norm, weight in zip(self.norms, weights, strict=True)]
        left = _normalised([torch.mv(matrix, norm._v) for matrix, norm in zip(matrices, self.norms, strict=True)])
        right = _normalised([torch.mv(matrix.T, u) for matrix, u in zip(matrices, left, strict=True)])
        torch._foreach_copy_([*(norm._u for norm in self.norms), *(norm._v for norm in self.norms)], [*left, *right])
        return left, right


class _Bounded(torch.autograd.Function):
    """Divide weights W by u W v, with u and v constant; weights are passed twice to return both gradients apart."""

    @staticmethod
    def forward(
        ctx: Any, norms: Sequence[SpectralNorm], left: Sequence[Tensor], right: Sequence[Tensor], *weights: Tensor
    ) -> tuple[Tensor, ...]:
        matrices = [norm.matrix(weight) for norm, weight in zip(norms, weights, strict=False)]
        products = [torch.mv(matrix, v) for matrix, v in zip(matrices, right, strict=True)]
        sigmas = [torch.vdot(u, product) for u, product in zip(left, products, strict=True)]
        found = torch._foreach_div(weights[: len(norms)], sigmas)
        ctx.norms, ctx.apart = norms, len(weights) > len(norms)
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*found, *sigmas, *left, *right)
        return tuple(found)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        """G / sigma, and -(sum of G * W / sigma^2) u v^T, for those weights that were used."""
        count = len(ctx.norms)
        saved = [ctx.saved_tensors[place : place + count] for place in range(0, 4 * count, count)]
        rows = [row for row in zip(ctx.norms, gradients, *saved, strict=True) if row[1] is not None]
        if not rows:
            return (None,) * (3 + count * (2 if ctx.apart else 1))
        norms, given, found, sigmas, left, right = zip(*rows, strict=True)
        slopes = [each.sum() for each in torch._foreach_mul(given, torch._foreach_div(found, sigmas))]
        outer = torch._foreach_mul([u[:, None] for u in torch._foreach_mul(left, slopes)], right)
        shaped = [
            norm.like_weight(matrix, gradient) for norm, matrix, gradient in zip(norms, outer, given, strict=True)
        ]
        direct = torch._foreach_div(given, sigmas)
        sums = [*direct, *torch._foreach_mul(shaped, -1)] if ctx.apart else torch._foreach_sub(direct, shaped)
        parts, places = iter(sums), gradients * 2 if ctx.apart else gradients
        return None, None, None, *(None if gradient is None else next(parts) for gradient in places)


def _normalised(vectors: list[Tensor]) -> tuple[Tensor, ...]:
    lengths = torch._foreach_norm(vectors)
    torch._foreach_clamp_min_(lengths, EPS)
    return torch._foreach_div(vectors, lengths)
