"""What a run of `advgan` answers to programs: its findings and its configuration in the JSON, and gates on findings."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

import cli

MEANS = '''"""The digits by their nearest mean, from images rounded to seven levels of grey, or as they are."""

import torch
from sklearn.datasets import load_digits
from torch import nn


class NearestMean(nn.Module):
    def __init__(self, levels):
        super().__init__()
        self.levels = levels
        data = load_digits()
        images, labels = torch.from_numpy(data.images).float() / 16, torch.from_numpy(data.target)
        means = torch.stack([images[labels == label].mean(dim=0).flatten() for label in range(10)])
        self.layer = nn.Linear(64, 10)
        self.layer.weight.data = 20 * means
        self.layer.bias.data = -10 * means.square().sum(dim=1)

    def forward(self, images):
        if self.levels:
            images = (self.levels * images).round() / self.levels
        return self.layer(images.flatten(1))


rounded = NearestMean(6.1)
plain = NearestMean(0)
'''


class Ended(NamedTuple):
    code: int
    out: str
    err: str


Attacked = Callable[..., Ended]


@pytest.fixture
def attacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Attacked:
    """`advgan attack` on one of the models above."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ADVGAN_CACHE_DIR", str(tmp_path / "cache"))
    (tmp_path / "means.py").write_text(MEANS)

    def call(name: str, *options: str) -> Ended:
        common = ["--attack", "pgd", "--eps", "0.1", "--steps", "5", "-n", "60", "--set", "curve_points=0"]
        with pytest.raises(SystemExit) as end:
            cli.main(["attack", "--model", f"means.py:{name}", "--data", "digits", *common, *options])
        captured = capsys.readouterr()
        return Ended(int(end.value.code or 0), captured.out, captured.err)

    return call


def test_the_json_carries_findings_configuration_and_verdict(attacked: Attacked) -> None:
    answer = json.loads(attacked("rounded", "--json").out)
    assert {"staircase", "zero-gradients"} <= {finding["code"] for finding in answer["findings"]}
    assert all(finding["title"] and finding["evidence"] and finding["advice"] for finding in answer["findings"])
    assert answer["config"]["eps"] == [0.1]
    assert answer["config"]["data"]["source"] == "digits"
    assert "the robust accuracy is struck (Gradients are zero, and " in answer["verdict"]


def test_what_the_trust_panel_breaks_counts_in_the_headline_the_table_the_json_and_the_gate(attacked: Attacked) -> None:
    ended = attacked("rounded", "--eps", "0.2", "--fail-under", "robust_accuracy=0.5")
    assert ended.code == 100
    assert "(worst-case)" in ended.err
    assert "the robust accuracy is struck" in ended.out
    (folder,) = Path("runs/attack").iterdir()
    answer = json.loads((folder / "results.json").read_text())
    scores = {(score["setting"], score["metric"]): score for score in answer["scores"]}
    asked, panel = scores["worst-case", "robust_accuracy"], scores["trust-panel-linf-0.2", "success_rate"]
    correct = scores["pgd-linf-0.2", "robust_accuracy"]["value"]
    assert asked["value"] == pytest.approx(correct - panel["value"] * panel["samples"] / 60)
    assert asked["value"] < 0.5 < correct
    assert "1 attack and the trust panel" in asked["protocol"]
    assert "struck, as warnings speak against it: zero-gradients, " in asked["protocol"]
    clean, robust = answer["headline"][:2]
    assert clean["struck"] == ""
    assert robust["value"]["setting"] == "worst-case"
    assert robust["struck"].startswith("Gradients are zero")
    assert '<s class="value">' in (folder / "report.html").read_text()
    stages = next(each for each in answer["panels"] if each["title"] == "Attack by attack")["rows"]
    tried, fooled = panel["samples"], round(panel["value"] * panel["samples"])
    assert stages[-1] == ["trust-panel-linf-0.2", tried, fooled, tried - fooled, "–", "–"]


def test_a_sound_network_keeps_its_headline(attacked: Attacked) -> None:
    answer = json.loads(attacked("plain", "--json").out)
    assert "struck" not in json.dumps(answer)
    page = Path(answer["run"], "report.html").read_text()
    assert page.index("Nothing to report") < page.index("What fooled it") < page.index("Few images")
    assert "<details><summary>" in page[page.index("What fooled it") : page.index("Few images")]
    assert answer["verdict"].startswith("clean accuracy")


@pytest.mark.parametrize("loudness", [(), ("-q",)], ids=["loud", "quiet"])
def test_a_warning_stops_at_its_gate_however_quiet_the_command(attacked: Attacked, loudness: tuple[str, ...]) -> None:
    ended = attacked("rounded", "--fail-on", "warning", "--fail-under", "clean_accuracy=0.99", *loudness)
    assert ended.code == 100
    assert "Gate failed: The output is a staircase." in ended.err
    assert "Gate failed: clean_accuracy" in ended.err
    assert attacked("plain", "--fail-on", "warning", *loudness).code == 0


def test_a_failure_is_a_gate_of_its_own(attacked: Attacked, monkeypatch: pytest.MonkeyPatch) -> None:
    assert attacked("rounded", "--fail-on", "failure").code == 0

    def fails(*_: object, **__: object) -> None:
        raise RuntimeError("no room")

    monkeypatch.setattr("evaluation.jobs.attack.explained.triplet_panels", fails)
    ended = attacked("plain", "--fail-on", "failure", "-q")
    assert ended.code == 100
    assert "Gate failed: Pictures of what fooled it: not made. RuntimeError: no room" in ended.err
