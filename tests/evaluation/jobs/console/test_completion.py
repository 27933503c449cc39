"""Completion: what a shell offers, from tables that need no torch and are held to those that do."""

import subprocess
import sys
from pathlib import Path

import pytest
from click.shell_completion import BashComplete, CompletionItem

import cli
from advgan.data import KNOWN
from advgan.models.classifiers.architectures import CLASSIFIERS
from attacks import TABLE
from evaluation.extractors import EXTRACTORS
from evaluation.features.protocols import PROTOCOLS
from evaluation.jobs.console import names
from evaluation.metric_words import ALL, GROUPS, METRICS


def items(words: str) -> list[CompletionItem]:
    """What is offered for the last word, which may be empty."""
    *before, last = words.split(" ")
    return BashComplete(cli.cli, {}, "advgan", "_ADVGAN_COMPLETE").get_completions(before, last)


def offered(words: str) -> list[str]:
    return [item.value for item in items(words) if item.type == "plain"]


def test_the_tables_are_those_that_they_stand_for() -> None:
    assert list(TABLE) == names.ATTACKS
    assert list(METRICS) == names.METRICS
    assert [*GROUPS, ALL] == names.GROUPS
    assert list(CLASSIFIERS) == names.CLASSIFIERS
    assert list(KNOWN) == names.DATA
    assert ["auto", *EXTRACTORS] == names.EXTRACTORS
    assert list(PROTOCOLS) == names.PROTOCOLS


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("attack --attack pgd", ["pgd", "pgd-kl"]),
        ("attack --attack fgsm,apgd-d", ["fgsm,apgd-dlr"]),
        ("augment --attack deepf", ["deepfool"]),
        ("eval --metrics fid,preci", ["fid,precision"]),
        ("eval --metrics neigh", ["neighbours"]),
        ("eval --protocol cl", ["clean"]),
        ("eval --features dinov2-vit-s", ["dinov2-vit-s-14"]),
        ("train --family r", ["r3gan"]),
        ("train --loss hin", ["hinge"]),
        ("train --preset paper/wgan-", None),
        ("attack --suite quick", ["quick"]),
        ("fit --defense p", ["pgd"]),
        ("fit --model c", ["cnn"]),
        ("fit --data mn", ["mnist"]),
        ("attack --save tor", ["torchattacks"]),
        ("attack --norm l", ["linf", "l2", "l1", "l0"]),
        ("export --format on", ["onnx"]),
        ("fit --set training.defense.e", ["training.defense.eps="]),
        ("attack --fail-under robust_accuracy_", ["robust_accuracy_8bit="]),
        ("attack --device cp", ["cpu"]),
        ("config show fi", ["fit"]),
        ("config show train --preset dig", ["digits"]),
        ("ls att", ["attacks"]),
    ],
)
def test_names_are_completed(words: str, expected: list[str] | None) -> None:
    found = offered(words)
    assert found == expected if expected else found


def test_every_option_that_takes_words_offers_some() -> None:
    for words in ("attack --precision ", "sample --grid ", "sample --interpolate ", "eval --fail-on "):
        assert len(offered(words)) >= 2, words


def test_runs_and_files_are_completed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for run in ("train/00001-a", "train/00002-b", "fit/00001-c", "augment/00001-d"):
        folder = tmp_path / "runs" / run
        folder.mkdir(parents=True)
        (folder / "config.yaml").write_text("{}\n")
    assert offered("sample --ckpt runs") == ["runs/train/00002-b", "runs/train/00001-a"]
    assert offered("eval runs") == ["runs/train/00002-b", "runs/train/00001-a"]
    assert offered("attack --model runs") == ["runs/fit/00001-c"]
    assert offered("fit --extra runs") == ["runs/augment/00001-d/images"]
    assert offered("train --resume ") == ["auto", "runs/train/00002-b", "runs/train/00001-a"]
    assert len(offered("report runs")) == 4
    for words in (
        "fit --data im",
        "eval ",
        "attack --model n",
        "fit -c c",
        "fit -o o",
        "eval --reference r",
        "report x",
    ):
        assert [item.type for item in items(words)][:1] == ["file"], words


def test_the_shell_gets_its_answer_without_torch(tmp_path: Path) -> None:
    code = (
        "import os, sys, cli\n"
        "os.environ |= {'_ADVGAN_COMPLETE': 'bash_complete', 'COMP_WORDS': 'advgan attack --attack apgd-d',\n"
        "               'COMP_CWORD': '3'}\n"
        "try:\n"
        "    cli.main([])\n"
        "except SystemExit as end:\n"
        "    assert end.code == 0\n"
        "assert not {'torch', 'numpy', 'pandas'} & set(sys.modules)\n"
    )
    root = Path(cli.__file__).parent
    done = subprocess.run([sys.executable, "-c", code], check=True, cwd=root, capture_output=True, text=True)
    assert done.stdout.split() == ["plain,apgd-dlr"]
