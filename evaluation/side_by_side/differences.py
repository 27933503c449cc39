"""How a difference between two runs reads: its size, its interval, and how sure it is."""

import math

from evaluation.report.text import format_count, format_number, is_rate
from evaluation.side_by_side.contrasts import Pair

LEAST = 0.001
"""Smaller p-values are told as smaller than this."""


def difference_words(metric: str, pair: Pair) -> str:
    """`+6.2 points [1.1, 11.3]` for a rate, else the numbers as they are."""
    show = _points if is_rate(metric) else _signed
    value, low, high = (show(each) for each in pair.found[:3])
    unit = " points" if is_rate(metric) else ""
    return f"{value}{unit}" if math.isnan(pair.found.low) else f"{value}{unit} [{low}, {high}]"


def chance_words(pair: Pair) -> str:
    """The corrected p-value and on what it rests, or why there is none."""
    if pair.reason:
        return f"not compared: {pair.reason}"
    if math.isnan(pair.p_value):
        return ""
    shared, sign = pair.found.pairs, "" if pair.p_value < LEAST else "= "
    return (
        f"p {sign}{p_words(pair)} {f'on the same {format_count(shared)} images' if shared else 'taken for independent'}"
    )


def p_words(pair: Pair) -> str:
    """`0.62`, or `< 0.001`; nothing where none is known."""
    if math.isnan(pair.p_value):
        return ""
    return f"< {LEAST}" if pair.p_value < LEAST else f"{pair.p_value:.2g}"


def _points(value: float) -> str:
    text = f"{100 * value:+.1f}"
    return text if float(text) else "0.0"


def _signed(value: float) -> str:
    return f"+{format_number(value)}" if value > 0 else format_number(value)
