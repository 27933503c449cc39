"""`advgan sample` as a library call: what it writes, and what it refuses."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import ValidationError
from torch import Tensor

import evaluation.jobs.sample.arithmetic as sample_arithmetic
from advgan.models.interface import Generator
from advgan.ranges import to_bytes
from advgan.sampling.classes import sample_labels
from advgan.sampling.drawing import decode, draw, sample
from advgan.sampling.stored import load_gan
from evaluation.jobs.sample.config import parse_indices
from evaluation.jobs.sample.job import SampleConfig, plan, run
from evaluation.jobs.setup import Outcome, Setup

WriteGan = Callable[..., Path]


class Draw:
    """Run the job on one GAN; read what it left."""

    def __init__(self, gan: Path, out: Path) -> None:
        self.gan, self.out, self.count = gan, out, 0

    @property
    def generator(self) -> Generator:
        return load_gan(self.gan).generator

    def __call__(self, **options: Any) -> Outcome:
        self.count += 1
        config = SampleConfig(checkpoint=str(self.gan), **options)
        return run(config, Setup(device="cpu", out=self.out / str(self.count)))

    def images(self, **options: Any) -> Tensor:
        """The pictures of the .npz, NCHW."""
        (file,) = _folder(self(**options)).glob("samples_*.npz")
        with np.load(file) as arrays:
            return torch.from_numpy(arrays["arr_0"]).permute(0, 3, 1, 2)


def _folder(outcome: Outcome) -> Path:
    assert outcome.folder is not None
    return outcome.folder


@pytest.fixture
def gan(tmp_path: Path, write_gan: WriteGan) -> Draw:
    return Draw(write_gan(tmp_path, "mlp"), tmp_path / "out")


@pytest.fixture
def conditional(tmp_path: Path, write_gan: WriteGan) -> Draw:
    return Draw(write_gan(tmp_path, "mlp", conditional=True), tmp_path / "out")


def test_indices_are_read_in_their_order_and_once() -> None:
    assert parse_indices("3,17,200-203, 5 ,17") == [3, 17, 200, 201, 202, 203, 5]


@pytest.mark.parametrize("text", ["", "3,,4", "a", "-3", "5-3", "0-99999999", "1.5", "3-"])
def test_unreadable_indices_are_refused(text: str) -> None:
    with pytest.raises(ValidationError, match=r"write 3,17,200-210|must rise"):
        SampleConfig(indices=text)


def test_a_chosen_image_is_that_of_the_large_run(gan: Draw) -> None:
    whole = gan.images(num_samples=30, seed=4).int()
    some = gan.images(indices="3,17,20-22", seed=4).int()
    assert (some - whole[[3, 17, 20, 21, 22]]).abs().max() <= 1
    assert not torch.equal(whole[3], whole[4])


def test_pictures_are_named_by_index_and_class(conditional: Draw) -> None:
    folder = _folder(conditional(indices="5,2,1000"))
    names = sorted(str(file.relative_to(folder / "images")) for file in folder.rglob("images/*/*.png"))
    labels = sample_labels(conditional.generator, torch.tensor([5, 2, 1000]))
    assert labels is not None
    kinds = ["abcd"[label] for label in labels]
    assert names == sorted(
        f"{kind}/{index}.png" for kind, index in zip(kinds, ("000005", "000002", "001000"), strict=True)
    )
    picture = torch.from_numpy(np.array(Image.open(folder / f"images/{kinds[0]}/000005.png"))).permute(2, 0, 1)
    assert torch.equal(picture, to_bytes(sample(conditional.generator, torch.tensor([5])))[0])


def test_truncation_reaches_the_latents(gan: Draw) -> None:
    expected = to_bytes(sample(gan.generator, 8, truncation=0.4)).int()
    assert (gan.images(num_samples=8, truncation=0.4).int() - expected).abs().max() <= 1
    assert not torch.equal(expected, gan.images(num_samples=8).int())


def test_a_path_ends_at_its_two_samples(gan: Draw) -> None:
    rows = gan.images(indices="7,9,30,31", interpolate="slerp", steps=5).unflatten(0, (2, 5)).int()
    ends = to_bytes(sample(gan.generator, torch.tensor([7, 9, 30, 31]))).int()
    assert (rows[:, [0, -1]].flatten(0, 1) - ends).abs().max() <= 1
    assert not torch.equal(rows[0, 0], rows[0, 2])


def test_a_grid_of_classes_has_latents_by_row_and_classes_by_column(conditional: Draw) -> None:
    table = conditional.images(num_samples=3, grid="class").unflatten(0, (3, 4)).int()
    generator = conditional.generator
    latents = draw(generator, torch.arange(3))
    for row in range(3):
        for column in range(4):
            expected = to_bytes(decode(generator, latents[[row]], torch.tensor([column])))[0].int()
            assert (table[row, column] - expected).abs().max() <= 1


def test_a_traversal_moves_a_code(tmp_path: Path, write_gan: WriteGan) -> None:
    gan = Draw(write_gan(tmp_path, "mlp", categorical=3, continuous=1), tmp_path / "out")
    outcome = gan(num_samples=2, traverse="categorical")
    assert len(list(_folder(outcome).glob("images/*.png"))) == 6
    latents = draw(gan.generator, torch.arange(2))
    latents[:, 3] = -1
    first = to_bytes(decode(gan.generator, latents)).int()
    rows = gan.images(num_samples=2, traverse="code0", steps=3).unflatten(0, (2, 3)).int()
    assert (rows[:, 0] - first).abs().max() <= 1


def test_points_are_kept_as_floats(tmp_path: Path, write_gan: WriteGan) -> None:
    folder = _folder(Draw(write_gan(tmp_path, "points"), tmp_path / "out")(num_samples=6))
    with np.load(folder / "samples_6x1x1x2.npz") as arrays:
        assert arrays["arr_0"].dtype == np.float32
    assert not (folder / "images").exists()
    assert (folder / "samples/grid.png").is_file()


def test_rejection_keeps_indices_and_reports_its_rate(gan: Draw) -> None:
    outcome = gan(num_samples=20, reject=True, burn_in=200)
    (score,) = outcome.results.scores
    assert (score.metric, score.setting) == ("acceptance_rate", "drs")
    assert 0 <= score.low <= score.value <= score.high <= 1
    kept = sorted(int(file.stem) for file in _folder(outcome).glob("images/*.png"))
    assert len(kept) == 20
    again = gan(num_samples=5, reject=True, burn_in=200, batch_size=3)
    assert sorted(int(file.stem) for file in _folder(again).glob("images/*.png")) == kept[:5]
    assert not outcome.results.findings


def test_a_discriminator_with_batch_norm_rejects_alike_at_any_batch_size(tmp_path: Path, write_gan: WriteGan) -> None:
    """It sees the same batches whatever is asked for, so its verdict on a sample depends on (seed, index) alone."""
    gan = Draw(write_gan(tmp_path, "dcgan", minibatch="discrimination"), tmp_path / "out")
    options = {"num_samples": 60, "reject": True, "burn_in": 100, "reject_percentile": 90}
    outcomes = [gan(batch_size=size, **options) for size in (256, 3)]
    first, second = ({file.stem for file in _folder(outcome).glob("images/*.png")} for outcome in outcomes)
    assert first == second
    assert outcomes[0].results.scores[0].value == outcomes[1].results.scores[0].value < 1


def test_rejection_warns_of_logits_that_are_no_odds(
    gan: Draw, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    import evaluation.jobs.sample.job as job

    def hinge(path: str, **options: Any) -> Any:
        from dataclasses import replace

        found = load_gan(Path(path), **options)
        assert found.training is not None
        return replace(found, training=found.training.model_copy(update={"loss": "hinge"}))

    monkeypatch.setattr(job, "generator_of", hinge)
    (finding,) = gan(num_samples=2, reject=True, burn_in=100).results.findings
    assert (finding.level, finding.code) == ("warning", "uncalibrated-rejection")
    assert "hinge" in finding.evidence


class Brightness:
    """A classifier of two classes: dark and bright."""

    name, device = "brightness", torch.device("cpu")

    def logits(self, images: Tensor) -> Tensor:
        bright = (images.flatten(1).mean(dim=1) - 0.5) * 1000
        return torch.stack([-bright, bright], dim=1)


def test_arithmetic_says_what_the_classifier_sees(gan: Draw, monkeypatch: pytest.MonkeyPatch) -> None:
    data = type("Known", (), {"classes": ("dark", "bright")})()
    monkeypatch.setattr(sample_arithmetic, "_judge", lambda *_: (data, Brightness()))
    outcome = gan(arithmetic="bright - dark + bright", num_samples=500)
    table: Any = outcome.results.panels[-1]
    assert [row[0] for row in table.rows] == ["bright", "dark", "bright - dark + bright"]
    assert [row[2] for row in table.rows] == ["bright", "dark", "bright"]
    assert sum(int(row[1]) for row in table.rows[:2]) == 500
    names = sorted(file.stem for file in _folder(outcome).glob("images/*.png"))
    assert names == ["mean-000", "mean-001", "result"]
    assert "is seen as bright" in json.loads((_folder(outcome) / "results.json").read_text())["verdict"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"grid": "class"}, "needs a conditional generator"),
        ({"label": "a"}, "unconditional"),
        ({"truncation": -1.0}, "must be above 0"),
        ({"traverse": "99"}, "this generator has 0 to 5"),
        ({"interpolate": "lerp", "indices": "1,2,3"}, "joins indices in pairs"),
        ({"arithmetic": "a -"}, "write classes with signs"),
    ],
)
def test_what_a_gan_cannot_do_is_refused_and_nothing_written(gan: Draw, options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words) as caught:
        gan(**options)
    assert len(str(caught.value).splitlines()) == 1
    assert not gan.out.exists()


def test_what_a_conditional_gan_cannot_do_is_refused(conditional: Draw) -> None:
    with pytest.raises(ValueError, match="no such class; this generator knows a, b, c, d"):
        conditional(label="z")
    with pytest.raises(ValueError, match="leave out --label a"):
        conditional(grid="class", label="a")
    with pytest.raises(ValueError, match="is told the class by a label"):
        conditional(arithmetic="a - b")


@pytest.mark.parametrize("options", [{"packing": 2}, {"family": "lapgan"}])
def test_a_discriminator_of_something_else_than_images_cannot_reject(
    options: dict[str, Any], tmp_path: Path, write_gan: WriteGan
) -> None:
    gan = Draw(write_gan(tmp_path, **{"family": "mlp", **options}), tmp_path / "out")
    with pytest.raises(ValueError, match="--reject needs a"):
        gan(reject=True)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"interpolate": "lerp", "reject": True}, "--interpolate and --reject"),
        ({"grid": "class", "traverse": "0"}, "--traverse and --grid class"),
        ({"indices": "1", "num_samples": 3}, "both say how many"),
        ({"indices": "1", "reject": True}, "goes through the samples in order"),
    ],
)
def test_what_does_not_go_together_is_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        SampleConfig(**options)


def test_a_plan_writes_nothing(gan: Draw) -> None:
    config = SampleConfig(checkpoint=str(gan.gan), indices="1-3")
    assert plan(config, Setup(device="cpu"))[0].startswith("3 images of 8x8 from")
