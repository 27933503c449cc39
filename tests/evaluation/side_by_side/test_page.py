"""The page that joins runs."""

from pathlib import Path

import pytest

import cli
from evaluation.report.results import Results
from evaluation.side_by_side.page import write_comparison
from evaluation.side_by_side.sides import run_names


def test_runs_of_the_same_name_are_told_apart() -> None:
    runs = [Results(command="attack", title="t", run=run) for run in ("runs/a/1-x", "runs/b/1-x", "runs/b/2-y", "")]
    assert run_names(runs, [Path("p"), Path("q"), Path("r"), Path("s")]) == ["1-x (1)", "1-x (2)", "2-y", "s"]


def test_the_page_joins_scores_curves_pictures_and_findings(two_runs: list[Path], tmp_path: Path) -> None:
    html = write_comparison(two_runs, tmp_path / "out" / "both.html").read_text().replace("\u00a0", " ")
    assert html.count("00001-digits: fgsm") >= 1
    assert html.count('class="best"') == 2  # hardening on real images, and the distance of the generator
    assert "No difference is beyond chance" not in html
    assert html.count("taken for independent") >= 5, "these runs kept no answers"
    assert html.count("<details><summary>") >= 1
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


def test_a_file_of_another_kind_is_not_overwritten(
    two_runs: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It was: `report A B -o thesis.html` left the comparison in place of the thesis."""
    notes, page = tmp_path / "thesis.html", tmp_path / "page.html"
    notes.write_text("<!doctype html><title>Thesis</title>")
    runs = [str(folder) for folder in two_runs]
    for arguments in (["report", *runs, "-o", str(notes)], ["compare", *runs, "-o", str(notes)]):
        with pytest.raises(SystemExit) as end:
            cli.main(arguments)
        assert end.value.code == 2
        out, err = capsys.readouterr()
        assert out == "", "nothing is printed of what cannot be written"
        assert err.endswith("thesis.html: is no page of advgan, and is not overwritten: choose another name\n")
    assert notes.read_text() == "<!doctype html><title>Thesis</title>"

    first = write_comparison(two_runs, page).read_bytes()
    assert write_comparison(two_runs[:1], page).read_bytes() != first, "a page of ours is written anew"
    assert write_comparison([two_runs[0]], two_runs[1] / "report.html").is_file()
