"""Axes as a person would draw them: round ticks in plain digits, whole numbers where nothing lies between them."""

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axis import Axis

WIDE = 3.0
"""Factor over which values must spread for a logarithmic axis: over less it would have a single tick."""
FEW_DECADES = 3
"""Powers of ten up to which a logarithmic axis is marked at 1, 2 and 5; beyond at powers alone."""
LEVEL = 1e-3
"""Least span of an axis as a share of its values: a constant is a flat line, not the noise of its last digits."""
_PLAIN = (1e-3, 1e6)
"""Sizes that are written in plain digits."""
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
LOG = " (log scale)"


def is_wide(values: Iterable[float]) -> bool:
    """Whether a logarithmic axis has anything to show of these values."""
    positive = [value for value in values if value > 0 and math.isfinite(value)]
    return bool(positive) and max(positive) >= WIDE * min(positive)


def mark_percent(axis: "Axis") -> None:
    """Label fractions as percentages."""
    from matplotlib.ticker import FuncFormatter

    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.3g} %".replace("-", "−")))


def mark_linear(axis: "Axis", values: Sequence[float], *, most: int | None = None) -> None:
    """At most so many round ticks, of whole numbers where all values are; no offset beside the axis."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    known = [value for value in values if math.isfinite(value)]
    whole = bool(known) and all(value == round(value) for value in known)
    if most or whole:
        axis.set_major_locator(MaxNLocator(most or 6, steps=[1, 2, 2.5, 5, 10], integer=whole, min_n_ticks=1))
    power = common_power(max(map(abs, known), default=0))
    axis.set_major_formatter(FuncFormatter(lambda value, _: tick(float(value), power)))


def mark_log(axis: "Axis", values: Iterable[float]) -> None:
    """Mark 1, 2 and 5 times the powers of ten, or powers alone where there are many, in plain digits."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    positive = [value for value in values if value > 0 and math.isfinite(value)]
    few = math.log10(max(positive) / min(positive)) <= FEW_DECADES
    plain = few and min(positive) >= _PLAIN[0] and max(positive) < _PLAIN[1]
    axis.set_major_locator(LogLocator(base=10, subs=(1.0, 2.0, 5.0) if few else (1.0,), numticks=12))
    axis.set_minor_locator(NullLocator())
    powers = FuncFormatter(lambda value, _: tick(float(value), 0 if plain else math.floor(math.log10(value) + 1e-9)))
    axis.set_major_formatter(powers)


def move_apart(axis: "Axis") -> None:
    """Move the ends of an axis apart where they are too near to each other to be told in few digits."""
    low, high = axis.get_view_interval()
    middle, least = (low + high) / 2, LEVEL * max(abs(low), abs(high))
    if abs(high - low) < least:
        axis.set_view_interval(middle - least / 2, middle + least / 2, ignore=True)


def common_power(most: float) -> int:
    """The power of ten that the ticks of an axis up to `most` share; 0 where plain digits are short enough."""
    return 0 if most == 0 or _PLAIN[0] <= most < _PLAIN[1] else math.floor(math.log10(most))


def tick(value: float, power: int = 0) -> str:
    """`1,000`, `0.05`, `−2`; of a power of ten `2·10⁻⁵`, and `10⁻⁵` for one of it."""
    digits = f"{value / 10.0**power:,.8f}".rstrip("0").rstrip(".").replace("-", "−")
    if digits in ("0", "−0"):
        return "0"
    if power == 0:
        return digits
    ten = f"10{str(power).translate(_SUPERSCRIPT)}"
    return ten if digits == "1" else f"{digits}·{ten}"
