"""What stands under one title in several runs is shown together."""

import pytest

from evaluation.report.panels import BarPanel, Bars, CurvePanel, ImagePanel, Panel, Picture, Series
from evaluation.report.results import Results
from evaluation.side_by_side.joined_panels import compared_panels


def _curves(*names: str, title: str = "t", x_label: str = "eps") -> CurvePanel:
    series = tuple(Series(name=name, x=(0.0, 1.0), y=(1.0, 0.0)) for name in names)
    return CurvePanel(title=title, x_label=x_label, y_label="y", series=series)


def _run(*panels: Panel, run: str = "r") -> Results:
    return Results(command="attack", title="t", run=run, panels=panels)


def test_curves_of_the_same_title_are_laid_over_each_other_in_the_colour_of_their_run() -> None:
    (panel,) = compared_panels([_run(_curves("fgsm", "pgd")), _run(_curves("fgsm", "pgd"))], ["a", "b"])
    assert isinstance(panel, CurvePanel)
    assert [series.name for series in panel.series] == ["a: fgsm", "a: pgd", "b: fgsm", "b: pgd"]
    assert [series.color for series in panel.series] == [0, 0, 1, 1]
    assert [series.style for series in panel.series] == ["solid", "dashed"] * 2


def test_panels_whose_titles_differ_by_a_hash_alone_are_joined() -> None:
    runs = [_run(_curves("pgd", title=f"Attack on cnn {digest}")) for digest in ("a1b2c3d4e5f6", "0123456789ab")]
    (panel,) = compared_panels(runs, ["a", "b"])
    assert panel.title == "Attack on cnn"


def test_curves_of_other_axes_or_of_one_run_are_not_joined() -> None:
    runs = [_run(_curves("pgd"), _curves("x", title="alone")), _run(_curves("pgd", x_label="steps"))]
    assert compared_panels(runs, ["a", "b"]) == []


@pytest.mark.parametrize(("layout", "each"), [("wide", 2), ("triplets", 6), ("tiles", 9)])
def test_pictures_stand_side_by_side_whatever_was_scored(layout, each, make_score) -> None:
    runs = []
    for subject in ("dcgan 0123456789ab", "sngan ba9876543210"):
        pictures = tuple(Picture(f"{number}.png", "generated") for number in range(9 if layout != "wide" else 2))
        panel = ImagePanel(title=f"Real beside generated, {subject}", items=pictures, layout=layout)
        scores = (make_score("fid", 1.0, subject=subject),)
        runs.append(Results(command="eval", title="t", run="r", panels=(panel,), scores=scores))
    (panel,) = compared_panels(runs, ["a", "b"])
    assert panel.title == "Real beside generated"
    assert [item.file for item in panel.items] == [f"{run}/{number}.png" for run in (0, 1) for number in range(each)]
    assert panel.items[each].caption == "b: generated"


def test_bars_that_all_runs_share_stand_once() -> None:
    def run(value: float) -> Results:
        series = (Bars(name="real", values=(0.5,)), Bars(name="generated", values=(value,)))
        return _run(BarPanel(title="Classes", categories=("0",), series=series))

    (panel,) = compared_panels([run(0.1), run(0.2)], ["a", "b"])
    assert [bars.name for bars in panel.series] == ["real", "a: generated", "b: generated"]
