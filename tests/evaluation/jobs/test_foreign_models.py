"""Networks of other people, in every form of output, are attacked and fitted, and scores say how they were read."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import cli
from advgan.classifier.stored import load_trained
from advgan.config import ClassifierTraining, DataConfig, NetworkConfig, Section
from evaluation.jobs.attack import job as attack
from evaluation.jobs.attack.config import AttackConfig
from evaluation.jobs.augment import job as augment
from evaluation.jobs.augment.config import AugmentConfig
from evaluation.jobs.fit import job as fit
from evaluation.jobs.fit.config import FitConfig
from evaluation.jobs.foreign_model import ForeignModel
from evaluation.jobs.sample.config import SampleConfig
from evaluation.jobs.setup import Outcome, Setup

CODE = """
import torch
from dataclasses import dataclass
from torch import nn
from torch.nn import functional as F

@dataclass
class Answer:
    hidden: torch.Tensor
    logits: torch.Tensor

class Tensor(nn.Module):
    def __init__(self, outputs=10, side=8):
        super().__init__()
        torch.manual_seed(0)
        self.body, self.head = nn.Linear(side * side, 12), nn.Linear(12, outputs)
    def parts(self, images):
        hidden = self.body(images.reshape(len(images), -1)).relu()
        return hidden, self.head(hidden)
    def forward(self, images):
        return self.parts(images)[1]

class Tuple(Tensor):
    def forward(self, images):
        return self.parts(images)

class Dict(Tensor):
    def forward(self, images):
        hidden, logits = self.parts(images)
        return {"hidden": hidden, "out": logits}

class Object(Tensor):
    def forward(self, images):
        return Answer(*self.parts(images))

class LogProbabilities(Tensor):
    def forward(self, images):
        return F.log_softmax(self.parts(images)[1], dim=1)

class Last(Tensor):
    def forward(self, images):
        assert images.shape[1:] == (8, 8, 1)
        return super().forward(images)

class Rows(Tensor):
    def forward(self, images):
        return self.head(self.body(images).relu())

class Script(Tensor):
    def forward(self, images):
        return self.head(self.body(images.flatten(1)).relu())

def scripted():
    import warnings
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.jit.script(Script())

class Decided(Tensor):
    def forward(self, images):
        return super().forward(images).argmax(dim=1)

class Maps(Tensor):
    def forward(self, images):
        return super().forward(images)[:, :, None, None].expand(-1, -1, 4, 4)

class Large(Tensor):
    image_size = 12
    def __init__(self):
        super().__init__(side=12)
