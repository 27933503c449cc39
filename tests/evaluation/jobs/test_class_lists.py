"""Wherever two lists of classes meet: another order changes no number, other names are refused or said."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

import evaluation.jobs.attack.job as attack_job
import evaluation.jobs.augment.job as augment_job
import evaluation.jobs.eval.job as eval_job
import evaluation.jobs.export.job as export_job
import evaluation.jobs.fit.job as fit_job
from advgan.config import ClassifierTraining, DataConfig, GanNetworks, GanTraining, NetworkConfig
from advgan.data import load_data
from advgan.gan.training import start
from advgan.sampling.drawing import sample
from advgan.sampling.renumbered import RenumberedGenerator
from advgan.sampling.stored import load_gan, save_gan
from evaluation.jobs.attack.config import AttackConfig
from evaluation.jobs.augment.config import AugmentConfig
from evaluation.jobs.eval.config import EvalConfig
from evaluation.jobs.export.config import ExportConfig
from evaluation.jobs.fit.config import FitConfig
from evaluation.jobs.judges import choose_extractor
from evaluation.jobs.setup import Outcome, Setup
from evaluation.record.scores import Score

NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
OTHER = (*NAMES[:9], "ten")
SETUP = Setup(device="cpu")


def write(file: Path, names: Sequence[str], *, kinds: Sequence[str] = NAMES, shown: int = 10) -> str:
    """The digits of the first `shown` kinds in an archive whose classes have these names, in this order."""
    digits = load_data(DataConfig())
    arrays = {}
    for part, images in (("train", digits.train), ("val", digits.validation), ("test", digits.test)):
        kept = images.select((images.labels < shown).nonzero()[:, 0])
        arrays[f"x_{part}"] = kept.images.permute(0, 2, 3, 1).numpy()
        arrays[f"y_{part}"] = np.array([names.index(kinds[label]) for label in kept.labels.tolist()])
    np.savez(file, classes=np.array(names), **arrays)
    return str(file)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The digits by name, a classifier and two GANs of them; turned round, by other names, by number, and a part."""
    folder = tmp_path_factory.mktemp("classes")
    write(folder / "named.npz", NAMES)
    write(folder / "turned.npz", NAMES[::-1])
    write(folder / "others.npz", OTHER, kinds=OTHER)
    write(folder / "part.npz", NAMES[:8], shown=8)
    numbers = tuple(map(str, range(10)))
    write(folder / "numbers.npz", numbers, kinds=numbers)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("evaluation.jobs.setup.write_report", lambda folder: folder / "report.html")
        training = ClassifierTraining(epochs=3, batch_size=128, learning_rate=0.01)
        network = NetworkConfig(name="mlp", width=32)
        data = DataConfig(source=str(folder / "named.npz"))
        fit_job.run(FitConfig(data=data, network=network, training=training), Setup(device="cpu", out=folder / "run"))
    for name, conditional in (("told", True), ("free", False)):
        networks, recipe = GanNetworks(width=4, latent_dim=4, conditional=conditional), GanTraining()
        state = start(networks, recipe, size=8, channels=1, num_classes=10)
        save_gan(folder / f"{name}.safetensors", state, networks, recipe, data=load_data(data).describe())
    return folder


