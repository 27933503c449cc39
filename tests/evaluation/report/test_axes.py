"""Ticks as a person would draw them: round, in plain digits, none between whole numbers, no lone power of ten."""

import math
import re
from xml.etree import ElementTree

import pytest

from evaluation.report.axes import common_power, is_wide, tick
from evaluation.report.figures import page_svg
from evaluation.report.panels import BarPanel, Bars, CurvePanel, Line, Series


def texts(
    y: tuple[float, ...], *, x: tuple[float, ...] | None = None, lines: tuple[Line, ...] = (), **more: bool
) -> list[str]:
    """What is written along the axes of a figure, the names of the axes left out."""
    along = x or tuple(float(place) for place in range(len(y)))
    panel = CurvePanel(
        title="t", x_label="steps", y_label="norm", series=(Series(name="s", x=along, y=y),), lines=lines, **more
    )
    found = ElementTree.fromstring(page_svg(panel)).iter("{http://www.w3.org/2000/svg}text")
    return ["".join(element.itertext()).strip() for element in found]


@pytest.mark.parametrize(
    ("value", "power", "shown"),
    [
        *[(0.0, 0, "0"), (1000.0, 0, "1,000"), (0.05, 0, "0.05"), (-2.0, 0, "−2"), (0.1 + 0.2, 0, "0.3")],
        *[(2e-5, -5, "2·10⁻⁵"), (1e-7, -7, "10⁻⁷"), (-3e9, 9, "−3·10⁹"), (5e-6, -5, "0.5·10⁻⁵"), (0.0, -5, "0")],
    ],
)
def test_a_tick_is_plain_digits_or_a_power_in_print(value: float, power: int, shown: str) -> None:
    assert tick(value, power) == shown


@pytest.mark.parametrize(("most", "power"), [(0.0, 0), (0.3, 0), (2000.0, 0), (2e-5, -5), (3e9, 9)])
def test_the_ticks_of_an_axis_share_one_power(most: float, power: int) -> None:
    assert common_power(most) == power


@pytest.mark.parametrize(
    ("low", "high"), [(0.06, 0.5), (0.1, 1.0), (0.9, 40.0), (3e-3, 2.0), (1e-6, 10.0), (8.0, 900.0)]
)
def test_a_logarithmic_axis_has_several_plain_ticks_and_says_what_it_is(low: float, high: float) -> None:
    found = texts((low, high), log_y=True)
    assert "norm (log scale)" in found
    marks = [text for text in found if re.fullmatch(r"[\d.,·⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+", text)]
    assert len([mark for mark in marks if re.sub(r"[·⁻⁰¹²³⁴⁵⁶⁷⁸⁹.,0]", "", mark) in ("1", "2", "5")]) >= 3
    assert not any("$" in text or "times" in text for text in found)


def test_values_within_a_factor_of_three_are_drawn_on_a_linear_axis() -> None:
    assert "norm" in texts((0.7, 1.4), log_y=True)
    assert "norm (log scale)" in texts((0.1, 0.2), log_y=True, lines=(Line("1-Lipschitz", 1.0),))
    assert not is_wide([])
    assert not is_wide([0.0, -1.0, math.nan, math.inf])


@pytest.mark.parametrize("most", [1.0, 2.0, 3.0, 7.0, 20.0])
def test_nothing_lies_between_whole_numbers(most: float) -> None:
    whole = tuple(float(place) for place in range(1, int(most) + 1))
    assert not [text for text in texts(whole, x=whole) if "." in text]


@pytest.mark.parametrize("scale", [1e-9, 1e-5, 1.0, 1e5, 1e12])
def test_no_text_of_an_offset_stands_beside_an_axis(scale: float) -> None:
    for values in ((1.0, 1.0), (1.0, 1.00000001), (1.0, 2.0)):
        found = texts(tuple(scale * value for value in values), x=(0.1, 0.3))
        assert not [text for text in found if re.search(r"1?e[-+−]?\d|^\+|×", text)], found
        ticks = [text for text in found if text not in ("steps", "norm")]
        assert len(set(ticks)) == len(ticks) or scale == 1.0, found


@pytest.mark.parametrize(("values", "whole"), [((0.1,) * 10, False), ((0.9, 0.1, 0.8), True), ((0.0, 0.0), True)])
def test_shares_of_one_whole_fill_their_figure_and_accuracies_are_held_against_all(
    values: tuple[float, ...], whole: bool
) -> None:
    names = tuple(str(place) for place in range(len(values)))
    panel = BarPanel(title="t", categories=names, series=(Bars(name="n", values=values),), percent=True)
    found = ElementTree.fromstring(page_svg(panel)).iter("{http://www.w3.org/2000/svg}text")
    assert ("100 %" in {"".join(element.itertext()).strip() for element in found}) == whole
