"""The geometry of a threat model as a value: how to measure, project, step and start in a norm's ball.

Everywhere `images`, `candidate`, `delta` and `gradient` are (N, C, H, W), images lie in [0, 1], and `eps` is a number
or an (N,) tensor with one budget a sample. "In the ball" is up to rounding: a pixel of float32 images carries an error
of 6e-8, so 0.1 + eps - 0.1 can exceed eps by as much. Compare sizes with a tolerance.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from attacks import random

Budget = float | Tensor
"""One eps for all samples, or an (N,) tensor with one a sample."""


@dataclass(frozen=True)
class Norm:
    """One norm's geometry. The functions are fields, so that a new norm is a new value."""

    name: str
    size: Callable[[Tensor], Tensor]
    """(delta) -> (N,) norms."""
    project: Callable[[Tensor, Tensor, Budget], Tensor]
    """(candidate, images, eps) -> the candidate brought into the eps-ball around images and into [0, 1]."""
    steepest: Callable[[Tensor, Tensor, Budget], Tensor]
    """(gradient, images, length) -> the move of that length along which a linear function rises most.

    The length of the gradient does not matter, however large or small; a zero gradient gives a zero move.
    """
    step: Callable[[Tensor, Tensor, Budget], Tensor]
    """The same for attacks that take many: `steepest`, but for l1 and l0, whose functions say why."""
    unit_ball: Callable[[int, Tensor, Sequence[int], int | Tensor], Tensor] = field(repr=False)
    """(seed, indices, shape, stream) -> (N, *shape) points, uniform in the volume of the unit ball.

    The ball of l0 has none; there they are those of linf, of which the projection leaves eps values.
    """

    def random_start(
        self, images: Tensor, eps: Budget, *, seed: int, indices: Tensor, stream: int | Tensor = 0
    ) -> Tensor:
        """Draw a point in each sample's eps-ball, cut to [0, 1], from (seed, index, stream) alone; see `unit_ball`."""
        seats = indices.cpu() if images.device.type == "mps" else indices  # MPS has no float64
        offsets = self.unit_ball(seed, seats, images.shape[1:], stream).to(images)
        return self.project(images + per_sample(eps, images) * offsets, images, eps)


def per_sample(eps: Budget, images: Tensor) -> Tensor:
    """A budget as (N or 1, 1, 1, 1), in the dtype and on the device of the images."""
    if isinstance(eps, int | float):
        return images.new_full((1, 1, 1, 1), eps)  # a fill, for which the host does not wait as it does for a copy
    return torch.as_tensor(eps, dtype=images.dtype, device=images.device).reshape(-1, 1, 1, 1)


def rows(values: Tensor) -> Tensor:
    """One row a sample: (N, C, H, W) to (N, C * H * W), also where N is 0."""
    return values.flatten(1)


def finite(gradient: Tensor) -> Tensor:
    """NaN to 0 and infinity to the largest number: one broken pixel must not spoil the others."""
    return torch.nan_to_num(gradient, nan=0.0)


def unit_max(gradient: Tensor) -> Tensor:
    """Each sample's gradient divided by its largest entry, so that squares and sums neither vanish nor overflow."""
    largest = gradient.abs().amax(dim=(1, 2, 3), keepdim=True)
    return gradient / torch.where(largest > 0, largest, 1)


# Linf: a box, so clipping is the exact projection.


def _linf_size(delta: Tensor) -> Tensor:
    return rows(delta).abs().amax(dim=1)


def _linf_project(candidate: Tensor, images: Tensor, eps: Budget) -> Tensor:
    radius = per_sample(eps, images)
    return candidate.clamp(images - radius, images + radius).clamp(0, 1)


def _linf_steepest(gradient: Tensor, images: Tensor, length: Budget) -> Tensor:
    return per_sample(length, images) * gradient.sign()


def _linf_unit_ball(seed: int, indices: Tensor, shape: Sequence[int], stream: int | Tensor) -> Tensor:
    return 2 * random.uniform(seed, indices, shape, stream=stream) - 1


@dataclass(frozen=True)
class Box:
    """The linf ball cut at [0, 1], made once for the many steps of an attack. Other balls are no box: None."""

    low: Tensor
    high: Tensor

    @classmethod
    def of(cls, norm: Norm, images: Tensor, eps: Budget) -> "Box | None":
        if norm is not LINF:
            return None
        radius = per_sample(eps, images)
        return cls((images - radius).clamp_(min=0), (images + radius).clamp_(max=1))

    def step(self, gradient: Tensor, current: Tensor, length: Tensor) -> Tensor:
        """Step and project as LINF does; `length` is (N, 1, 1, 1)."""
        return torch.addcmul(current, length, gradient.sign()).clamp_(self.low, self.high)