@pytest.fixture(autouse=True)
def quiet(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ADVGAN_CACHE_DIR", str(home / "cache"))
    monkeypatch.setattr("evaluation.jobs.fixed_recipe.STEPS", 5)
    monkeypatch.setattr("evaluation.jobs.setup.write_report", lambda folder: folder / "report.html")


def attacked(home: Path, data: str, model: str = "run") -> list[Score]:
    config = AttackConfig(
        model=str(home / model),
        data=DataConfig(source=str(home / data)),
        attacks=("fgsm",),
        eps=(0.1,),
        num_samples=100,
        curve_points=0,
        probes=0,
    )
    outcome = attack_job.run(config, SETUP)
    assert outcome is not None
    return list(outcome.results.scores)


def test_data_in_another_order_are_attacked_alike(home: Path) -> None:
    right = attacked(home, "named.npz")
    assert right[0].value > 0.85
    turned = attacked(home, "turned.npz")
    assert [(score.metric, score.value, score.data.split()[-1]) for score in turned] == [
        (score.metric, score.value, score.data.split()[-1]) for score in right
    ]
    numbers = attacked(home, "numbers.npz")
    assert [(score.metric, score.value) for score in numbers] == [(score.metric, score.value) for score in right]


def test_a_part_of_the_classes_is_attacked_by_name(home: Path) -> None:
    assert attacked(home, "part.npz")[0].value > 0.85


def test_data_with_other_names_are_not_attacked(home: Path) -> None:
    with pytest.raises(
        ValueError, match=r"others: the class ten is not among those of .*run \(zero, one, .*name class"
    ):
        attacked(home, "others.npz")


def test_an_exported_classifier_keeps_the_names_of_its_classes(home: Path, tmp_path: Path) -> None:
    config = ExportConfig(checkpoint=str(home / "run"), format="pt2")
    export_job.run(config, Setup(device="cpu", out=tmp_path / "out"))
    right = attacked(home, "named.npz", str(tmp_path / "out" / "model.pt2"))
    turned = attacked(home, "turned.npz", str(tmp_path / "out" / "model.pt2"))
    assert [score.value for score in turned] == [score.value for score in right]
    with pytest.raises(ValueError, match="the class ten is not among"):
        attacked(home, "others.npz", str(tmp_path / "out" / "model.pt2"))


def test_a_judge_says_the_classes_of_the_data(home: Path) -> None:
    sets = {name: load_data(DataConfig(source=str(home / f"{name}.npz"))) for name in ("named", "turned", "numbers")}
    judges = {name: choose_extractor(str(home / "run"), data, SETUP) for name, data in sets.items()}
    images = sets["named"].test.unit(slice(20))
    right, turned = (judges[name].function(images) for name in ("named", "turned"))
    assert torch.equal(turned[0], right[0])
    assert torch.equal(turned[1], right[1].flip(1))
    assert torch.equal(judges["numbers"].function(images)[1], right[1])
    assert judges["turned"].held_out is not None
    assert judges["turned"].held_out.correct == judges["named"].held_out.correct  # type: ignore[union-attr]
    assert judges["turned"].held_out.correct > 0.8 * len(sets["named"].test)
    for name in ("others", "part"):
        with pytest.raises(ValueError, match=r"not on images like .*: leave it out, or give a run of advgan fit"):
            choose_extractor(str(home / "run"), load_data(DataConfig(source=str(home / f"{name}.npz"))), SETUP)


def evaluated(home: Path, data: str, metrics: Sequence[str]) -> Outcome:
    config = EvalConfig(
        subjects=(str(home / "told.safetensors"),),
        data=DataConfig(source=str(home / data)),
        features=(str(home / "run"),),
        metrics=tuple(metrics),
        num_samples=100,
        num_real=200,
    )
    outcome = eval_job.run(config, SETUP)
    assert outcome is not None
    return outcome


def test_a_conditional_gan_is_scored_alike_against_data_in_another_order(home: Path) -> None:
    wanted = (
        "fid",
        "label_agreement",
        "r1",
        "wasserstein_estimate_train",
        "real_fake_separation",
        "generator_gradient",
    )
    right = {score.metric: score.value for score in evaluated(home, "named.npz", wanted).results.scores}
    turned = {score.metric: score.value for score in evaluated(home, "turned.npz", wanted).results.scores}
    assert {"fd[mlp]", "label_agreement", "r1", "wasserstein_estimate_train"} <= right.keys()
    assert turned == pytest.approx(right, rel=1e-6)


def test_against_other_classes_what_needs_them_is_left_out_and_said(home: Path) -> None:
    config = EvalConfig(
        subjects=(str(home / "told.safetensors"), str(home / "free.safetensors")),
        data=DataConfig(source=str(home / "others.npz")),
        features=("pixels",),
        metrics=("fid", "label_agreement", "r1"),
        num_samples=60,
        num_real=100,
    )
    outcome = eval_job.run(config, SETUP)
    assert outcome is not None
    by_subject: dict[str, set[str]] = {}
    for score in outcome.results.scores:
        by_subject.setdefault(score.subject, set()).add(score.metric)
    assert sorted(map(sorted, by_subject.values())) == [["fd[pixels]"], ["fd[pixels]", "r1"]]
    (finding,) = [found for found in outcome.results.findings if found.code == "unknown-classes"]
    assert "has the class nine" in finding.evidence


def test_a_renumbered_generator_draws_the_same_images_by_new_numbers(home: Path) -> None:
    own = load_gan(home / "told.safetensors").generator
    turned = RenumberedGenerator(own, tuple(range(9, -1, -1)))
    labels = torch.arange(10)
    assert torch.equal(sample(turned, 10, labels=9 - labels), sample(own, 10, labels=labels))


def test_augment_asks_a_gan_for_the_classes_by_the_numbers_of_the_data(home: Path) -> None:
    def read(data: str, gan: str) -> object:
        config = AugmentConfig(
            model=str(home / "run"),
            data=DataConfig(source=str(home / data)),
            checkpoint=str(home / f"{gan}.safetensors"),
        )
        return augment_job._read(config, SETUP)[1]

    for data in ("named.npz", "turned.npz", "numbers.npz"):
        for gan in ("told", "free"):
            read(data, gan)
    told = load_gan(home / "told.safetensors")
    turned = load_data(DataConfig(source=str(home / "turned.npz")))
    found = augment_job._numbered(told, turned, AugmentConfig(checkpoint="GAN"))
    assert found.classes == turned.classes
    assert torch.equal(
        sample(found.generator, 1, labels=torch.tensor([9])), sample(told.generator, 1, labels=torch.tensor([0]))
    )
    for gan in ("told", "free"):
        with pytest.raises(ValueError, match=r"draws the classes zero, one, .* give the data that it was trained on"):
            read("others.npz", gan)
