"""In a real browser nothing overflows, on a desk or on a phone, and every picture appears."""

import html
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from evaluation.record.scores import Score
from evaluation.report.page import write_report
from evaluation.report.panels import BarPanel, Bars, TablePanel
from evaluation.report.results import Headline, Results
from evaluation.side_by_side.page import write_comparison

pytestmark = pytest.mark.browser

WIDTHS = (390, 1280)

# A window of Chromium has a least width, a frame has none; and a frame from `srcdoc` may be looked into.
FRAME = """<iframe id="w{width}" style="border:0;width:{width}px;height:3000px" srcdoc="{page}"></iframe>"""
PROBE = """<pre id="seen"></pre><script>
function look(frame) {
  const page = frame.contentDocument, width = page.documentElement.clientWidth
  page.querySelectorAll('details').forEach(each => { each.open = true })
  const beyond = [...page.querySelectorAll('body *')].filter(each =>
    !each.closest('.scroll table') && !each.closest('.hidden') &&
    (each.getBoundingClientRect().right > width + 0.5 || each.getBoundingClientRect().left < -0.5))
  return {
    width: frame.contentWindow.innerWidth,
    client: width,
    scroll: page.documentElement.scrollWidth,
    beyond: beyond.map(each => each.tagName + '.' + each.className).slice(0, 5),
    images: [...page.images].map(each => [each.naturalWidth, each.getBoundingClientRect().width]),
    wrappers: [...page.querySelectorAll('table')].filter(each => !each.closest('.scroll')).length,
    smallest: Math.min(...[...page.querySelectorAll('p, li, td, th, dd, dt, figcaption, summary')]
      .map(each => parseFloat(page.defaultView.getComputedStyle(each).fontSize))),
  }
}
addEventListener('load', () => {
  const seen = [...document.querySelectorAll('iframe')].map(look)
  document.getElementById('seen').textContent = JSON.stringify(seen)
})
</script>"""


