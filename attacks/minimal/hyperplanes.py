"""Distances and projections onto hyperplanes within [0, 1], in linf, l2 and l1.

A hyperplane is the zero set of a linear function: `points` and `normals` are (N, C, H, W), points lie in [0, 1], and
`values` (N,) are the functions at the points, so that value + normal . move is the function after a move. Every pixel
moves, if at all, in the direction that brings the function towards 0, so only the lengths are to be found.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from attacks.norms import L1, L2, LINF, Norm

_DUAL = {LINF.name: L1, L2.name: L2, L1.name: LINF}


def distances(norm: Norm, normals: Tensor, values: Tensor) -> Tensor:
    """Distances to hyperplanes without the bounds [0, 1]: normals (N, K, C, H, W) and values (N, K) to (N, K).

    That is |value| over the dual norm of the normal; infinite where a normal is zero.
    """
    slopes = _DUAL[norm.name].size(normals.flatten(0, 1)).reshape(values.shape)
    return torch.where(slopes > 0, values.abs() / torch.where(slopes > 0, slopes, 1), torch.inf)


def move_onto(norm: Norm, points: Tensor, normals: Tensor, values: Tensor) -> Tensor:
    """Find the shortest moves (N, C, H, W) from points onto their hyperplanes within [0, 1].

    Exact up to rounding. Where the hyperplane does not meet [0, 1], the move ends where the function is closest to 0.
    Pixels with a zero in the normal do not move, and nothing moves where a value is NaN. Scaling a normal together with
    its value changes nothing.
    """
    slopes, aims = normals.to(_wide(points)), values.to(_wide(points))
    steepest = slopes.flatten(1).abs().amax(dim=1)
    scale = torch.where(steepest > 0, steepest, 1)
    return scaled_moves(norm, points[None], slopes / scale[:, None, None, None], (aims / scale)[None])[0]


def scaled_moves(norm: Norm, starts: Tensor, normals: Tensor, values: Tensor) -> Tensor:
    """`move_onto` from S points a function at once, for normals whose largest entry is 1 (or all 0).

    starts (S, N, C, H, W), normals (N, C, H, W), values (S, N) to moves (S, N, C, H, W).
    """
    wide = _wide(starts)
    below, slopes = starts.flatten(2).to(wide), normals.flatten(1).to(wide)
    aims = values.to(wide).nan_to_num(nan=0.0)[:, :, None]
    signs = slopes.sign()
    directions = signs * -aims.sign()
    room = (directions.clamp(min=0) - below).abs_()  # up to 1 for what rises, down to 0 for what falls
    lengths = _LENGTHS[norm.name](slopes.abs(), room, aims.abs())
    return directions.mul_(lengths).to(starts.dtype).reshape(starts.shape)


def _wide(points: Tensor) -> torch.dtype:
    """The dtype of sums over many pixels: float64, or float32 on MPS, which has no float64."""
    return torch.float32 if points.device.type == "mps" else torch.float64


# The lengths by which pixels move, (S, N, P), from |slopes| (N, P), the room to the bounds (S, N, P) and the needed
# change of the function (S, N, 1). Where a slope is 0 the length may be any finite number: the pixel does not move.
# Products stand in place of `torch.where`, whose branches the CPU mispredicts.


def _linf_lengths(slopes: Tensor, room: Tensor, needed: Tensor) -> Tensor:
    """All pixels move by the same length, up to their bounds."""
    return _level(room, slopes * room, slopes.expand_as(room), needed).minimum(room)


def _l2_lengths(slopes: Tensor, room: Tensor, needed: Tensor) -> Tensor:
    """Pixels move in proportion to their slopes, up to their bounds."""
    has_none = slopes == 0
    points = (room / (slopes + has_none)).masked_fill_(has_none, 0)
    level = _level(points, slopes * room, (slopes * slopes).expand_as(points), needed)
    return (level * slopes).minimum(room)


def _level(points: Tensor, gains: Tensor, rates: Tensor, needed: Tensor) -> Tensor:
    """Solve for the level (S, N, 1) at which the pixels' moves change the function by `needed` in total.

    `points` are the levels at which pixels reach their bounds, `gains` what they have then added to the change, and
    `rates` what they add to it per level before. So the change rises piecewise linearly with the level, ever flatter.
    Where even all pixels at their bounds are not enough, the level is one at which all are there.

    The CPU uses Newton's method, because it sorts slowly; accelerators sort, because they would have to be waited for
    at every Newton step. The two add in different order and differ in the last bits of float64.
    """
    find = climbed if points.device.type == "cpu" else sorted_out
    return find(points, gains, rates, needed)


def climbed(points: Tensor, gains: Tensor, rates: Tensor, needed: Tensor) -> Tensor:
    """Find the level by Newton's method, which from below never overshoots a concave function, and ends exactly."""
    at_bound, last = points <= 0, torch.full_like(needed, -1)
    while True:
        stopped = at_bound.to(gains.dtype)  # products of two dtypes take twice as long
        before, rate = (gains * stopped).sum(dim=2, keepdim=True), (rates * (1 - stopped)).sum(dim=2, keepdim=True)
        level = (needed - before) / rate
        level = level.masked_fill_(rate == 0, torch.finfo(level.dtype).max).maximum(last)
        if torch.equal(level, last):
            return level
        at_bound, last = at_bound.logical_or_(points <= level), level


def sorted_out(points: Tensor, gains: Tensor, rates: Tensor, needed: Tensor) -> Tensor:
    """Find the level by sorting the points and computing the change at each."""
    points, order = points.sort(dim=2)
    gains, rates = gains.gather(2, order), rates.gather(2, order)
    at_bound = gains.cumsum(dim=2)
    moving = rates.flip(2).cumsum(dim=2).flip(2)  # with the pixel that stops here
    enough = (moving - rates).mul_(points).add_(at_bound) >= needed
    found, piece = enough.to(torch.int8).max(dim=2, keepdim=True)
    before, rate = at_bound.gather(2, piece) - gains.gather(2, piece), moving.gather(2, piece)
    level = (needed - before) / (rate + (rate == 0))
    return level.masked_fill_(found == 0, torch.finfo(level.dtype).max)


def _l1_lengths(slopes: Tensor, room: Tensor, needed: Tensor) -> Tensor:
    """The pixel with the largest slope moves to its bound, then the next, until the change is `needed`."""
    order = slopes.argsort(dim=1, descending=True, stable=True)
    steep, free = slopes.gather(1, order), room.gather(2, order.expand_as(room))
    gains = steep * free
    left = (needed - (gains.cumsum(dim=2) - gains)).clamp_(min=0)
    filled = left.div_(steep + (steep == 0)).minimum(free)
    return torch.empty_like(room).scatter_(2, order.expand_as(room), filled)


_LENGTHS: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    LINF.name: _linf_lengths,
    L2.name: _l2_lengths,
    L1.name: _l1_lengths,
}

HYPERPLANE_NORMS = tuple(_LENGTHS)
"""Names of the norms in which these moves can be computed."""
