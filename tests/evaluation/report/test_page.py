"""The page is made of the run's files alone, holds everything itself, and lets no name act."""

import re
import shutil
from collections.abc import Callable
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest
from PIL import Image

from advgan.storage.documents import read_document, write_document
from evaluation.record.findings import Finding
from evaluation.record.scores import Score
from evaluation.report.page import write_report
from evaluation.report.panels import CurvePanel, ImagePanel, Picture, Series, TablePanel
from evaluation.report.results import Headline, Results

HOSTILE = "<script>alert('x')</script>\"'&"
VOID = {"meta", "img", "br", "link"}


class Page(HTMLParser):
    """Tags with their attributes, the text, and whether every tag is closed in order."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.text += data

    def named(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.tags if name == tag]


def _report(folder: Path, **fields: object) -> Page:
    Results(**{"command": "attack", "title": "t", "run": "r", **fields}).save(folder)  # type: ignore[arg-type]
    return Page(write_report(folder))


def test_the_page_shows_every_part_of_the_results(finished_run: Path) -> None:
    page = Page(finished_run / "report.html")
    text = page.text.replace("\u00a0", " ")
    for part in (
        "The whole loop on digits",
        "the hardened one keeps 71.3 %",
        "linf, eps 0.3, untargeted, white box",
        "97.3 %",
        "95 % [95.4, 98.6]",
        "n = 10,000",
        "The budget is large for this data",
        "What the attack changed",
        "change × 1.6",
        "Attack ladder",
        "jackknife over 20 parts",
        "torch 2.14.1",
        "advgan report runs/demo/00001-digits",
    ):
        assert part in text, part
    assert len(page.named("img")) == 18 + 2 + 4
    assert page.open == []


def test_the_page_needs_nothing_but_itself(finished_run: Path) -> None:
    page = Page(finished_run / "report.html")
    assert not page.named("script")
    assert not page.named("link")
    for tag, attributes in page.tags:
        assert not [name for name in attributes if name.startswith("on")], tag
        for name in ("src", "href"):
            assert attributes.get(name, "#").startswith(("data:image/", "#")), attributes
    style = re.search(r"<style>(.*?)</style>", (finished_run / "report.html").read_text(), flags=re.S)
    assert style
    assert "url(" not in style[1]
    assert "@import" not in style[1]


def test_the_page_is_rebuilt_from_the_folder_alone_with_the_same_bytes(run_folder: Path, tmp_path: Path) -> None:
    first = write_report(run_folder).read_bytes()
    moved = shutil.copytree(run_folder, tmp_path / "elsewhere")
    shutil.rmtree(run_folder)
    (moved / "report.html").unlink()
    assert write_report(moved).read_bytes() == first


def test_hostile_names_are_shown_and_do_nothing(tmp_path: Path, make_run: Callable[..., Results]) -> None:
    make_run(tmp_path, hostile=True)
    page = Page(write_report(tmp_path))
    assert not page.named("script")
    assert "true class <script>alert('x')</script>" in page.text
    assert "The whole loop on digits <script>" in page.text


def test_no_field_of_the_results_can_add_a_tag(tmp_path: Path) -> None:
    score = Score(subject=HOSTILE, data=HOSTILE, setting=HOSTILE, metric=HOSTILE, value=1, samples=1, protocol=HOSTILE)
    series = (Series(name=HOSTILE, x=(0.0, 1.0), y=(0.0, 1.0)),)
    hostile = _report(
        tmp_path / "hostile",
        command=HOSTILE,
        title=HOSTILE,
        run=HOSTILE,
        created=HOSTILE,
        verdict=HOSTILE,
        header=((HOSTILE, HOSTILE),),
        headline=(Headline(HOSTILE, score, HOSTILE), Headline(HOSTILE, HOSTILE)),
        scores=(score, score),
        findings=(Finding("warning", HOSTILE, HOSTILE, HOSTILE),),
        panels=(
            ImagePanel(title=HOSTILE, caption=HOSTILE, section=HOSTILE, items=(Picture(HOSTILE, HOSTILE),)),
            CurvePanel(title=HOSTILE, caption=HOSTILE, x_label=HOSTILE, y_label=HOSTILE, series=series),
            TablePanel(title=HOSTILE, caption=HOSTILE, columns=(HOSTILE,), rows=((HOSTILE,),)),
        ),
        versions=((HOSTILE, HOSTILE),),
    )
    known = {"script", "iframe", "object"}
    assert not [tag for tag, _ in hostile.tags if tag in known]
    assert not [attributes for _, attributes in hostile.tags if "alert" in " ".join(attributes)]
    assert hostile.open == []


def test_a_missing_or_broken_picture_is_named_in_its_place(tmp_path: Path) -> None:
    tmp_path.joinpath("broken.png").write_bytes(b"\x89PNG\r\n\x1a\nrest")
    tmp_path.joinpath("drawing.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    items = (Picture("gone.png", "one"), Picture("broken.png", "two"), Picture("drawing.svg"), Picture("."))
    page = _report(tmp_path, panels=(ImagePanel(title="i", items=items),))
    assert not page.named("img")
    for item in items:
        assert f"no picture at {item.file}" in page.text


@pytest.mark.parametrize("name", ["../secret.png", "link.png", "/etc/hostname", "samples/../../secret.png"])
def test_a_picture_outside_the_run_folder_is_refused(name: str, tmp_path: Path) -> None:
    run_folder = tmp_path / "run"
    _report(run_folder)
    secret = run_folder.parent / "secret.png"
    Image.new("L", (8, 8)).save(secret)
    (run_folder / "link.png").symlink_to(secret)
    before = (run_folder / "report.html").read_bytes()
    with pytest.raises(ValueError, match="outside the run folder"):
        _report(run_folder, panels=(ImagePanel(title="i", items=(Picture(name),)),))
    assert (run_folder / "report.html").read_bytes() == before


def test_every_picture_says_in_words_what_it_shows(finished_run: Path) -> None:
    alts = [image["alt"].replace("\u00a0", " ") for image in Page(finished_run / "report.html").named("img")]
    assert all(alts)
    assert len(set(alts)) == len(alts)
    assert any("pgd: from 97.3 % at 0 to" in alt for alt in alts)


def test_headings_form_an_outline_without_gaps(finished_run: Path) -> None:
    levels = [int(tag[1]) for tag, _ in Page(finished_run / "report.html").tags if re.fullmatch("h[1-6]", tag)]
    assert levels.count(1) == 1
    assert levels[0] == 1
    assert all(below - above <= 1 for above, below in pairwise(levels))


def test_links_of_the_contents_lead_somewhere(finished_run: Path) -> None:
    page = Page(finished_run / "report.html")
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(set(ids)) == len(ids)
    assert {link["href"][1:] for link in page.named("a")} <= set(ids)
    assert len(page.named("a")) == 3
    assert {region["aria-labelledby"] for region in page.named("section")} <= set(ids)


def test_warnings_come_before_remarks(finished_run: Path) -> None:
    text = Page(finished_run / "report.html").text
    assert text.index("The budget is large") < text.index("Small test set")


@pytest.mark.parametrize("command", ["attack", "train", "eval", "fit", "augment", "demo"])
def test_what_only_explains_is_folded_below_pictures_and_figures(command: str, tmp_path: Path) -> None:
    findings = (Finding("info", "An info", "e", "a"), Finding("warning", "A warning", "e", "a"))
    panels = (CurvePanel(title="A figure", x_label="x", y_label="y", series=()),)
    page = _report(tmp_path, command=command, findings=findings, panels=panels)
    assert page.text.index("A warning") < page.text.index("A figure") < page.text.index("An info")
    folded = (tmp_path / "report.html").read_text().split("<details><summary>1 remark that explains the numbers")[1]
    assert "An info" in folded.split("</details>")[0]


def test_without_findings_the_page_says_so_calmly(tmp_path: Path) -> None:
    assert "Nothing to report" in _report(tmp_path).text


@pytest.mark.parametrize("command", ["fit", "augment", "sample", "export"])
def test_a_command_that_checks_nothing_is_not_cleared_by_its_silence(command: str, tmp_path: Path) -> None:
    text = _report(tmp_path, command=command).text
    assert "Nothing to report" not in text
    assert "No warning. This command measures" in text


def test_an_interrupted_run_is_marked(tmp_path: Path) -> None:
    assert "This run is not complete (interrupted)" in _report(tmp_path, status="interrupted").text
    assert "not complete" not in _report(tmp_path, status="done").text


def test_long_curves_come_without_a_table_and_short_ones_with(tmp_path: Path) -> None:
    def curve(count: int) -> CurvePanel:
        xs = tuple(float(x) for x in range(count))
        return CurvePanel(title="t", x_label="x", y_label="y", series=(Series(name="s", x=xs, y=xs),))

    assert len(_report(tmp_path, panels=(curve(60),)).named("details")) == 1
    assert len(_report(tmp_path, panels=(curve(61),)).named("details")) == 0


def test_curves_over_different_budgets_share_one_table(tmp_path: Path) -> None:
    series = (Series(name="a", x=(0.1, 0.2), y=(1.0, 2.0)), Series(name="b", x=(0.2, 0.3), y=(3.0, 4.0)))
    page = _report(tmp_path, panels=(CurvePanel(title="t", x_label="eps", y_label="y", series=series),))
    assert page.named("details")
    html = (tmp_path / "report.html").read_text()
    table = re.sub(r"<[^>]*>", " ", html[html.index("<table>") : html.index("</table>")])
    assert " ".join(table.split()) == "eps a b 0.1 1 – 0.2 2 3 0.3 – 4"


def test_what_all_scores_share_has_no_column(tmp_path: Path, make_score: Callable[..., Score]) -> None:
    page = _report(
        tmp_path, scores=(make_score("clean_accuracy", 1.0, seed=3), make_score("success_rate", 0.5, seed=3))
    )
    assert "In every row: subject cnn 3f2a91c07b1e; data digits 91abf0021d3e (test); seed 3." in page.text
    assert [head["class"] for head in page.named("th") if head.get("scope") == "col"][1:4] == ["right"] * 3
    assert len([head for head in page.named("th") if head.get("scope") == "col"]) == 5


@pytest.mark.parametrize(
    ("kinds", "full"),
    [("c", "1"), ("cc", "00"), ("ccc", "001"), ("ctc", "111"), ("cctc", "0011"), ("ctcc", "1100"), ("", "")],
)
def test_a_figure_without_neighbour_takes_the_whole_width(kinds: str, full: str, tmp_path: Path) -> None:
    curve = CurvePanel(title="c", x_label="", y_label="", series=())
    panels = tuple(curve if kind == "c" else TablePanel(title="t", columns=(), rows=()) for kind in kinds)
    page = _report(tmp_path, panels=panels)
    assert "".join(str(int("full" in panel["class"])) for panel in page.named("article")) == full


def test_figures_are_left_for_a_paper_too(finished_run: Path) -> None:
    names = sorted(path.name for path in (finished_run / "figures").iterdir())
    assert names[0] == "01-accuracy-against-the-budget.svg"
    assert len(names) == 4


def test_an_unreadable_time_is_shown_as_it_is(tmp_path: Path) -> None:
    assert "yesterday" in _report(tmp_path, created="yesterday").text
    assert "2026-11-22 16:09 UTC" in _report(tmp_path, created="2026-11-22T16:09:41+00:00").text


def test_a_name_that_is_no_unicode_does_not_stop_the_page(tmp_path: Path) -> None:
    assert "b?d" in _report(tmp_path, title="b\udcffd").text


def test_damaged_results_leave_the_old_page(tmp_path: Path) -> None:
    _report(tmp_path, panels=(TablePanel(title="t", columns=("a",), rows=((1,),)),))
    before = (tmp_path / "report.html").read_bytes()
    content = read_document(tmp_path / "results.json")
    content["panels"][0]["rows"] = 3
    write_document(tmp_path / "results.json", content)
    with pytest.raises(ValueError, match=r"panels\.0"):
        write_report(tmp_path)
    assert (tmp_path / "report.html").read_bytes() == before
