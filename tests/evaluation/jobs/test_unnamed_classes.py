"""A network without names takes its classes by number, which is said once where the data's have names."""

from dataclasses import replace
from pathlib import Path

import pytest

from advgan.config import DataConfig
from advgan.data import Data, load_data
from evaluation.jobs.attack import job as attack
from evaluation.jobs.attack.config import AttackConfig
from evaluation.jobs.attack.unnamed_classes import unnamed_classes
from evaluation.jobs.setup import Setup

CODE = """
import torch
from torch import nn

def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
"""


@pytest.fixture
def model(tmp_path: Path) -> str:
    (tmp_path / "model.py").write_text(CODE)
    return f"{tmp_path / 'model.py'}:network"


def named(data: Data) -> Data:
    classes = tuple(f"digit {name}" for name in data.classes)
    parts = (replace(part, classes=classes) for part in (data.train, data.validation, data.test))
    return Data("named", *parts)


def test_it_is_said_of_named_classes_alone(model: str) -> None:
    data = load_data(DataConfig(source="digits"))
    assert not unnamed_classes(model, data)
    assert not unnamed_classes("cnn", named(data))
    (finding,) = unnamed_classes(model, named(data))
    assert (finding.level, finding.code) == ("info", "unnamed-classes")
    assert "outputs 0 to 9 were taken for digit 0, digit 1, " in finding.evidence


def test_an_attack_says_it_once(model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = named(load_data(DataConfig(source="digits")))
    monkeypatch.setattr(attack, "load_data", lambda *_, **__: data)
    config = AttackConfig(model=model, attacks=("fgsm",), num_samples=20, data=DataConfig(source="digits"))
    outcome = attack.run(config, Setup(device="cpu", out=tmp_path / "run"))
    assert outcome is not None
    assert [finding.code for finding in outcome.results.findings].count("unnamed-classes") == 1
