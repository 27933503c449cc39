"""Runs are compared only where they may be, and no difference within the noise gets a star."""

from collections.abc import Callable
from pathlib import Path

import pytest

from evaluation.record.scores import Score
from evaluation.report.comparison import compared_panels, pivot, run_names
from evaluation.report.page import write_comparison
from evaluation.report.panels import CurvePanel, Series
from evaluation.report.results import Results

Make = Callable[..., Score]


def _curves(*names: str, title: str = "t", x_label: str = "eps") -> CurvePanel:
    series = tuple(Series(name=name, x=(0.0, 1.0), y=(1.0, 0.0)) for name in names)
    return CurvePanel(title=title, x_label=x_label, y_label="y", series=series)


def _run(*panels: CurvePanel, run: str = "r") -> Results:
    return Results(command="attack", title="t", run=run, panels=panels)


def test_the_same_measurement_stands_in_one_row(make_score: Make) -> None:
    first, second = (
        make_score("fid", 1.0, subject="gan a1b2c3d4e5f6"),
        make_score("fid", 2.0, subject="gan 0123456789ab"),
    )
    (row,) = pivot([[first], [second], []])
    assert row.cells == (first, second, None)
    assert (row.note, row.alone) == ("", False)


@pytest.mark.parametrize("field", ["data", "protocol", "extractor"])
def test_other_data_or_another_protocol_stand_apart_with_a_note(field: str, make_score: Make) -> None:
    first, second = make_score("fid", 1.0, **{field: "one"}), make_score("fid", 2.0, **{field: "two"})
    rows = pivot([[first], [second]])
    assert [row.cells for row in rows] == [(first, None), (None, second)]
    name = "judge" if field == "extractor" else field
    assert [row.note for row in rows] == [f"{name}: one", f"{name}: two"]
    assert all(row.alone for row in rows)
    assert all(row.best is None for row in rows)


def test_several_models_of_a_run_align_by_name_without_hash(make_score: Make) -> None:
    def scores(run: int) -> list[Score]:
        return [make_score("fid", float(run), subject=f"{name} {run}{'ab' * 5}f") for name in ("before", "after")]

    runs = [scores(1), scores(2)]
    rows = pivot(runs)
    assert [row.cells for row in rows] == [(runs[0][0], runs[1][0]), (runs[0][1], runs[1][1])]
    assert [row.note for row in rows] == ["subject: before", "subject: after"]
    assert not any(row.alone for row in rows)


def test_two_seeds_of_one_run_keep_their_rows(make_score: Make) -> None:
    scores = [make_score("fid", 1.0, seed=0), make_score("fid", 2.0, seed=1)]
    assert [row.note for row in pivot([scores, scores])] == ["seed: 0", "seed: 1"]


def test_a_score_that_a_run_holds_twice_is_lost_nowhere(make_score: Make) -> None:
    scores = [make_score("fid", 1.0), make_score("fid", 2.0)]
    assert [row.cells for row in pivot([scores, scores[:1]])] == [(scores[0], scores[0]), (scores[1], None)]


@pytest.mark.parametrize(
    ("metric", "intervals", "best"),
    [
        ("recall", [(0.5, 0.6), (0.7, 0.8)], 1),
        ("recall", [(0.5, 0.72), (0.7, 0.8)], None),
        ("fid", [(10.0, 11.0), (12.0, 13.0), (14.0, 15.0)], 0),
        ("fid", [(10.0, 12.5), (12.0, 13.0), (14.0, 15.0)], None),
        ("mean_l2", [(0.5, 0.6), (0.7, 0.8)], None),
        ("recall", [(0.5, 0.6)], None),
        ("recall", [(0.5, 0.6), (float("nan"), float("nan"))], None),
    ],
)
def test_a_star_needs_intervals_apart(
    metric: str, intervals: list[tuple[float, float]], best: int | None, make_score: Make
) -> None:
    runs = [[make_score(metric, (low + high) / 2, low, high)] for low, high in intervals]
    assert pivot(runs)[0].best == best


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


def test_runs_of_the_same_name_are_told_apart() -> None:
    runs = [_run(run="runs/a/1-x"), _run(run="runs/b/1-x"), _run(run="runs/b/2-y"), _run(run="")]
    assert run_names(runs, [Path("p"), Path("q"), Path("r"), Path("s")]) == ["1-x (1)", "1-x (2)", "2-y", "s"]


def test_the_page_joins_scores_curves_pictures_and_findings(two_runs: list[Path], tmp_path: Path) -> None:
    html = write_comparison(two_runs, tmp_path / "out" / "both.html").read_text().replace("\u00a0", " ")
    assert html.count("00001-digits: fgsm") >= 1
    assert html.count('class="best"') == 1  # hardening on real images, the one difference beyond the noise
    assert html.count("The budget is large for this data") == 2
    assert html.count("Generated, step 3,000") == 4  # caption and words of one picture from each run
    assert "In detail" in html
    assert "no picture at" not in html


def test_a_comparison_goes_into_a_folder_or_a_file(two_runs: list[Path], tmp_path: Path) -> None:
    assert write_comparison(two_runs, tmp_path) == tmp_path / "comparison.html"
    assert write_comparison(two_runs[:1], tmp_path / "new") == tmp_path / "new" / "comparison.html"
    assert write_comparison(two_runs, tmp_path / "page.html") == tmp_path / "page.html"


def test_a_run_without_results_stops_the_comparison(two_runs: list[Path], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no results at"):
        write_comparison([*two_runs, tmp_path / "nowhere"], tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()