# L2: shrink onto the ball, then clip. Clipping moves each pixel towards the image, so it cannot leave the ball again.
# The point is in the intersection but not the nearest of it; the field's attacks are all defined with this one.


def _l2_size(delta: Tensor) -> Tensor:
    return torch.linalg.vector_norm(rows(delta), dim=1)


def _l2_project(candidate: Tensor, images: Tensor, eps: Budget) -> Tensor:
    delta = candidate - images
    size = per_sample(_l2_size(delta), images)
    shrink = per_sample(eps, images) / size.clamp(min=torch.finfo(images.dtype).tiny)
    return (images + delta * shrink.clamp(max=1)).clamp(0, 1)


def _l2_steepest(gradient: Tensor, images: Tensor, length: Budget) -> Tensor:
    scaled = unit_max(gradient)
    size = per_sample(_l2_size(scaled), images)
    return per_sample(length, images) * scaled / torch.where(size > 0, size, 1)


def _l2_unit_ball(seed: int, indices: Tensor, shape: Sequence[int], stream: int | Tensor) -> Tensor:
    """Drop two coordinates of a point of the sphere, and the rest is uniform in the ball (Voelker et al., 2017)."""
    count = torch.Size(shape).numel()
    normal = random.normal(seed, indices, (count + 2,), stream=stream, dtype=torch.float64)
    sphere = normal / torch.linalg.vector_norm(normal, dim=1, keepdim=True)
    return sphere[:, :count].reshape(len(indices), *shape)


# L1: the ball has its corners on the axes, so the best moves are sparse; the projection treats ball and box together.


def _l1_size(delta: Tensor) -> Tensor:
    return rows(delta).abs().sum(dim=1)


def _l1_project(candidate: Tensor, images: Tensor, eps: Budget) -> Tensor:
    """The nearest point of ball and box together: shrink every pixel's change by one level, and cut at the box."""
    delta, below = _wide(rows(candidate - images)), _wide(rows(images))
    room = torch.where(delta > 0, 1 - below, below)
    radius = _wide(per_sample(eps, images)).reshape(-1, 1)
    change = (delta.abs() - _l1_level(delta.abs(), room, radius)).clamp(min=0).minimum(room)
    change = torch.where(radius > 0, delta.sign() * change, 0)  # else rounding of the level could move a pixel
    return (images + change.to(images).reshape(images.shape)).clamp(0, 1)


def _wide(values: Tensor) -> Tensor:
    """float64, for sums over many pixels; MPS has none, so there the CPU does the work."""
    return values.cpu().double() if values.device.type == "mps" else values.double()


def _l1_level(sizes: Tensor, room: Tensor, eps: Tensor) -> Tensor:
    """Solve sum(clamp(sizes - level, 0, room)) = eps for the (N, 1) level; 0 where the sum at 0 is below eps.

    The sum falls in straight pieces as the level rises: it turns steeper where a pixel comes off its bound, flatter
    where a pixel reaches 0. Sorting these points gives the sum at each of them, and the piece that crosses eps.
    """
    points, order = torch.cat([(sizes - room).clamp(min=0), sizes], dim=1).sort(dim=1)
    slopes = torch.where(order < sizes.shape[1], -1.0, 1.0).to(sizes.dtype).cumsum(dim=1)
    whole = sizes.minimum(room).sum(dim=1, keepdim=True)
    sums = torch.cat([whole, whole + (slopes[:, :-1] * points.diff(dim=1)).cumsum(dim=1)], dim=1)
    piece = ((sums > eps).sum(dim=1, keepdim=True) - 1).clamp(min=0)
    excess = (sums.gather(1, piece) - eps) / -slopes.gather(1, piece).clamp(max=-1)
    return torch.where(whole > eps, points.gather(1, piece) + excess, 0)


def _l1_steepest(gradient: Tensor, images: Tensor, length: Budget) -> Tensor:
    """Move the pixel with the steepest gradient to its bound, then the next, until the length is used up.

    No other move of this length within [0, 1] raises a linear function more. Where all pixels with a gradient have
    reached their bounds before, the move is shorter.
    """
    return _l1_fill(gradient, images, length, most=1.0)


def _l1_step(gradient: Tensor, images: Tensor, length: Budget) -> Tensor:
    """Do the same, but move no pixel by more than a quarter of its range.

    A pixel that flips from black to white leaves the reach of its gradient: on small networks for digits and
    photographs PGD with this step leaves up to four points fewer samples unbroken than with the steepest.
    """
    return _l1_fill(gradient, images, length, most=0.25)