"""
FORMS = ("Tensor", "Tuple", "Object", "LogProbabilities", "Last", "Rows", "scripted")


@pytest.fixture
def named(tmp_path: Path) -> Callable[[str], str]:
    (tmp_path / "mine.py").write_text(CODE)
    return lambda name: f"{tmp_path}/mine.py:{name}"


def attacked(source: str, folder: Path, **options: object) -> Outcome:
    config = AttackConfig(
        model=source, attacks=("fgsm",), eps=(0.05,), num_samples=40, curve_points=0, probes=0, **options
    )
    outcome = attack.run(config, Setup(device="cpu", out=folder))
    assert outcome is not None
    return outcome


def rates(outcome: Outcome) -> dict[tuple[str, str], float]:
    return {(one.setting, one.metric): one.value for one in outcome.results.scores if "accuracy" in one.metric}


def test_every_form_is_attacked_as_the_plain_one_and_said(named: Callable[[str], str], tmp_path: Path) -> None:
    found = {form: attacked(named(form), tmp_path / form) for form in (*FORMS, "Large")}
    for form in FORMS:
        assert rates(found[form]) == rates(found["Tensor"]), form
    said = {form: dict(outcome.results.header)["normalisation"] for form, outcome in found.items()}
    assert said["Tensor"] == "none, pixels from 0 to 1"
    assert said["Tuple"] == "none, pixels from 0 to 1; logits from 1 of the tuple that it returns"
    assert "'logits' of the Answer" in said["Object"]
    assert "channels last" in said["Last"]
    assert "resized to 12x12 inside the model" in said["Large"]
    codes = {form: {finding.code for finding in outcome.results.findings} for form, outcome in found.items()}
    assert "log-probability-outputs" in codes["LogProbabilities"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Decided", "returned whole numbers, as if it had decided on classes already: let it return its logits"),
        ("Maps", "returned shape (2, 10, 4, 4) for 2 images; (2, classes), or one number"),
        ("Tensr", "has no 'Tensr': did you mean Tensor?"),
    ],
)
def test_what_gives_no_logits_is_refused_for_what_it_returns(
    name: str, words: str, named: Callable[[str], str], tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=r"mine\.py") as caught:
        attacked(named(name), tmp_path / "run")
    assert words in str(caught.value)
    assert "--resize" not in str(caught.value), "its input is not at fault"


def test_mean_std_and_side_of_a_foreign_model_are_said(named: Callable[[str], str], tmp_path: Path) -> None:
    outcome = attacked(named("Tensor"), tmp_path / "a", mean=(0.25,), std=(0.5,), layout="NCHW", input_size=8)
    assert dict(outcome.results.header)["normalisation"] == "mean 0.25; std 0.5"


@pytest.mark.parametrize("form", ["Tuple", "Object"])
def test_every_form_is_fitted_and_attacked_by_its_run(form: str, named: Callable[[str], str], tmp_path: Path) -> None:
    training = ClassifierTraining(epochs=3, batch_size=64, learning_rate=2e-2)
    config = FitConfig(data=DataConfig(), network=NetworkConfig(name=named(form)), training=training)
    outcome = fit.run(config, Setup(device="cpu", out=tmp_path / "run"))
    clean = next(score for score in outcome.results.scores if score.metric == "clean_accuracy")
    assert clean.value > 0.5
    classifier, _ = load_trained(tmp_path / "run")
    assert classifier.logits(torch.zeros(2, 1, 8, 8)).shape == (2, 10)
    again = attacked(str(tmp_path / "run"), tmp_path / "again")
    assert rates(again)["clean", "clean_accuracy"] > 0.5


def test_one_logit_is_fitted_as_two_classes(named: Callable[[str], str], tmp_path: Path) -> None:
    file = Path(named("x").rpartition(":")[0])
    file.write_text(f"{CODE}\ndef one():\n    return Tensor(1)\n")
    from advgan.classifier.training import start, train
    from advgan.data import load_data

    digits = load_data(DataConfig()).train
    few = digits.select((digits.labels < 2).nonzero().flatten().tolist())
    two = replace(few, classes=("0", "1"))
    training = ClassifierTraining(epochs=5, batch_size=64, learning_rate=2e-2)
    state = start(NetworkConfig(name=f"{file}:one"), training, two)
    list(train(state, two, training))
    assert state.network.head.out_features == 1
    logits = state.classifier().logits(two.unit())
    assert float((logits.argmax(dim=1) == two.labels).float().mean()) > 0.95


@pytest.mark.parametrize("kind", [AttackConfig, AugmentConfig, SampleConfig])
def test_every_verb_that_takes_a_model_takes_what_a_foreign_one_needs(kind: type[Section]) -> None:
    assert issubclass(kind, ForeignModel)
    with pytest.raises(ValueError, match="--mean and --std belong together"):
        kind.model_validate({"mean": [0.5]})
    verb = cli.cli.commands[kind.__module__.split(".")[-2]]
    assert {"mean", "std"} <= {parameter.name for parameter in verb.params}


def test_augment_prepares_images_for_a_foreign_model(named: Callable[[str], str], tmp_path: Path) -> None:
    """The normalisation reaches the network."""
    accuracy = {}
    for name, options in {"plain": {}, "shifted": {"mean": (0.4,), "std": (0.2,)}}.items():
        config = AugmentConfig(model=named("Tensor"), attacks=("uniform",), num_adversarial=20, **options)
        scores = augment.run(config, Setup(device="cpu", out=tmp_path / name)).results.scores
        accuracy[name] = next(score.value for score in scores if score.setting == "real")
    assert accuracy["plain"] != accuracy["shifted"]
