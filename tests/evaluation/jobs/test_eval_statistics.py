"""`advgan eval` beside other tools: their statistics, their rules, and images of a user's own; what it refuses."""

import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

import cli
import evaluation.jobs.eval.job as job
from advgan.config import DataConfig
from advgan.data import Data, load_data
from attacks.random import uniform
from evaluation.features.features import Extractor
from evaluation.fidelity.frechet import frechet_distance
from evaluation.jobs.eval.job import EvalConfig, run
from evaluation.jobs.setup import Outcome, Setup
from evaluation.record.scores import Score
from evaluation.scoring import score_source

COUNT = 60
NETWORK = """
from torch import nn

rows = nn.Flatten()
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
    """A folder with images in two forms and two sizes, and statistics; runs write no pages."""
    folder = tmp_path_factory.mktemp("statistics")
    write_pngs(folder / "pngs", fakes)
    pixels = fakes.permute(0, 2, 3, 1).numpy()
    np.savez(folder / "fakes.npz", arr_0=pixels)
    np.savez(folder / "large.npz", arr_0=np.kron(pixels, np.ones((1, 2, 2, 1), np.uint8)))
    save_statistics(folder / "moments.npz", digits.train.images)
    (folder / "network.py").write_text(NETWORK)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ADVGAN_CACHE_DIR", str(folder / "cache"))
        patch.setattr("evaluation.jobs.setup.write_report", lambda folder: folder / "report.html")
        yield folder


def write_pngs(folder: Path, images: Tensor, classes: Sequence[str] = ()) -> Path:
    for number, image in enumerate(images):
        file = folder / (classes[number] if classes else "") / f"{number:04d}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image[0].numpy()).save(file)
    return folder


def evaluated(out: Path, *subjects: Path, **options: Any) -> Outcome:
    values = {"num_samples": COUNT, "features": ("pixels",), **options}
    if "reference" not in values:
        values.setdefault("data", DataConfig(source="digits"))
    outcome = run(EvalConfig(subjects=tuple(map(str, subjects)), **values), Setup(device="cpu", out=out))
    assert outcome is not None
    return outcome


def check_complete(score: Score) -> None:
    assert score.subject.split()[-1] != score.subject, "a digest follows the name"
    assert score.data.split()[-1] != score.data
    assert score.extractor == "pixels levels"
    assert "torch" in score.versions
    assert not math.isnan(score.low) or "no interval" in score.protocol


def save_statistics(file: Path, rows: Tensor, **more: object) -> Path:
    values = rows.flatten(1).double().numpy() / 255
    np.savez(file, mu=values.mean(axis=0), sigma=np.cov(values, rowvar=False), **more)  # type: ignore[arg-type]
    return file


def test_saved_statistics_give_a_frechet_distance_without_interval(
    home: Path, tmp_path: Path, digits: Data, fakes: Tensor
) -> None:
    file = save_statistics(tmp_path / "moments.npz", digits.train.images)
    outcome = evaluated(tmp_path / "run", home / "pngs", reference=str(file), metrics=(), seed=7)
    (score,) = outcome.results.scores
    check_complete(score)
    assert score.metric == "fd[pixels]"
    assert score.extractor == "pixels levels"
    assert (score.samples, score.num_real, score.seed) == (COUNT, 0, 7)
    real, fake = (images.flatten(1).double() / 255 for images in (digits.train.images, fakes))
    assert score.value == pytest.approx(frechet_distance(real, fake), rel=1e-4)
    images = evaluated(tmp_path / "beside", home / "pngs", metrics=("precision",))
    assert score.subject == images.results.scores[0].subject
    assert [finding.code for finding in outcome.results.findings] == ["precomputed-statistics"]


def test_statistics_of_a_known_number_of_images_have_a_floor(home: Path, tmp_path: Path, digits: Data) -> None:
    file = save_statistics(tmp_path / "moments.npz", digits.train.images, num=len(digits.train))
    subjects = (home / "pngs", home / "fakes.npz")
    outcome = evaluated(tmp_path / "run", *subjects, reference=str(file), metrics=())
    metrics = [score.metric for score in outcome.results.scores]
    assert metrics == ["fd[pixels]", "fd_floor[pixels]"] * 2
    distance, floor = outcome.results.scores[:2]
    assert (floor.low, floor.value) < (floor.value, floor.high) < (distance.value, math.inf)
    assert {score.num_real for score in outcome.results.scores} == {len(digits.train)}
    for score in outcome.results.scores:
        check_complete(score)
    assert outcome.folder is not None
    assert (outcome.folder / "scores.csv").is_file()


def test_labels_of_a_reference_are_the_classes_of_the_data(
    home: Path, tmp_path: Path, digits: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder of threes and sevens beside data of ten classes: its labels are 3 and 7, not 0 and 1."""
    chosen = torch.cat([(digits.train.labels == digit).nonzero()[:20, 0] for digit in (3, 7)])
    names = [digits.classes[label] for label in digits.train.labels[chosen]]
    real = write_pngs(tmp_path / "real", digits.train.images[chosen], names)
    known = list[Tensor | None]()

    def spying(source: Any, references: Any, **options: Any) -> Any:
        known.append(references[0].sample.labels)
        return score_source(source, references, **options)

    monkeypatch.setattr(job, "score_source", spying)
    evaluated(tmp_path / "run", home / "fakes.npz", reference=str(real), data=DataConfig(source="digits"))
    assert known[0] is not None
    assert known[0].tolist() == [3] * 20 + [7] * 20


