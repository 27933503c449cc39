"""Figures draw what they are given, whatever its names, and read by day, by night and without colour vision."""

import math
import re
from itertools import combinations
from xml.etree import ElementTree

import pytest

from evaluation.report.figures import file_svg, page_svg
from evaluation.report.looks import looks
from evaluation.report.palette import DARK, LIGHT, NUM_SERIES
from evaluation.report.panels import BarPanel, Bars, CurvePanel, Line, Series

CURVES = CurvePanel(
    title="t",
    x_label="eps",
    y_label="accuracy",
    series=(
        Series(
            name="pgd", x=(0.0, 0.1, 0.2), y=(0.9, 0.5, math.nan), low=(0.8, 0.4, math.nan), high=(1, 0.6, math.nan)
        ),
        Series(name="fgsm", x=(0.0, 0.1, 0.2), y=(0.9, 0.7, 0.3), style="dashed"),
    ),
    lines=(Line("chance", 0.1), Line("unknown", math.nan)),
    percent=True,
)
NASTY = ("<script>&\"'", "$\\frac{1}{0}$", "a$b", "_hidden", "猫", "x" * 200, "", "two\nlines")


def _bars(names: tuple[str, ...]) -> BarPanel:
    values = tuple(float(place) for place in range(len(names)))
    return BarPanel(title="t", categories=names, series=(Bars(name="n", values=values, low=values, high=values),))


def _texts(svg: str) -> list[str]:
    return [
        "".join(element.itertext()) for element in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")
    ]


def test_the_axes_are_named_and_in_percent() -> None:
    texts = _texts(page_svg(CURVES))
    assert {"eps", "accuracy", "100 %"} <= set(texts)
    assert "pgd" not in texts  # the legend of the page is text beside the figure
    assert {"pgd", "fgsm", "chance"} <= {text.strip() for text in _texts(file_svg(CURVES))}


def test_the_same_panel_gives_the_same_bytes() -> None:
    assert page_svg(CURVES) == page_svg(CURVES)
    assert file_svg(CURVES) == file_svg(CURVES)


def test_the_readers_style_file_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    import matplotlib

    before = page_svg(CURVES)
    monkeypatch.setitem(matplotlib.rcParams, "xtick.labelsize", 30.0)
    monkeypatch.setitem(matplotlib.rcParams, "axes.facecolor", "#123456")
    assert page_svg(CURVES) == before


@pytest.mark.parametrize("count", [1, 8, 30, 100])
def test_any_names_and_any_number_of_categories_are_drawn(count: int) -> None:
    names = tuple(NASTY[place % len(NASTY)] for place in range(count))
    for svg in (page_svg(_bars(names)), file_svg(_bars(names))):
        assert ElementTree.fromstring(svg).tag.endswith("svg")


def test_a_name_with_dollars_is_no_formula_and_an_underscore_hides_nothing() -> None:
    series = tuple(Series(name=name, x=(0.0, 1.0), y=(0.0, 1.0)) for name in NASTY)
    texts = _texts(file_svg(CurvePanel(title="t", x_label="$x$", y_label="y", series=series)))
    assert {"$x$", "a$b", "_hidden", "猫", "$\\frac{1}{0}$", "<script>&\"'"} <= {text.strip() for text in texts}


@pytest.mark.parametrize("panel", [CurvePanel(title="", x_label="", y_label="", series=()), _bars(())])
def test_an_empty_panel_is_drawn(panel: CurvePanel | BarPanel) -> None:
    assert page_svg(panel).startswith("<svg")


def test_unknown_values_leave_a_gap() -> None:
    unknown = Series(
        name="u", x=(1.0, 2.0), y=(math.nan, math.nan), low=(math.nan, math.nan), high=(math.nan, math.nan)
    )
    panel = CurvePanel(title="", x_label="", y_label="", series=(unknown,), log_x=True, log_y=True)
    assert "nan" not in page_svg(panel).lower().replace("sans", "")


def test_every_colour_of_the_page_figure_follows_day_and_night() -> None:
    svg = page_svg(CURVES)
    assert "prefers-color-scheme:dark" in svg
    body = svg[svg.index("</style>") :]
    plain = set(re.findall(r"(?<!,)#[0-9a-f]{6}", re.sub(r"var\(--[\w-]+,#[0-9a-f]{6}\)", "", body)))
    assert plain <= {"#000000"}, plain


def test_a_chosen_colour_is_kept_and_markers_differ() -> None:
    series = tuple(Series(name=str(place), x=(0.0,), y=(0.0,), color=place // 2) for place in range(4))
    found = looks(CurvePanel(title="", x_label="", y_label="", series=series))
    assert [look.color for look in found] == ["series-0", "series-0", "series-1", "series-1"]
    assert len({look.marker for look in found}) == 4


def _luminance(color: str) -> float:
    channels = [int(color[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(first: str, second: str) -> float:
    light, dark = sorted((_luminance(first), _luminance(second)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("colors", [LIGHT, DARK], ids=["light", "dark"])
def test_text_and_curves_stand_out_from_what_is_behind_them(colors: dict[str, str]) -> None:
    assert set(LIGHT) == set(DARK)
    for ink in ("ink", "muted", "accent", "warn", "good", "bad"):
        assert _contrast(colors[ink], colors["card"]) >= 4.5, ink
        assert _contrast(colors[ink], colors["page"]) >= 4.5, ink
    for tinted in ("good", "warn", "bad"):
        assert _contrast(colors[tinted], colors[f"{tinted}-tint"]) >= 4.5, tinted
    assert _contrast(colors["muted"], colors["tint"]) >= 4.5
    for place in range(NUM_SERIES):
        assert _contrast(colors[f"series-{place}"], colors["card"]) >= 3, place


# Machado et al. (2009), full strength, on linear RGB.
_PROTAN = ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998))
_DEUTAN = ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881))


@pytest.mark.parametrize("matrix", [_PROTAN, _DEUTAN], ids=["protan", "deutan"])
@pytest.mark.parametrize("colors", [LIGHT, DARK], ids=["light", "dark"])
def test_the_first_colours_differ_for_the_colour_blind(
    colors: dict[str, str], matrix: tuple[tuple[float, ...], ...]
) -> None:
    seen = []
    for place in range(4):
        channels = [int(colors[f"series-{place}"][start : start + 2], 16) / 255 for start in (1, 3, 5)]
        linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
        seen.append([max(0.0, sum(a * b for a, b in zip(row, linear, strict=True))) ** (1 / 2.2) for row in matrix])
    for first, second in combinations(range(4), 2):
        assert math.dist(seen[first], seen[second]) > 0.1, (first, second)
