"""Interpolation between latents: linear and spherical."""

from collections.abc import Callable

import torch
from torch import Tensor

from advgan.models.latents import LatentSpace

Way = Callable[[Tensor, Tensor, Tensor], Tensor]


def lerp(first: Tensor, last: Tensor, times: Tensor) -> Tensor:
    """Interpolate linearly from (N, D) to (N, D) at times in [0, 1], (M,) or for each row its own (N, M): (N, M, D).

    In many dimensions the path passes nearer to the origin than latents lie: half way between two independent normal
    vectors the length is sqrt(1/2) of theirs.
    """
    share = times[..., None]
    return (1 - share) * first[:, None] + share * last[:, None]


def slerp(first: Tensor, last: Tensor, times: Tensor) -> Tensor:
    """Interpolate spherically from (N, D) to (N, D), with times as in `lerp`: (N, M, D) (Shoemake, 1985; White, 2016).

    Angle and length change linearly with the time. Parallel vectors are joined by a straight line. Opposite vectors are
    joined by half a circle through the coordinate axis most nearly orthogonal to them; the straight line, which other
    tools take, goes through the origin. The path is linear where a vector has length 0, and in one dimension.
    """
    lengths = first.norm(dim=1, keepdim=True), last.norm(dim=1, keepdim=True)
    if first.shape[1] == 1:
        return lerp(first, last, times)
    start, end = (vector / length for vector, length in zip((first, last), lengths, strict=True))
    cosine = (start * end).sum(dim=1, keepdim=True)
    aside = end - cosine * start
    sine = aside.norm(dim=1, keepdim=True)
    angle = torch.atan2(sine, cosine)
    sideways = torch.where(sine > _COLLINEAR, aside / sine, _perpendicular(start))
    turned = angle * times  # (N, M)
    directions = turned.cos()[..., None] * start[:, None] + turned.sin()[..., None] * sideways[:, None]
    way = directions * lerp(*lengths, times)
    straight = (lengths[0] == 0) | (lengths[1] == 0)
    return torch.where(straight[..., None], lerp(first, last, times), way)


WAYS: dict[str, Way] = {"lerp": lerp, "slerp": slerp}
_COLLINEAR = 1e-6


def interpolate(space: LatentSpace, first: Tensor, last: Tensor, *, way: str, steps: int) -> Tensor:
    """Latents at equal steps between the rows of two tensors (N, space.dim), both ends included: (N, steps, dim).

    See `between`.
    """
    times = torch.linspace(0, 1, steps, dtype=first.dtype, device=first.device)
    return between(space, first, last, times, way=way)


def between(space: LatentSpace, first: Tensor, last: Tensor, times: Tensor, *, way: str) -> Tensor:
    """Interpolate between the rows of two tensors (N, space.dim) at the times (M,) or (N, M): (N, M, dim).

    The noise is interpolated by the `way` of WAYS, continuous codes linearly; the categorical code stays that of
    `first`. Raises ValueError for slerp between uniform latents, which would leave their cube.
    """
    if way == "slerp" and space.kind == "uniform":
        raise ValueError("interpolate slerp: leaves the cube of uniform latents; choose lerp")
    values, codes = space.categorical, space.num_codes
    kept = first[:, None, :values].expand(-1, times.shape[-1], -1)
    straight = lerp(first[:, values:codes], last[:, values:codes], times)
    return torch.cat([kept, straight, WAYS[way](first[:, codes:], last[:, codes:], times)], dim=2)


def _perpendicular(directions: Tensor) -> Tensor:
    """A unit vector at right angles to each unit row of (N, D)."""
    axes = torch.zeros_like(directions)
    axes.scatter_(1, directions.abs().argmin(dim=1, keepdim=True), 1)
    aside = axes - (axes * directions).sum(dim=1, keepdim=True) * directions
    return aside / aside.norm(dim=1, keepdim=True)