def inception_of(name: str) -> Extractor:
    """Stands for Inception, in its name alone."""

    def look(images: Tensor) -> tuple[Tensor, Tensor]:
        levels = images.flatten(1)
        return levels, (10 * levels).softmax(dim=1).double()

    return Extractor(name, "0", look, "a stand-in")


def test_numbers_of_a_protocol_are_kept_under_its_tools_names(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job, "_extractor", lambda *args: inception_of("inception@clean"))
    outcome = evaluated(tmp_path / "run", home / "pngs", features=("inception",), metrics=("fid", "kid"))
    scores = {score.metric: score for score in outcome.results.scores}
    assert {score.setting for score in scores.values()} == {"inception@clean"}
    assert {"fid", "kid"} <= scores.keys()
    (file,) = (tmp_path / "run").glob("clean-*.json")
    found = json.loads(file.read_text())
    assert found["frechet_inception_distance"] == pytest.approx(scores["fid"].value, rel=1e-3)
    assert "kernel_inception_distance_mean" in found


def test_too_few_images_for_a_protocols_tool_are_enough_for_ours(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """torch-fidelity refuses a kernel distance of fewer than 1000 images: our scores must not be lost with it."""
    monkeypatch.setattr(job, "_extractor", lambda *args: inception_of("inception"))
    with caplog.at_level("WARNING", logger="advgan"):
        outcome = evaluated(tmp_path / "run", home / "pngs", features=("inception",), metrics=("fid", "kid"))
    assert {"fid", "kid"} <= {score.metric: score for score in outcome.results.scores}.keys()
    assert "no numbers as torch-fidelity prints them" in caplog.text
    assert not list((tmp_path / "run").glob("torch-fidelity-*"))


REFUSALS: dict[str, tuple[list[str], int, list[str]]] = {
    "no subject": ([], 2, ["nothing to score", "FILE.py:OBJECT"]),
    "no such subject": (["nowhere"], 2, ["nowhere", "give the run"]),
    "an unknown metric": (["fakes.npz", "--metrics", "fidd"], 2, ["--metrics", "'fidd'", "did you mean fid?"]),
    "an unknown protocol": (["fakes.npz", "--protocol", "tidy"], 2, ["protocol", "'tidy'", "clean, stylegan3"]),
    "a protocol without Inception": (
        ["fakes.npz", "--protocol", "clean", "--features", "pixels"],
        2,
        ["--features inception", "add --features inception"],
    ),
    "one subject to compare": (["fakes.npz", "--compare"], 2, ["compare", "two subjects", "fakes.npz"]),
    "statistics as subject": (["moments.npz"], 2, ["moments.npz", "--reference"]),
    "another size than the data": (
        ["large.npz", "--data", "digits"],
        2,
        ["large.npz", "1x16x16", "digits", "1x8x8", "--resize 8"],
    ),
    "another size than the reference": (
        ["large.npz", "--reference", "fakes.npz", "--features", "pixels"],
        2,
        ["large.npz", "1x16x16", "fakes.npz", "1x8x8", "bring both to one form"],
    ),
    "no data for a classifier": (
        ["fakes.npz", "--reference", "pngs"],
        2,
        ["--features auto", "--reference", "add --data", "--features random, pixels or inception"],
    ),
    "an unknown extractor": (["fakes.npz", "--data", "digits", "--features", "eyes"], 2, ["'eyes'", "pixels"]),
    "statistics of another extractor": (
        ["large.npz", "--reference", "moments.npz", "--features", "pixels"],
        2,
        ["moments.npz", "64 features", "pixels gives 256", "use the extractor"],
    ),
    "statistics and two extractors": (
        ["fakes.npz", "--reference", "moments.npz", "--features", "pixels,network.py:rows"],
        2,
        ["moments.npz", "--features pixels,network.py:rows", "name the one"],
    ),
    "statistics and another metric": (
        ["fakes.npz", "--reference", "moments.npz", "--features", "pixels", "--metrics", "recall"],
        2,
        ["moments.npz", "--metrics recall", "fid"],
    ),
    "statistics to compare by": (
        ["fakes.npz", "pngs", "--reference", "moments.npz", "--features", "pixels", "--compare"],
        2,
        ["moments.npz", "drop --compare"],
    ),
    "too few samples": (["fakes.npz", "-n", "3"], 2, ["--num-samples", "3", "10"]),
    "samples that are no number": (["fakes.npz", "-n", "many"], 2, ["many"]),
    "an unknown option": (["fakes.npz", "--metric", "fid"], 2, ["--metric", "--metrics"]),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_a_refusal_is_one_line_that_names_the_way_out(
    name: str,
    home: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments, code, fragments = REFUSALS[name]
    monkeypatch.chdir(home)
    with pytest.raises(SystemExit) as end:
        cli.main(["eval", *arguments, "--out", str(tmp_path / "run"), "-q"])
    captured = capsys.readouterr()
    assert end.value.code == code
    assert captured.out == ""
    assert captured.err.startswith("Error: ")
    assert captured.err.count("\n") == 1, captured.err
    assert not [fragment for fragment in fragments if fragment not in captured.err], captured.err
    assert "add -vv" not in captured.err, "an error that nobody foresaw"
    assert not (tmp_path / "run").exists()