@pytest.fixture
def looked_at(tmp_path: Path) -> Callable[[Path], list[dict[str, Any]]]:
    """Show a page at both widths and tell what the browser made of it."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no Chromium on the PATH")

    def look(path: Path) -> list[dict[str, Any]]:
        page = html.escape(path.read_text(encoding="utf-8"))
        stand = tmp_path / "stand.html"
        frames = "".join(FRAME.format(width=width, page=page) for width in WIDTHS)
        stand.write_text(f"<!doctype html><meta charset=utf-8><body>{frames}{PROBE}", encoding="utf-8")
        command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"]
        command += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
        command += [f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=10000", "--dump-dom"]
        done = subprocess.run([*command, stand.as_uri()], capture_output=True, timeout=120, check=True)
        found = re.search(r'<pre id="seen">(.*?)</pre>', done.stdout.decode(), flags=re.S)
        assert found
        assert found[1], "the browser gave no answer"
        return list(json.loads(html.unescape(found[1])))

    return look


def _check(seen: list[dict[str, Any]], *, images: int) -> None:
    for width, page in zip(WIDTHS, seen, strict=True):
        assert page["width"] == width
        assert page["scroll"] <= page["client"], page
        assert page["beyond"] == [], page
        assert page["wrappers"] == 0
        assert len(page["images"]) == images
        assert all(natural > 0 and shown > 0 for natural, shown in page["images"]), page["images"]
        assert page["smallest"] >= 12, page["smallest"]


def test_a_report_fits_and_shows_every_picture(
    finished_run: Path, looked_at: Callable[[Path], list[dict[str, Any]]]
) -> None:
    _check(looked_at(finished_run / "report.html"), images=18 + 2 + 4)


def test_a_comparison_fits_and_shows_every_picture(
    two_runs: list[Path], tmp_path: Path, looked_at: Callable[[Path], list[dict[str, Any]]]
) -> None:
    _check(looked_at(write_comparison(two_runs, tmp_path / "comparison.html")), images=4 + 4 + 12)


VERBS = ("attack", "train", "eval")


@pytest.fixture(scope="module")
def real_runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Path]]:
    """Two small runs of each verb that leaves a report, by verb: two classifiers attacked, two generators scored."""
    from click.testing import CliRunner

    from cli import cli

    folder = tmp_path_factory.mktemp("runs")
    lines = {
        "fit": "--model mlp --epochs {1}",
        "attack": "--model {fit} --attack fgsm,pgd --eps 8/255,0.2 -n {2} --set probes=8 --set curve_points=3",
        "train": "--preset digits --steps {3} --set num_samples=200",
        "eval": "--ckpt {train} -n {2} --metrics fidelity,neighbours,modes",
    }
    found: dict[str, list[Path]] = {verb: [] for verb in lines}
    for numbers in ((0, 1, 60, 10), (1, 2, 61, 20)):
        for verb, line in lines.items():
            out = folder / f"{verb}-{numbers[0]}"
            done = {name: runs[-1] for name, runs in found.items() if runs}
            words = line.format(*numbers, **done).split()
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("ADVGAN_CACHE_DIR", str(folder / "cache"))
                ended = CliRunner().invoke(cli, [verb, *words, "--out", str(out), "-q"])
            assert ended.exit_code == 0, ended.output
            found[verb].append(out)
    return found


def _holds_its_width(seen: list[dict[str, Any]]) -> None:
    _check(seen, images=len(seen[0]["images"]))


@pytest.mark.parametrize("verb", VERBS)
def test_the_report_of_a_verb_fits(
    verb: str, real_runs: dict[str, list[Path]], looked_at: Callable[[Path], list[dict[str, Any]]]
) -> None:
    _holds_its_width(looked_at(real_runs[verb][0] / "report.html"))


@pytest.mark.parametrize("verbs", [*((verb,) for verb in VERBS), VERBS])
def test_the_comparison_of_real_runs_fits(
    verbs: tuple[str, ...],
    real_runs: dict[str, list[Path]],
    tmp_path: Path,
    looked_at: Callable[[Path], list[dict[str, Any]]],
) -> None:
    """Two runs of a verb, and a mixture of six."""
    runs = [run for verb in verbs for run in real_runs[verb]]
    _holds_its_width(looked_at(write_comparison(runs, tmp_path / "comparison.html")))


def test_names_without_end_do_not_break_the_page(
    tmp_path: Path, make_score: Callable[..., Score], looked_at: Callable[[Path], list[dict[str, Any]]]
) -> None:
    long = "W" * 300
    score = make_score("fid", 123456.789, 0.0001, 1e9, setting=long, subject=long, data=long, protocol=long)
    other = make_score("clean_accuracy", 0.5, 0.4, 0.6, protocol="p")
    names = tuple(f"{long}{place}" for place in range(40))
    Results(
        command="attack",
        title=long,
        run=long,
        verdict=long,
        header=((long, long),) * 3,
        headline=(Headline(long, score, long), Headline(long, long)),
        scores=(score, other),
        panels=(
            BarPanel(title=long, categories=names[:20], series=(Bars(name=long, values=(1.0,) * 20),)),
            BarPanel(title="many", categories=names, series=(Bars(name=long, values=(1.0,) * 40),)),
            TablePanel(title=long, columns=(long,) * 3, rows=((long, 1, 2),)),
        ),
    ).save(tmp_path)
    _check(looked_at(write_report(tmp_path)), images=2)
    other = replace(Results.load(tmp_path), scores=(replace(score, subject="o"), replace(other, protocol=long)))
    other.save(tmp_path / "other")
    compared = write_comparison([tmp_path, tmp_path / "other", tmp_path], tmp_path / "comparison.html")
    _check(looked_at(compared), images=2)


def test_the_report_of_the_demo_fits_and_shows_every_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, looked_at: Callable[[Path], list[dict[str, Any]]]
) -> None:
    from evaluation.jobs.demo import job as demo
    from evaluation.jobs.setup import Setup

    monkeypatch.setenv("ADVGAN_CACHE_DIR", str(tmp_path / "cache"))
    config = demo.DemoConfig(classifier_steps=40, hardening_steps=8, gan_steps=60, num_samples=60)
    outcome = demo.run(config, Setup(out=tmp_path / "run"))
    assert outcome.folder is not None
    pictures = [item for panel in outcome.results.panels if panel.kind == "images" for item in panel.items]
    figures = [panel for panel in outcome.results.panels if panel.kind in ("curves", "bars")]
    assert len(pictures) > 20
    _check(looked_at(outcome.folder / "report.html"), images=len(pictures) + len(figures))
    assert len(outcome.summary) == 6, "five numbers, of which the generator's is two"
