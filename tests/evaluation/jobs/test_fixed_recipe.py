"""Judges: one recipe, a name of their own, and nothing that a user trains changes what they say."""

import json
import logging
import math
import shutil
from pathlib import Path

import pytest
import torch

import evaluation.jobs.eval.job as eval_job
import evaluation.jobs.fit.job as fit_job
from advgan.classifier.stored import load_trained
from advgan.config import ClassifierTraining, DataConfig, NetworkConfig
from advgan.data import Data, load_data
from evaluation.jobs.eval.config import EvalConfig
from evaluation.jobs.fit.config import FitConfig
from evaluation.jobs.fixed_recipe import fixed_classifier, place
from evaluation.jobs.judges import choose_classifier, choose_extractor, labelling_judge
from evaluation.jobs.setup import Setup
from evaluation.record.scores import Score

SETUP = Setup(device="cpu")
METRICS = ("fid", "precision", "recall", "modes_covered", "label_agreement")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder with a cache of its own; a judge takes six steps."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ADVGAN_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr("evaluation.jobs.fixed_recipe.STEPS", 6)
    monkeypatch.setattr("evaluation.jobs.setup.write_report", lambda folder: folder / "report.html")
    return tmp_path


@pytest.fixture(scope="module")
def digits() -> Data:
    return load_data(DataConfig())


def fitted(out: str, name: str = "cnn") -> Path:
    training = ClassifierTraining(epochs=1, batch_size=256, learning_rate=0.02, seed=5)
    config = FitConfig(network=NetworkConfig(name=name, width=4), training=training)
    folder = fit_job.run(config, Setup(device="cpu", out=Path(out))).folder
    assert folder is not None
    return folder


def scored(out: str) -> list[Score]:
    config = EvalConfig(
        subjects=("digits",), data=DataConfig(source="digits"), metrics=METRICS, num_samples=60, num_real=120
    )
    outcome = eval_job.run(config, Setup(device="cpu", out=Path(out)))
    assert outcome is not None
    return list(outcome.results.scores)


def test_fitting_changes_no_score_of_a_generator(home: Path) -> None:
    before = scored("before")
    fitted("runs/fit/00001-digits-cnn")
    after = scored("after")
    assert {"fd[cnn]", "precision", "recall", "modes_covered"} <= {score.metric for score in before}
    assert [repr(score) for score in after] == [repr(score) for score in before]


def test_nor_does_a_fit_before_the_first_score_or_an_old_cache(home: Path) -> None:
    before = scored("before")
    shutil.rmtree(home / "cache")
    run = fitted("runs/fit/00001-digits-cnn")
    old = home / "cache" / "classifiers" / f"cnn-{load_data(DataConfig()).digest}.safetensors"
    old.parent.mkdir(parents=True)
    shutil.copyfile(run / "checkpoints" / "best.safetensors", old)
    assert [repr(score) for score in scored("after")] == [repr(score) for score in before]


def test_a_bare_name_is_the_network_of_the_recipe_before_and_after_a_fit(
    home: Path, digits: Data, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "advgan")
    before = choose_classifier("cnn", digits, SETUP, given="digits")[0].network.state_dict()
    run = fitted("runs/fit/00001-digits-cnn")
    assert f"attack it by its run: advgan attack --model {run} (--model cnn alone is the one" in caplog.text
    caplog.clear()
    after = choose_classifier("cnn", digits, SETUP, given="digits")[0].network.state_dict()
    assert f"One that you fitted is --model {run}." in caplog.text
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_on_other_data_the_run_to_name_is_named_once_there_is_one(home: Path, digits: Data) -> None:
    with pytest.raises(ValueError, match=r"advgan fit --data \./mine --model cnn, and then give its run"):
        choose_classifier("cnn", digits, SETUP, given="./mine")
    run = fitted("runs/fit/00001-digits-cnn")
    with pytest.raises(ValueError, match=f"give its run, --model {run}"):
        choose_classifier("cnn", digits, SETUP, given="./mine")
    assert choose_classifier(str(run), digits, SETUP, given="./mine")[0].name == run.name


