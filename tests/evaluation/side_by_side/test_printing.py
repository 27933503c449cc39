"""A comparison on the console and as JSON says what the page says."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from cli import cli
from evaluation.side_by_side.contrasts import contrasts
from evaluation.side_by_side.printing import plain_comparison, print_rows
from evaluation.side_by_side.sides import Side


def sides(make_score) -> list[Side]:
    values = {"A": 0.5, "B": 0.7}
    scores = {name: make_score("recall", share, share - 0.05, share + 0.05) for name, share in values.items()}
    return [
        Side(name="A", command="eval", scores=[scores["A"], make_score("vendi", float("inf"), samples=7)]),
        Side(name="B", command="eval", scores=[scores["B"]]),
    ]


def test_rows_stand_with_their_difference_below(make_score, capsys) -> None:
    runs = sides(make_score)
    print_rows(runs, contrasts(runs))
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == ["A", "B", "p", "paired", "setting"]
    assert lines[2] == ["50.0", "%", "70.0", "%", "*", "n", "=", "450"]
    assert lines[3] == ["+20.0", "points", "[+12.9,", "+27.1]", "<", "0.001"]
    assert lines[5] == ["∞", "–", "n", "=", "7"]


def test_all_rows_are_strict_json(make_score) -> None:
    runs = sides(make_score)
    found = json.loads(json.dumps(plain_comparison(runs, contrasts(runs)), allow_nan=False))
    recall, vendi = found["rows"]
    assert recall["best"] == "B"
    assert recall["differences"][0]["value"] == pytest.approx(0.2)
    assert (recall["differences"][0]["of"], recall["differences"][0]["minus"]) == ("B", "A")
    assert vendi["scores"]["B"] is None
    assert found["verdict"].startswith("B is better than A in recall")


def test_the_verb_prints_rows_verdict_and_page(two_runs: list[Path], tmp_path: Path) -> None:
    names = [str(folder) for folder in two_runs]
    page = tmp_path / "both.html"
    ended = CliRunner().invoke(cli, ["compare", *names, "-o", str(page)])
    assert ended.exit_code == 0, ended.output
    assert "leaves the same model more accuracy than 00002-weaker under pgd-linf-0.3" in ended.stdout
    assert ended.stdout.splitlines()[-1] == str(page)
    assert page.is_file()
    assert json.loads(CliRunner().invoke(cli, ["compare", *names, "--json"]).stdout)["runs"] == [
        "00001-digits",
        "00002-weaker",
    ]
    alone = CliRunner().invoke(cli, ["compare", names[0]])
    assert alone.exit_code == 2
    assert "two runs or more; got 1" in alone.stderr
