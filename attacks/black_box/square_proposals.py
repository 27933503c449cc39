"""The proposal distributions of the Square Attack in each norm: the start, and the change of a window.

All draws depend on the sample's own index and proposal number.
"""

from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from attacks import random
from attacks.black_box.square_windows import Draw, Lots, Patterns, Schedule, pattern
from attacks.norms import per_sample
from attacks.samples import Samples

_NEWTON_STEPS = 5


class Proposals(Protocol):
    """The proposals in one norm."""

    lots: Lots

    def start(self, samples: Samples) -> Tensor:
        """(N, C, H, W) in ball and [0, 1]."""
        ...

    def next(self, samples: Samples, best: Tensor, draw: Draw) -> Tensor:
        """Change the drawn window of the best image: (N, C, H, W) in ball and [0, 1]; unchanged where the side is 0."""
        ...


class Stripes:
    """Linf (Andriushchenko et al., 2020): every pixel lies at an end of its range, so that only signs are searched.

    A window that already has the drawn signs gets the opposite ones, as in the paper, unlike the code of AutoAttack:
    with one channel every second proposal for a window of one pixel would change nothing.
    """

    def __init__(self, like: Tensor, *, p_init: float, seed: int) -> None:
        self._seed = seed
        self._schedule = Schedule(*like.shape[2:], p_init=p_init, smallest=1, odd=False, device=like.device)
        self.lots = Lots(self._schedule, seed, windows=1, coins=like.shape[1])

    def start(self, samples: Samples) -> Tensor:
        channels, _, width = samples.images.shape[1:]
        signs = _signs(random.uniform(self._seed, samples.indices, (channels, 1, width)) < 0.5)
        return (samples.images + per_sample(samples.eps, samples.images) * signs).clamp(0, 1)

    def next(self, samples: Samples, best: Tensor, draw: Draw) -> Tensor:
        places = self._schedule.places(draw)[:, None].expand(-1, best.shape[1], -1)
        before, images = best.flatten(2).gather(2, places), samples.images.flatten(2).gather(2, places)
        eps = samples.eps[:, None]
        same = _ends(images, eps, draw.heads).eq_(before).amin(dim=(1, 2)) > 0
        after = _ends(images, eps, draw.heads ^ same[:, None])
        if draw.begins:
            after = torch.where(draw.side[:, None, None] > 0, after, before)
        return best.flatten(2).scatter(2, places, after).reshape(best.shape)


class Blobs:
    """L2 (Andriushchenko et al., 2020) and l1 (Croce & Hein, 2021): perturbation moves from one window to another.

    The perturbation in the second window is set to 0. Its norm, that of the first window and the unused budget go into
    the first window, in the direction of its old perturbation plus a pattern of two blobs of opposite signs.
    """

    def __init__(self, like: Tensor, *, norm: int, p_init: float, seed: int) -> None:
        self._seed, self._norm = seed, norm
        self._order = {2: 2, 1: 4}[norm]
        self._schedule = Schedule(*like.shape[2:], p_init=p_init, smallest=3, odd=True, device=like.device)
        self._patterns = Patterns(self._schedule.sides, order=self._order, norm=norm, like=like)
        self.lots = Lots(self._schedule, seed, windows=2, coins=1 + like.shape[1])

    def start(self, samples: Samples) -> Tensor:
        """Tile the image with patterns of a fifth of its side, each with random signs and orientation."""
        count, channels, height, width = samples.images.shape
        side = max(min(height, width) // 5, 1)
        grid = (height // side, width // side)
        draws = random.uniform(self._seed, samples.indices, (channels + 1, grid[0], 1, grid[1], 1))
        tile = pattern(side, order=self._order, norm=self._norm).to(samples.images)
        flipped = draws[:, :1] < 0.5
        tiles = _signs(draws[:, 1:] < 0.5) * torch.where(flipped, tile.T[:, None, :], tile[:, None, :])
        delta = tiles.reshape(count, channels, grid[0] * side, grid[1] * side)
        spare = (height - delta.shape[2], width - delta.shape[3])
        top, left = spare[0] // 2, spare[1] // 2
        return self._fit(samples, F.pad(delta, (left, spare[1] - left, top, spare[0] - top)))

    def next(self, samples: Samples, best: Tensor, draw: Draw) -> Tensor:
        channels = best.shape[1]
        filled, emptied = (self._schedule.window(first, draw.side) for first in draw.first.unbind(dim=1))

        # The norm available to the first window.
        delta = best - samples.images
        kept = delta * ~(filled.mask() | emptied.mask())
        whole, rest = self._size(delta) ** self._norm, self._size(kept) ** self._norm
        left = (per_sample(samples.eps, best) ** self._norm - whole.sum(1, True)).clamp(min=0)
        amount = (left / channels + (whole - rest).clamp(min=0)) ** (1 / self._norm)
        if self._norm == 1:
            amount = amount * channels  # too much, as in the official code: the projection then makes it sparse

        # The first window's perturbation: the old direction plus the pattern, rescaled to the available norm.
        old = delta * filled.mask()
        new = self._patterns.at(draw.stage, filled, draw.heads[:, 0]) * _signs(draw.heads[:, 1:, None, None])
        new = torch.addcmul(new, old, 1 / self._size(old).clamp(min=1e-12))
        return self._fit(samples, torch.addcmul(kept, new, amount / self._size(new).clamp(min=1e-12)))

    def _size(self, values: Tensor) -> Tensor:
        """(N, C, 1, 1): the norm in each channel."""
        return torch.linalg.vector_norm(values, self._norm, dim=(2, 3), keepdim=True)

    def _fit(self, samples: Samples, delta: Tensor) -> Tensor:
        if self._norm == 1:
            return (samples.images + _thin(delta, samples)).clamp(0, 1)
        size = torch.linalg.vector_norm(delta, dim=(1, 2, 3), keepdim=True).clamp(min=1e-12)
        return torch.addcmul(samples.images, delta, per_sample(samples.eps, delta) / size).clamp(0, 1)


def _thin(delta: Tensor, samples: Samples) -> Tensor:
    """Project a perturbation approximately onto l1 ball and box.

    The exact projection sorts, which takes longer than a forward pass of a small network. This one solves the same
    equation, sum(clamp(|delta| - level, 0, room)) = eps, by a few Newton steps, which never overshoot because values at
    their bounds are counted in the slope, and rescales what still exceeds eps.
    """
    eps = per_sample(samples.eps, delta)
    sizes, room = delta.abs(), torch.where(delta > 0, 1 - samples.images, samples.images)
    level = torch.zeros_like(eps)
    for _ in range(_NEWTON_STEPS):
        above = (sizes - level).clamp_(min=0)
        steepness = per_sample(above.flatten(1).count_nonzero(dim=1), delta).clamp(min=1)
        excess = torch.minimum(above, room).sum((1, 2, 3), True) - eps
        level = level + excess.clamp(min=0) / steepness
    thin = (sizes - level).clamp_(min=0).minimum(room)
    shrink = eps / thin.sum((1, 2, 3), True).clamp(min=1e-12)
    return thin.copysign_(delta) * shrink.clamp(max=1)


def _ends(images: Tensor, eps: Tensor, heads: Tensor) -> Tensor:
    """Move pixels (N, C, P) to the lower end of their range where `heads` (N, C), else to the upper one."""
    return (images + torch.where(heads, -eps, eps)[:, :, None]).clamp_(0, 1)


def _signs(heads: Tensor) -> Tensor:
    return torch.where(heads, -1, 1)