def _l1_fill(gradient: Tensor, images: Tensor, length: Budget, *, most: float) -> Tensor:
    slope = rows(gradient)
    room = torch.where(slope > 0, rows(1 - images), rows(images)).clamp(max=most)
    order = slope.abs().argsort(dim=1, descending=True, stable=True)
    filled = room.gather(1, order)
    left = per_sample(length, images).reshape(-1, 1) - (filled.cumsum(dim=1) - filled)
    move = torch.zeros_like(room).scatter(1, order, left.clamp(min=0).minimum(filled))
    return (slope.sign() * move).reshape(images.shape)


def _l1_unit_ball(seed: int, indices: Tensor, shape: Sequence[int], stream: int | Tensor) -> Tensor:
    """Divide Laplace variables by their absolute sum and one more exponential variable (Barthe et al., 2005)."""
    count = torch.Size(shape).numel()
    signed = 2 * random.uniform(seed, indices, (count + 1,), stream=stream, dtype=torch.float64) - 1
    exponential = -torch.log(signed.abs())
    inside = signed[:, :count].sign() * exponential[:, :count] / exponential.sum(dim=1, keepdim=True)
    return inside.reshape(len(indices), *shape)


# L0: how many values differ, a value being one channel of one pixel, as foolbox and adversarial-library count. The ball
# holds all changes of at most eps values, whatever their size, and is no convex set; half a value is none.


def _l0_size(delta: Tensor) -> Tensor:
    return (rows(delta) != 0).sum(dim=1).to(delta.dtype)


def _l0_project(candidate: Tensor, images: Tensor, eps: Budget) -> Tensor:
    """The nearest point of ball and box together: keep those changes whose loss would cost most, cut at the box."""
    delta = rows(candidate - images)
    inside = rows(candidate.clamp(0, 1) - images)
    kept = _largest(inside * (2 * delta - inside), eps)  # delta^2 - (delta - inside)^2, the square distance it saves
    return torch.where(kept.reshape(images.shape), candidate.clamp(0, 1), images)


def _l0_steepest(gradient: Tensor, images: Tensor, length: Budget) -> Tensor:
    """Move those values to their bounds that raise a linear function most."""
    slope = rows(unit_max(gradient))
    room = torch.where(slope > 0, rows(1 - images), rows(images))
    moved = _largest(slope.abs() * room, length)
    return torch.where(moved, slope.sign() * room, 0).reshape(images.shape)


def _l0_step(gradient: Tensor, images: Tensor, length: Budget) -> Tensor:
    """Move every value, far beyond its bound, and leave the choice to the projection (PGD0: Croce & Hein, 2019).

    It then takes those with the largest product of gradient and room, so that values which were changed before are let
    go for better ones. To step by a number of values instead is to keep whichever came first, and on networks for
    digits and photographs leaves up to three times as many samples unbroken. So the length, if above 0, has no effect.
    """
    scaled = unit_max(gradient)
    mean = scaled.abs().mean(dim=(1, 2, 3), keepdim=True)
    return _FAR * (per_sample(length, images) > 0) * scaled / torch.where(mean > 0, mean, 1)


_FAR = 100.0  # from 0.3 to 30 it makes no difference that can be measured; large, so that order is all that counts


def _largest(values: Tensor, count: Budget) -> Tensor:
    """Whether each of (N, values) is among the `count` largest of its row; of equal ones the first."""
    order = values.argsort(dim=1, descending=True, stable=True)
    places = torch.arange(1, values.shape[1] + 1, device=values.device)
    wanted = torch.as_tensor(count, dtype=values.dtype, device=values.device).reshape(-1, 1)
    return torch.zeros_like(values, dtype=torch.bool).scatter(1, order, (places <= wanted).expand_as(values))


LINF = Norm("linf", _linf_size, _linf_project, _linf_steepest, _linf_steepest, _linf_unit_ball)
L2 = Norm("l2", _l2_size, _l2_project, _l2_steepest, _l2_steepest, _l2_unit_ball)
L1 = Norm("l1", _l1_size, _l1_project, _l1_steepest, _l1_step, _l1_unit_ball)

L0 = Norm("l0", _l0_size, _l0_project, _l0_steepest, _l0_step, _linf_unit_ball)

NORMS: dict[str, Norm] = {norm.name: norm for norm in (LINF, L2, L1, L0)}


def named_norm(norm: Norm | str) -> Norm:
    """The norm itself, or the one of that name; ValueError for an unknown name."""
    if isinstance(norm, Norm):
        return norm
    if norm not in NORMS:
        raise ValueError(f"unknown norm {norm!r}: choose from {', '.join(NORMS)}")
    return NORMS[norm]
