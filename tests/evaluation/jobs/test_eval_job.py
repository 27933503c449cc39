"""`advgan eval` through its job: whatever can be scored, by whatever sees it, against whatever it is held against."""

import csv
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

import cli
import evaluation.jobs.eval.job as job
from advgan.config import DataConfig, GanNetworks, GanTraining
from advgan.data import Data, load_data
from advgan.gan.training import start
from advgan.ranges import to_unit
from advgan.sampling.stored import load_gan, save_gan
from attacks.random import uniform
from evaluation.features.features import Extractor
from evaluation.fidelity.frechet import frechet_distance
from evaluation.jobs.eval.job import EvalConfig, plan, run
from evaluation.jobs.setup import Outcome, Setup
from evaluation.latent.rows import LATENT_METRICS
from evaluation.memorisation.rows import MEMORISATION_METRICS
from evaluation.metric_words import COSTLY, METRICS
from evaluation.neighbourhoods.rows import NEIGHBOUR_METRICS
from evaluation.record.scores import Score, word_of
from evaluation.report.page import write_report
from evaluation.scoring import score_source

COUNT = 60
FEW = ("fid", "fid_floor", "precision", "vendi", "vendi_real")
GENERATOR = """
import torch
from pathlib import Path

images = torch.load(Path(__file__).parent / "images.pt")

def draw(indices, seed):
    return images[indices]
"""
NETWORK = """
import torch
from torch import nn

class Rows(nn.Module):
    def forward(self, images):
        return images.mean(dim=3).flatten(1)

rows = Rows()
"""


@pytest.fixture(scope="module")
def digits() -> Data:
    return load_data(DataConfig(source="digits"))


@pytest.fixture(scope="module")
def fakes(digits: Data) -> Tensor:
    """Held-out digits with noise: (60, 1, 8, 8) uint8."""
    some = digits.test.images[:COUNT].float()
    return (some + 40 * uniform(0, torch.arange(COUNT), (1, 8, 8))).clamp(max=255).to(torch.uint8)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, digits: Data, fakes: Tensor) -> Iterator[Path]:
    """A folder with every form of subject, a cache of its own, and runs without pages."""
    folder = tmp_path_factory.mktemp("eval")
    networks, training = GanNetworks(width=4, latent_dim=4), GanTraining()
    state = start(networks, training, size=8, channels=1, num_classes=10)
    save_gan(folder / "gan.safetensors", state, networks, training, data=digits.describe())
    write_pngs(folder / "pngs", fakes)
    np.savez(folder / "fakes.npz", arr_0=fakes.permute(0, 2, 3, 1).numpy())
    torch.save(fakes, folder / "images.pt")
    (folder / "generator.py").write_text(GENERATOR)
    (folder / "network.py").write_text(NETWORK)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ADVGAN_CACHE_DIR", str(folder / "cache"))
        patch.setattr("evaluation.jobs.fixed_recipe.STEPS", 5)
        patch.setattr("evaluation.jobs.setup.write_report", lambda folder: folder / "report.html")
        yield folder


def write_pngs(folder: Path, images: Tensor, names: Sequence[str] = ()) -> Path:
    for number, image in enumerate(images):
        file = folder / (names[number] if names else "") / f"{number:04d}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image[0].numpy()).save(file)
    return folder


def evaluated(out: Path, *subjects: Path | str, **options: Any) -> Outcome:
    values = {"num_samples": COUNT, "num_real": 150, "features": ("pixels",), "metrics": FEW, **options}
    if "reference" not in values:
        values.setdefault("data", DataConfig(source="digits"))
    outcome = run(EvalConfig(subjects=tuple(map(str, subjects)), **values), Setup(device="cpu", out=out))
    assert outcome is not None
    return outcome


def by_metric(outcome: Outcome) -> dict[str, Score]:
    return {score.metric: score for score in outcome.results.scores}


def check_complete(score: Score) -> None:
    """It says of what, against what, seen by what, with what, and how sure it is or why it is not."""
    assert score.subject.split()[-1] != score.subject, "a digest follows the name"
    assert score.data.split()[-1] != score.data
    assert "torch" in score.versions
    assert score.samples > 0
    known = math.isfinite(score.value) and (math.isnan(score.low) or score.low <= score.value <= score.high)
    assert known or math.isinf(score.value)
    assert not math.isnan(score.low) or "no interval" in score.protocol, score.protocol


def check_seen(score: Score, extractor: str, *, num_real: int) -> None:
    assert score.setting == extractor
    assert score.extractor.startswith(f"{extractor} ")
    assert score.preparation
    assert score.num_real == num_real