@pytest.mark.parametrize("threads", [1, 2])
def test_the_recipe_gives_one_network_whatever_the_number_of_threads(
    home: Path, digits: Data, monkeypatch: pytest.MonkeyPatch, threads: int
) -> None:
    used: list[int] = []
    seen = torch.Tensor.backward

    def counted(*arguments: object, **options: object) -> object:
        used.append(torch.get_num_threads())
        return seen(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(torch.Tensor, "backward", counted)
    torch.set_num_threads(threads)
    try:
        fixed_classifier("mlp", digits, SETUP)
        assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(1)
    assert set(used) == {1}


def test_another_recipe_is_another_judge(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cpu = torch.device("cpu")
    first = place("cnn", "0123456789ab", cpu)
    monkeypatch.setattr("evaluation.jobs.fixed_recipe.STEPS", 7)
    others = {place("cnn", "0123456789ab", cpu), place("mlp", "0123456789ab", cpu), place("cnn", "f" * 12, cpu)}
    assert first not in others
    assert len(others) == 3
    assert place("cnn", "0123456789ab", torch.device("cuda", 1)) != place("cnn", "0123456789ab", cpu)


def test_hash_and_held_out_accuracy_stand_in_every_protocol(home: Path, digits: Data) -> None:
    extractor = choose_extractor("auto", digits, SETUP)
    _, info = load_trained(fixed_classifier("cnn", digits, SETUP).path)
    held_out = extractor.held_out
    assert held_out is not None
    assert held_out.images == len(digits.validation) + len(digits.test) == len(digits.held_out)
    labels = digits.held_out.labels
    classifier = labelling_judge(digits, SETUP)
    right = int((classifier.logits(digits.held_out.unit()).argmax(dim=1) == labels).sum())
    assert held_out.correct == right
    low, high = held_out.accuracy.low, held_out.accuracy.high
    rates = f"{right / len(labels):.1%} [{low:.1%}, {high:.1%}]".replace("%", " %")
    words = f"cnn {info.digest}, which names {rates} of {len(labels)} held-out images right"
    assert extractor.protocol == f"input of the last linear layer of {words}"
    assert classifier.name == f"{words},"
    rows = [score for score in scored("seen") if score.setting == "cnn"]
    assert rows
    assert all(extractor.protocol in row.protocol and row.extractor == f"cnn {info.digest}" for row in rows)


def test_a_run_as_judge_is_tried_on_the_test_images(home: Path, digits: Data) -> None:
    run = fitted("mine", "mlp")
    extractor = choose_extractor(str(run), digits, SETUP)
    (clean,) = [row for row in json.loads((run / "results.json").read_text())["scores"] if row["subject"]]
    assert extractor.held_out is not None
    assert math.isclose(extractor.held_out.accuracy.value, clean["value"])
    assert f"of {len(digits.test)} test images right" in extractor.protocol
    other = load_data(DataConfig(seed=1, validation=0.2))
    known = choose_extractor(str(run), other, SETUP).held_out
    assert known is not None
    assert known.called == "test images of other data than it learnt from"


def test_a_damaged_judge_says_how_to_get_a_new_one(home: Path, digits: Data) -> None:
    folder = fixed_classifier("mlp", digits, SETUP).path.parent
    (folder / "held-out.json").write_text("{}")
    (folder / "contents.json").unlink()  # as an earlier version left it, which kept no digests
    with pytest.raises(ValueError, match=r"remove the folder .*judges/mlp-.*fitted again"):
        fixed_classifier("mlp", digits, SETUP)


def test_a_judge_that_changed_on_the_disk_is_fitted_again(
    home: Path, digits: Data, caplog: pytest.LogCaptureFixture
) -> None:
    before = fixed_classifier("mlp", digits, SETUP)
    digest = load_trained(before.path)[1].digest
    content = bytearray(before.path.read_bytes())
    content[len(content) // 2] ^= 1
    before.path.write_bytes(content)
    after = fixed_classifier("mlp", digits, SETUP)
    assert "is damaged" in caplog.text
    assert load_trained(after.path)[1].digest == digest
