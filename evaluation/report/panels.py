"""The blocks of a report as plain data: everything that a page shows beside its scores, ready for `results.json`."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, PlainSerializer

_STRICT = ConfigDict(extra="forbid")


def _from_json(value: Any) -> Any:
    return math.nan if value is None else value


def _to_json(value: float) -> float | str | None:
    """JSON has neither NaN (None here) nor infinity (a word here)."""
    if math.isnan(value):
        return None
    return str(value) if math.isinf(value) else value


def _to_cell(value: float) -> float | str | None:
    """In a table infinity becomes its sign, since a cell may as well be text."""
    return ("∞" if value > 0 else "-∞") if math.isinf(value) else _to_json(value)


Number = Annotated[float, BeforeValidator(_from_json), PlainSerializer(_to_json)]
Numbers = tuple[Number, ...]
Cell = str | int | Annotated[float, BeforeValidator(_from_json), PlainSerializer(_to_cell)]


@dataclass(frozen=True)
class Picture:
    """A PNG, JPEG, GIF or WebP file, named relative to the run folder, and the text below it."""

    file: str
    caption: str = ""
    __pydantic_config__ = _STRICT


@dataclass(frozen=True)
class Line:
    """A horizontal reference line, such as chance level or the equilibrium value of a loss."""

    name: str
    y: Number
    __pydantic_config__ = _STRICT


@dataclass(frozen=True, kw_only=True)
class Series:
    """One curve; `low` and `high` bound its shaded interval (empty: none; NaN: unknown at that point).

    `color` picks a place in the palette, so that curves which belong together share a colour (None: the next one).
    """

    name: str
    x: Numbers
    y: Numbers
    low: Numbers = ()
    high: Numbers = ()
    style: Literal["solid", "dashed", "dotted"] = "solid"
    color: int | None = None
    __pydantic_config__ = _STRICT

    def __post_init__(self) -> None:
        _same_length(f"series {self.name!r}", len(self.x), y=self.y)
        _interval_length(f"series {self.name!r}", len(self.x), self.low, self.high)


@dataclass(frozen=True, kw_only=True)
class Bars:
    """One group of bars, a value a category; `low` and `high` as in `Series`."""

    name: str
    values: Numbers
    low: Numbers = ()
    high: Numbers = ()
    __pydantic_config__ = _STRICT

    def __post_init__(self) -> None:
        _interval_length(f"bars {self.name!r}", len(self.values), self.low, self.high)


@dataclass(frozen=True, kw_only=True)
class ImagePanel:
    """Pictures with their captions.

    `layout` says how they stand: "tiles" flow, small; "triplets" stay together in threes (clean, perturbation,
    adversarial), so their number is a multiple of three; "wide" are large, two beside each other where there is room.
    """

    title: str
    caption: str = ""
    section: str = ""
    items: tuple[Picture, ...]
    layout: Literal["tiles", "triplets", "wide"] = "tiles"
    kind: Literal["images"] = "images"
    __pydantic_config__ = _STRICT

    def __post_init__(self) -> None:
        if self.layout == "triplets" and len(self.items) % 3:
            raise ValueError(
                f"panel {self.title!r}: triplets need a multiple of 3 pictures, here are {len(self.items)}"
            )


@dataclass(frozen=True, kw_only=True)
class CurvePanel:
    """Curves in one pair of axes; `percent` shows fractions in [0, 1] as percentages."""

    title: str
    caption: str = ""
    section: str = ""
    x_label: str
    y_label: str
    series: tuple[Series, ...]
    lines: tuple[Line, ...] = ()
    log_x: bool = False
    log_y: bool = False
    percent: bool = False
    kind: Literal["curves"] = "curves"
    __pydantic_config__ = _STRICT


@dataclass(frozen=True, kw_only=True)
class BarPanel:
    """Bars over categories, one colour a series: the histogram of modes, the accuracy of each class."""

    title: str
    caption: str = ""
    section: str = ""
    categories: tuple[str, ...]
    series: tuple[Bars, ...]
    lines: tuple[Line, ...] = ()
    x_label: str = ""
    y_label: str = ""
    percent: bool = False
    kind: Literal["bars"] = "bars"
    __pydantic_config__ = _STRICT

    def __post_init__(self) -> None:
        for bars in self.series:
            _same_length(f"panel {self.title!r}", len(self.categories), **{f"bars {bars.name!r}": bars.values})


@dataclass(frozen=True, kw_only=True)
class TablePanel:
    """Rows of text and numbers; numbers stand to the right."""

    title: str
    caption: str = ""
    section: str = ""
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    kind: Literal["table"] = "table"
    __pydantic_config__ = _STRICT

    def __post_init__(self) -> None:
        for number, row in enumerate(self.rows, start=1):
            _same_length(f"panel {self.title!r}", len(self.columns), **{f"row {number}": row})


Panel = ImagePanel | CurvePanel | BarPanel | TablePanel


def _same_length(owner: str, length: int, **named: Sequence[object]) -> None:
    for name, values in named.items():
        if len(values) != length:
            raise ValueError(f"{owner}: {name} has {len(values)} values, {length} are needed")


def _interval_length(owner: str, length: int, low: Numbers, high: Numbers) -> None:
    if low or high:
        _same_length(owner, length, low=low, high=high)