def test_a_checkpoint_has_every_group_of_scores_but_the_costly_ones(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evaluation.jobs.setup.write_report", write_report)
    outcome = evaluated(tmp_path / "run", home / "gan.safetensors", features=("auto",), metrics=(), num_samples=100)
    scores = by_metric(outcome)
    for score in scores.values():
        check_complete(score)
        if score.setting == "cnn" and score.metric not in LATENT_METRICS:
            check_seen(score, "cnn", num_real=150)
    assert {score.setting for score in scores.values()} == {"cnn", "discriminator", "discriminator-non-saturating"}
    some = {"fd[cnn]", "kid[cnn]", "precision", "modes_covered", "vendi", "authenticity", "probe_accuracy"}
    assert {*some, "path_length", "jsd_lower_bound"} <= set(scores)
    assert {word_of(metric) for metric in scores} <= set(METRICS) - COSTLY
    assert scores["path_length"].extractor == scores["precision"].extractor
    assert {score.subject for score in scores.values()} == {f"dcgan {load_gan(home / 'gan.safetensors').digest}"}
    assert outcome.results.title == "Generators of digits"
    assert (tmp_path / "run/report.html").is_file()
    with (tmp_path / "run/scores.csv").open() as file:
        assert [row["metric"] for row in csv.DictReader(file)] == [score.metric for score in outcome.results.scores]


@pytest.mark.parametrize("subject", ["pngs", "fakes.npz", "generator.py:draw"])
def test_the_same_images_have_the_same_scores_by_every_door(
    home: Path, tmp_path: Path, digits: Data, fakes: Tensor, subject: str
) -> None:
    outcome = evaluated(tmp_path / "run", home / subject, num_real=5000)
    scores = by_metric(outcome)
    for score in scores.values():
        check_complete(score)
        check_seen(score, "pixels", num_real=len(digits.train))
        assert score.subject.startswith(f"{Path(subject).name} ")
        assert score.data.startswith("digits/train ")
    real, fake = (to_unit(images).flatten(1).double() for images in (digits.train.images, fakes))
    assert scores["fd[pixels]"].value == pytest.approx(frechet_distance(real, fake), rel=1e-5)
    assert "fid" not in scores
    assert outcome.results.title == "Images beside digits"
    assert outcome.results.verdict.startswith("The images are told from the real ones. ")


def test_two_subjects_are_compared_in_every_metric_but_the_controls(home: Path, tmp_path: Path) -> None:
    outcome = evaluated(tmp_path / "run", home / "gan.safetensors", home / "pngs", compare=True)
    first, second = (
        {s.metric: s for s in outcome.results.scores if s.subject.startswith(n)} for n in ("dcgan", "pngs")
    )
    second = {metric: score for metric, score in second.items() if not metric.startswith("difference/")}
    found = {s.metric: s for s in outcome.results.scores if s.metric.startswith("difference/")}
    assert "difference/fd[pixels]" in found
    assert not [metric for metric in found if "_floor" in metric or "_real" in metric]
    for metric, score in found.items():
        one, other = (side[metric.removeprefix("difference/")] for side in (first, second))
        assert score.value == one.value - other.value
        assert score.low < score.value < score.high
        assert score.subject == f"{one.subject} - {other.subject}"
        assert (score.extractor, score.num_real) == (one.extractor, 150)
        assert score.setting in ("pixels: significant", "pixels: may be chance")
    assert found["difference/fd[pixels]"].setting == "pixels: significant"
    assert found["difference/fd[pixels]"].low > 0, "an untrained generator is further away"
    (panel,) = [panel for panel in outcome.results.panels if panel.title == "Which differences are significant"]
    assert {row[0] for row in panel.rows} == {metric.removeprefix("difference/") for metric in found}  # type: ignore[union-attr]


def test_a_finding_of_one_subject_says_whose_it_is_and_one_of_all_is_said_once(home: Path, tmp_path: Path) -> None:
    pair = (home / "gan.safetensors", home / "pngs")
    findings = evaluated(tmp_path / "run", *pair, metrics=("precision", "latent_sensitivity")).results.findings
    titles = [finding.title for finding in findings]
    assert len(set(titles)) == len(titles)
    (ignored,) = [title for title in titles if title.startswith("The generator ignores its latents")]
    assert ignored.endswith(load_gan(pair[0]).digest)
    (counts,) = [finding for finding in findings if finding.code == "unequal-counts"]
    assert counts.title == "Unequal numbers of images"


def test_differences_are_not_said_unless_asked_for(home: Path, tmp_path: Path) -> None:
    outcome = evaluated(tmp_path / "run", home / "fakes.npz", home / "pngs", metrics=("precision",))
    assert [score.metric for score in outcome.results.scores] == ["precision", "precision"]
    assert not [panel for panel in outcome.results.panels if panel.section == "Comparison"]


def test_a_folder_of_real_images_takes_no_data(
    home: Path, tmp_path: Path, digits: Data, fakes: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = write_pngs(tmp_path / "real", digits.train.images[:80])
    monkeypatch.setattr(
        "evaluation.jobs.eval.reading.load_data", lambda *args, **options: pytest.fail("there are no data")
    )
    outcome = evaluated(tmp_path / "run", home / "gan.safetensors", home / "pngs", reference=str(real), metrics=())
    for score in outcome.results.scores:
        check_complete(score)
        check_seen(score, "pixels", num_real=80)
        assert score.data.startswith(f"{real} ")
    metrics = {score.metric for score in outcome.results.scores}
    assert {"fd[pixels]", "kid[pixels]", "coverage", "vendi"} <= metrics
    assert not metrics & {"fd_real[pixels]", "authenticity_held_out", "train_preference", "path_length"}
    values = [to_unit(images).flatten(1).double() for images in (digits.train.images[:80], fakes)]
    (found,) = [s for s in outcome.results.scores if s.metric == "fd[pixels]" and s.subject.startswith("pngs")]
    assert found.value == pytest.approx(frechet_distance(values[0], values[1]), rel=1e-5)
    assert outcome.folder is not None
    assert "source" not in (outcome.folder / "config.yaml").read_text(), "no data are made up"


def test_many_extractors_draw_once_and_see_each_image_once(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: dict[str, list[Tensor]] = {"one": [], "two": [], "three": []}
    drawn = list[int]()

    def spy(name: str, *args: object) -> Extractor:
        def look(images: Tensor) -> tuple[Tensor, Tensor]:
            shown[name].append(images)
            return images.flatten(1), torch.ones(len(images), 1)

        return Extractor(name, f"digest of {name}", look, "spied upon")

    def counting(source: Any, references: Any, **options: Any) -> Any:
        def draw(numbers: Tensor) -> Tensor:
            drawn.extend(numbers.tolist())
            return source.draw(numbers)

        return score_source(replace(source, draw=draw), references, **options)

    monkeypatch.setattr(job, "_extractor", spy)
    monkeypatch.setattr(job, "score_source", counting)
    outcome = evaluated(tmp_path / "run", home / "generator.py:draw", features=tuple(shown), batch_size=25)
    assert drawn == list(range(COUNT))
    for images in shown.values():
        assert sum(map(len, images)) == COUNT + 150 + 150, "generated, real and held-out ones"
    assert [score.setting for score in outcome.results.scores if score.metric == "precision"] == list(shown)
    assert [score.extractor for score in outcome.results.scores if score.metric == "vendi"] == [
        f"{name} digest of {name}" for name in shown
    ]
    again = evaluated(tmp_path / "again", home / "generator.py:draw", features=("one",), batch_size=25)
    assert sum(map(len, shown["one"])) == 2 * COUNT + 300 + 16, "real features are kept, and tried on 8 images each"
    assert again.results.scores == tuple(score for score in outcome.results.scores if score.setting == "one")


def test_an_extractor_may_be_a_python_file(home: Path, tmp_path: Path) -> None:
    outcome = evaluated(tmp_path / "run", home / "pngs", features=(f"{home / 'network.py'}:rows", "pixels"))
    settings = dict.fromkeys(score.setting for score in outcome.results.scores)
    assert list(settings) == ["network:rows", "pixels"]
    assert {"fd[network:rows]", "fd[pixels]"} <= by_metric(outcome).keys()


@pytest.mark.parametrize(
    ("metrics", "words"),
    [
        (("neighbours",), set(NEIGHBOUR_METRICS)),
        (("vendi", "precision"), {"vendi", "precision"}),
        (("memorisation", "vendi"), {*MEMORISATION_METRICS, "vendi"}),
    ],
)
def test_metrics_are_chosen_by_word_and_by_group(
    home: Path, tmp_path: Path, metrics: tuple[str, ...], words: set[str]
) -> None:
    outcome = evaluated(tmp_path / "run", home / "gan.safetensors", metrics=metrics)
    assert {word_of(score.metric) for score in outcome.results.scores} <= words
    assert {word_of(score.metric) for score in outcome.results.scores} >= words & {"vendi", "precision", "authenticity"}


def test_a_plan_names_everything_and_writes_nothing(home: Path, tmp_path: Path, digits: Data) -> None:
    config = EvalConfig(subjects=(str(home / "pngs"), str(home / "gan.safetensors")), num_samples=40)
    lines = plan(config, Setup(device="cpu", out=tmp_path / "run"))
    assert lines == [digits.summary(), f"{home / 'pngs'}: 40 images", f"{home / 'gan.safetensors'}: 40 images"]
    against = plan(config.model_copy(update={"reference": str(home / "fakes.npz")}), Setup(device="cpu"))
    assert against[0] == f"against {home / 'fakes.npz'}"
    assert not (tmp_path / "run").exists()


def test_a_run_can_be_had_again_by_its_configuration(home: Path, tmp_path: Path) -> None:
    first = evaluated(tmp_path / "first", home / "pngs")
    with pytest.raises(SystemExit, match="0"):
        cli.main(["eval", "-c", str(tmp_path / "first/config.yaml"), "--out", str(tmp_path / "again"), "-q"])
    assert (tmp_path / "first/scores.csv").read_bytes() == (tmp_path / "again/scores.csv").read_bytes()
    assert first.results.scores
