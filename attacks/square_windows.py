"""Where Square changes an image: windows that shrink by a schedule, and the patterns that l2 and l1 lay into them."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

_LAST_PROPOSALS = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)
"""After each of these proposals the share of the image that a window covers is halved (Andriushchenko et al., 2020)."""


class Window(NamedTuple):
    """One square window a sample."""

    rows: Tensor
    """(N, H) how far each row lies below the window's first one; negative above it."""
    columns: Tensor
    """(N, W) how far each column lies right of the window's first one."""
    side: Tensor
    """(N, 1); windows of side 0 are empty."""

    def mask(self) -> Tensor:
        """(N, 1, H, W) booleans, true inside."""
        inside_rows = (self.rows >= 0) & (self.rows < self.side)
        inside_columns = (self.columns >= 0) & (self.columns < self.side)
        return inside_rows[:, None, :, None] & inside_columns[:, None, None, :]


class Schedule:
    """The sides of the windows, proposal by proposal, for images of one size.

    As in the official code the schedule does not depend on how many queries there are. `smallest` and `odd` are what
    the patterns of l2 and l1 need.
    """

    def __init__(
        self, height: int, width: int, *, p_init: float, smallest: int, odd: bool, device: torch.device
    ) -> None:
        self.height, self.width = height, width
        sides = []
        for halvings in range(len(_LAST_PROPOSALS) + 1):
            side = max(round((p_init / 2**halvings * height * width) ** 0.5), smallest)
            side += odd and side % 2 == 0
            sides.append(min(side, height, width))
        self.sides = tuple(sides)
        """The side in each stage."""
        self._sides = torch.tensor([0, *sides], device=device)
        self._starts = torch.tensor([0, *(last + 1 for last in _LAST_PROPOSALS)], device=device)
        self._rows = torch.arange(height, device=device)
        self._columns = torch.arange(width, device=device)

    def stage(self, proposal: Tensor) -> Tensor:
        """(N,) numbers of proposals, from 0, to the stages that they belong to, from 1; stage 0 is before them all."""
        return torch.bucketize(proposal, self._starts, right=True)

    def side(self, stage: Tensor) -> Tensor:
        """(N,) stages to sides; 0 in stage 0."""
        return self._sides[stage]

    def place(self, side: Tensor, draws: Tensor) -> Window:
        """Place windows by (N, 2) uniform draws, each place that lies within the image as likely as any other."""
        room = torch.stack([self.height - side, self.width - side], dim=1)
        first = (draws * (room + 1)).long().minimum(room)  # the product may round up
        return Window(self._rows - first[:, :1], self._columns - first[:, 1:], side[:, None])


class Patterns:
    """For each side a square pattern: two blobs, one positive and one negative, of l2 or l1 norm 1.

    A blob is a pile of ever larger squares about a centre, whose heights fall with the `order` th power of their
    number (the paper's eta); it takes the upper or the lower half, or with `flipped` the left or the right one.
    """

    def __init__(self, sides: Sequence[int], *, order: int, norm: int, like: Tensor) -> None:
        self.largest = max(sides)
        table = torch.zeros(len(sides) + 1, self.largest + 1, self.largest + 1, dtype=like.dtype)
        for stage, side in enumerate(sides, start=1):
            table[stage, :side, :side] = pattern(side, order=order, norm=norm)
        self._values = table.flatten().to(like.device)

    def at(self, stage: Tensor, window: Window, flipped: Tensor) -> Tensor:
        """(N, 1, H, W): each sample's pattern of its stage laid into its window, 0 outside."""
        stride = self.largest + 1
        rows, columns = self._offset(window.rows), self._offset(window.columns)
        along = torch.where(flipped, 1, stride)[:, None]
        places = (stage[:, None] * stride**2 + rows * along)[:, :, None] + (columns * (stride + 1 - along))[:, None, :]
        return self._values.index_select(0, places.flatten()).reshape(places.shape)[:, None]

    def _offset(self, places: Tensor) -> Tensor:
        """What lies outside of any window reads the last row or column of the table, which is 0."""
        return torch.where(places < 0, self.largest, places.clamp(max=self.largest))


def pattern(side: int, *, order: int, norm: int) -> Tensor:
    """The (side, side) pattern that is positive above and negative below, of norm 1, in float64."""
    upper = _blob(side // 2, side, order=order, norm=norm)
    lower = _blob(side - side // 2, side, order=order, norm=norm)
    both = torch.cat([upper, -lower])
    return both / torch.linalg.vector_norm(both, norm)


def _blob(height: int, width: int, *, order: int, norm: int) -> Tensor:
    reach = max(height, width) // 2 + 1
    heights = torch.arange(1, reach + 1, dtype=torch.float64) ** -order
    piled = heights.flip(0).cumsum(0).flip(0)
    rows = (torch.arange(height) - height // 2).abs()
    columns = (torch.arange(width) - width // 2).abs()
    blob = piled[torch.maximum(rows[:, None], columns[None, :])]
    return blob / torch.linalg.vector_norm(blob, norm).clamp(min=1e-12)
