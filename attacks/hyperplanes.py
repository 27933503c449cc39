"""Where a linear function is zero: how far away that is, and the shortest move there within [0, 1], in linf, l2 and l1.

`points` and `normals` are (N, C, H, W), points lie in [0, 1], and `values` (N,) are those of the linear functions at
the points: value + normal . move is what a function is after a move. Every pixel moves in the direction that brings its
function towards 0, if at all, so what is left to find is how far.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from attacks.norms import L1, L2, LINF, Norm

_DUAL = {LINF.name: L1, L2.name: L2, L1.name: LINF}


def distances(norm: Norm, normals: Tensor, values: Tensor) -> Tensor:
    """How far the zeros of functions are, bounds left aside: normals (N, K, C, H, W), values (N, K) to (N, K).

    Infinite where a normal is zero: no move changes that function.
    """
    slopes = _DUAL[norm.name].size(normals.flatten(0, 1)).reshape(values.shape)
    return torch.where(slopes > 0, values.abs() / torch.where(slopes > 0, slopes, 1), torch.inf)


def move_onto(norm: Norm, points: Tensor, normals: Tensor, values: Tensor) -> Tensor:
    """The shortest moves (N, C, H, W) from points to the zeros of their functions within [0, 1].

    Exact, by sorting instead of iterating. Where no point of [0, 1] is a zero, the move goes where the function comes
    closest to it. A pixel that the function does not depend on stays, and so does everything where a value is not a
    number. The length of a normal, with its value, does not matter.
    """
    wide = torch.float32 if points.device.type == "mps" else torch.float64
    below, slopes, aims = points.flatten(1).to(wide), normals.flatten(1).to(wide), values.to(wide)[:, None]
    steepest = slopes.abs().amax(dim=1, keepdim=True)
    scale = torch.where(steepest > 0, steepest, 1)
    slopes, aims = slopes / scale, (aims / scale).nan_to_num(nan=0.0)
    directions = -slopes.sign() * aims.sign()
    room = torch.where(directions > 0, 1 - below, below)
    lengths = _LENGTHS[norm.name](slopes.abs(), room, aims.abs())
    return (directions * lengths).to(points.dtype).reshape(points.shape)


def _linf_lengths(slopes: Tensor, room: Tensor, needed: Tensor) -> Tensor:
    """All pixels move by the same length, up to their bounds."""
    return _level_lengths(slopes, room, needed, paces=(slopes > 0).to(slopes))


def _l2_lengths(slopes: Tensor, room: Tensor, needed: Tensor) -> Tensor:
    """Pixels move in proportion to their slopes, up to their bounds."""
    return _level_lengths(slopes, room, needed, paces=slopes)


def _level_lengths(slopes: Tensor, room: Tensor, needed: Tensor, *, paces: Tensor) -> Tensor:
    """min(level * pace, room) of each pixel, at the level where their sum, weighted by slope, is what is needed.

    The sum rises with the level in straight pieces, and flattens where a pixel reaches its bound. Sorting these points
    gives the sum at each of them and the piece that holds the level.
    """
    points = torch.where(paces > 0, room / torch.where(paces > 0, paces, 1), 0)
    points, order = points.sort(dim=1)
    at_bound = (slopes * room).gather(1, order).cumsum(dim=1)
    moving = (slopes * paces).gather(1, order).flip(1).cumsum(dim=1).flip(1)  # with the pixel that stops here
    enough = at_bound + points * (moving - (slopes * paces).gather(1, order)) >= needed
    piece = enough.to(torch.int8).argmax(dim=1, keepdim=True)
    before = at_bound.gather(1, piece) - (slopes * room).gather(1, order).gather(1, piece)
    rate = moving.gather(1, piece)
    level = (needed - before) / torch.where(rate > 0, rate, 1)
    reached = torch.where(paces > 0, (level * paces).minimum(room), 0)
    return torch.where(enough.any(dim=1, keepdim=True), reached, torch.where(paces > 0, room, 0))


def _l1_lengths(slopes: Tensor, room: Tensor, needed: Tensor) -> Tensor:
    """The steepest pixel moves to its bound, then the next, until it is enough."""
    order = slopes.argsort(dim=1, descending=True, stable=True)
    steep, free = slopes.gather(1, order), room.gather(1, order)
    gains = steep * free
    left = (needed - (gains.cumsum(dim=1) - gains)).clamp(min=0)
    filled = torch.where(steep > 0, (left / torch.where(steep > 0, steep, 1)).minimum(free), 0)
    return torch.zeros_like(room).scatter(1, order, filled)


_LENGTHS: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    LINF.name: _linf_lengths,
    L2.name: _l2_lengths,
    L1.name: _l1_lengths,
}

HYPERPLANE_NORMS = tuple(_LENGTHS)
"""The norms by name in which moves are known."""
