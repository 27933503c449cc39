"""Windows of the Square Attack: their schedule of sides, their random draws, and the patterns of l2 and l1."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from attacks import random

AHEAD = 32
"""Proposals whose random numbers are drawn at once: a draw launches about fifty operators, whatever its size."""

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

    As in the official code the schedule does not depend on the number of queries. Sides are at least `smallest` and,
    with `odd`, rounded up to odd numbers, as the patterns of l2 and l1 need.
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
        """Map numbers of proposals, from 0, to stages of the schedule, from 1; negative numbers to stage 0."""
        return torch.bucketize(proposal, self._starts, right=True)

    def side(self, stage: Tensor) -> Tensor:
        """Stages to sides; 0 in stage 0."""
        return self._sides[stage]

    def largest(self, proposal: int) -> int:
        """The largest side from that proposal on."""
        return self.sides[sum(proposal > last for last in _LAST_PROPOSALS)]

    def first(self, side: Tensor, draws: Tensor) -> Tensor:
        """Draw the first row and column (..., 2) of windows of sides (...), from uniform `draws` (..., 2) in (0, 1).

        Uniform over all places at which the window lies within the image.
        """
        room = torch.stack([self.height - side, self.width - side], dim=-1)
        return (draws * (room + 1)).long().minimum(room)  # the product may round up

    def places(self, draw: "Draw") -> Tensor:
        """Flat positions (N, largest^2), within a channel, of the pixels of each sample's first window.

        Windows smaller than the largest repeat their last row and column; one of side 0 counts as side 1.
        """
        steps = torch.minimum(self._rows[: draw.largest], (draw.side - 1).clamp_(min=0)[:, None])
        rows, columns = (draw.first[:, 0, None] + steps[:, :, None]).unbind(dim=2)
        return ((rows * self.width)[:, :, None] + columns[:, None, :]).flatten(1)

    def window(self, first: Tensor, side: Tensor) -> Window:
        """(N, 2) first rows and columns and (N,) sides as windows."""
        return Window(self._rows - first[:, :1], self._columns - first[:, 1:], side[:, None])


class Draw(NamedTuple):
    """What is drawn for one proposal of each sample."""

    stage: Tensor
    """(N,) of the schedule; 0 for a sample whose start is to be queried first."""
    side: Tensor
    """(N,)"""
    first: Tensor
    """(N, windows, 2) first rows and columns; within the image also for windows of side 0."""
    heads: Tensor
    """(N, coins) booleans: random signs and orientations."""
    largest: int
    """An upper bound on the sides, known to the host."""
    begins: bool
    """Whether windows of side 0 may occur: a sample's first query is the start itself."""


@dataclass(frozen=True)
class Ahead:
    """The draws for the next AHEAD proposals of each sample."""

    stage: Tensor
    """(N, AHEAD)"""
    side: Tensor
    first: Tensor
    """(N, AHEAD, windows, 2)"""
    heads: Tensor
    """(N, AHEAD, coins)"""


class Lots:
    """Random draws for each sample from (seed, index, proposal), made for many proposals at once.

    The draws are rows of the attack's state (`Ahead`). The host keeps the column that is next, and the proposal number
    of the sample that joined last, so that no step waits for the device.
    """

    def __init__(self, schedule: Schedule, seed: int, *, windows: int, coins: int) -> None:
        self._schedule, self._seed, self._windows, self._coins = schedule, seed, windows, coins
        self._place = AHEAD
        self._youngest = -1

    def joined(self, indices: Tensor) -> Ahead:
        """Allocate the draws of joining samples, whose next proposal is -1; `next` then draws anew for all samples."""
        self._place, self._youngest = AHEAD, -1
        shape = (len(indices), AHEAD)
        room = indices.new_empty(shape)
        first = indices.new_empty(*shape, self._windows, 2)
        return Ahead(room, room, first, room.new_empty(*shape, self._coins, dtype=torch.bool))

    def next(self, ahead: Ahead, indices: Tensor, spent: Tensor) -> tuple[Ahead, Draw]:
        """Return the next draw of samples that have spent (N,) queries, drawing AHEAD more when they are used up."""
        if self._place == AHEAD:
            ahead, self._place = self._drawn(indices, spent - 2), 0
        place, youngest = self._place, self._youngest
        self._place, self._youngest = place + 1, youngest + 1
        largest = self._schedule.largest(max(youngest, 0))
        stage, side, first, heads = (part[:, place] for part in (ahead.stage, ahead.side, ahead.first, ahead.heads))
        return ahead, Draw(stage, side, first, heads, largest, begins=youngest < 0)

    def _drawn(self, indices: Tensor, proposal: Tensor) -> Ahead:
        proposals = proposal[:, None] + torch.arange(AHEAD, device=proposal.device)
        shape, places = proposals.shape, 2 * self._windows
        seats = indices[:, None].expand(shape).flatten()
        draws = random.uniform(self._seed, seats, (places + self._coins,), stream=proposals.flatten() + 1)
        draws = draws.reshape(*shape, -1)
        stage = self._schedule.stage(proposals)
        side = self._schedule.side(stage)
        wheres = draws[:, :, :places].reshape(*shape, self._windows, 2)
        first = self._schedule.first(side.clamp(min=1)[:, :, None].expand(*shape, self._windows), wheres)
        return Ahead(stage, side, first, draws[:, :, places:] < 0.5)


class Patterns:
    """Square patterns for all sides of a schedule: a positive and a negative blob, together of l2 or l1 norm 1.

    A blob (the paper's eta) is a sum of concentric squares of growing side, whose heights fall with their number to the
    power `order`; the two fill the upper and lower half, or with `flipped` the left and right half.
    """

    def __init__(self, sides: Sequence[int], *, order: int, norm: int, like: Tensor) -> None:
        self.largest = max(sides)
        table = torch.zeros(len(sides) + 1, self.largest + 1, self.largest + 1, dtype=like.dtype)
        for stage, side in enumerate(sides, start=1):
            table[stage, :side, :side] = pattern(side, order=order, norm=norm)
        self._values = table.flatten().to(like.device)

    def at(self, stage: Tensor, window: Window, flipped: Tensor) -> Tensor:
        """Place each sample's pattern of its stage into its window: (N, 1, H, W), 0 outside."""
        stride = self.largest + 1
        rows, columns = self._offset(window.rows), self._offset(window.columns)
        along = torch.where(flipped, 1, stride)[:, None]
        places = (stage[:, None] * stride**2 + rows * along)[:, :, None] + (columns * (stride + 1 - along))[:, None, :]
        return self._values.index_select(0, places.flatten()).reshape(places.shape)[:, None]

    def _offset(self, places: Tensor) -> Tensor:
        """Clamp offsets to the table; pixels outside the window read its last row or column, which is 0."""
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
