"""Whatever foreign code does, stdout holds the result alone, no gate passes unasked, and no trace is shown."""

import json
from pathlib import Path

import pytest

import cli

CODE = """
import os, sys
import click
import torch
from torch import nn

class Bye(BaseException):
    pass

class Chosen(ValueError):
    exit_code = 0

class Net(nn.Module):
    def __init__(self, how=None, passes=4):
        super().__init__()
        self.body, self.how, self.passes = nn.Linear(64, 10), how, passes
    def forward(self, images):
        print("in a pass")
        os.chdir("/")
        self.passes -= 1
        if self.how is not None and self.passes < 0:
            raise self.how
        return self.body(images.flatten(1))

def noisy():
    print("in the builder")
    os.write(1, b"by the descriptor")
    os.system("echo by another program")
    return Net()

def ends(how):
    return lambda: Net(how)

def leaving():
    raise SystemExit(0)

exits, stops, clicks, aborts = ends(SystemExit(0)), ends(StopIteration()), ends(click.exceptions.Exit(0)), ends(Bye())
refuses = ends(type("Fine", (click.ClickException,), {"exit_code": 0})("fine"))
chooses, interrupts = ends(Chosen("all is well")), ends(KeyboardInterrupt())
print("at import")
os.chdir("/")
"""
ENDS = ("exits", "stops", "clicks", "aborts", "refuses", "chooses", "interrupts", "leaving")


def attacked(source: str, folder: Path, monkeypatch: pytest.MonkeyPatch, *options: str) -> object:
    monkeypatch.chdir(folder)
    Path("model.py").write_text(CODE)
    gate = ("--fail-under", "robust_accuracy=0.999", *options)
    with pytest.raises(SystemExit) as end:
        cli.main(
            [
                "attack",
                "--model",
                source,
                "--attack",
                "fgsm",
                "--eps",
                "0.1",
                "-n",
                "20",
                "-o",
                "run",
                *gate,
                "--set",
                "probes=0",
            ]
        )
    return end.value.code


def test_stdout_holds_one_json_object(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert attacked("model.py:noisy", tmp_path, monkeypatch, "--json") == 100
    captured = capfd.readouterr()
    assert json.loads(captured.out)["command"] == "attack"
    for printed in ("at import", "in the builder", "by the descriptor", "by another program", "in a pass"):
        assert printed in captured.err
    assert (tmp_path / "run" / "results.json").is_file(), "where the model went to is its own affair"


@pytest.mark.parametrize("how", ENDS)
def test_no_way_out_passes_a_gate(
    how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert attacked(f"model.py:{how}", tmp_path, monkeypatch) in (1, 2)
    captured = capfd.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines()[-1].startswith("Error: ")
    assert "Traceback" not in captured.err


@pytest.mark.parametrize("code", ["import sys; sys.exit(0)", "raise GeneratorExit", "raise KeyboardInterrupt"])
@pytest.mark.parametrize("verb", ["fit", "eval", "extractor"])
def test_a_file_that_ends_at_import_is_named(
    verb: str, code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("model.py").write_text(code)
    line = {
        "fit": ["fit", "--model", "model.py:x", "--epochs", "1"],
        "eval": ["eval", "model.py:x", "--features", "pixels"],
        "extractor": ["eval", "digits", "--data", "digits", "--features", "model.py:x"],
    }
    with pytest.raises(SystemExit) as end:
        cli.main([*line[verb], "-q"])
    assert end.value.code == 2
    assert capfd.readouterr().err.startswith("Error: running model.py tried to end the program")
