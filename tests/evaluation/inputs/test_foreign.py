"""Generators of other people, in every form, draw the same images, and are sampled, exported and augment as ours do."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from advgan.config import DataConfig
from advgan.data import load_data
from advgan.sampling.drawing import sample
from evaluation.inputs import Source, open_source
from evaluation.inputs.foreign import generator_of
from evaluation.jobs.augment import job as augment
from evaluation.jobs.augment.config import AugmentConfig
from evaluation.jobs.export import job as export
from evaluation.jobs.export.config import ExportConfig
from evaluation.jobs.sample import job as drawn
from evaluation.jobs.sample.config import SampleConfig
from evaluation.jobs.setup import Setup

CODE = """
import torch
from torch import nn

class Plain(nn.Module):
    latent_dim = 5
    def __init__(self, classes=0):
        super().__init__()
        torch.manual_seed(0)
        self.num_classes = classes
        self.layer = nn.Linear(5 + classes, 64)
    def images(self, latents, labels=None):
        if labels is not None:
            latents = torch.cat([latents, nn.functional.one_hot(labels, self.num_classes).to(latents.dtype)], dim=1)
        return torch.sigmoid(self.layer(latents)).view(-1, 1, 8, 8)
    def forward(self, latents, labels=None):
        return self.images(latents, labels)

class Conditional(Plain):
    def __init__(self):
        super().__init__(10)

class Signed(Plain):
    def forward(self, latents):
        return self.images(latents) * 2 - 1

class Levels(Plain):
    def forward(self, latents):
        return (self.images(latents) * 255).round().to(torch.uint8)

class Last(Plain):
    def forward(self, latents):
        return self.images(latents).permute(0, 2, 3, 1)

class Pair(Plain):
    def forward(self, latents):
        return self.images(latents), latents

class Named(Plain):
    def forward(self, latents):
        images = self.images(latents)
        return {"low": images[:, :, ::2, ::2], "sample": images}

class Array(Plain):
    def forward(self, latents):
        return self.images(latents).numpy()

def function(indices, seed):
    return torch.zeros(len(indices), 1, 8, 8)

class Random(Plain):
    def forward(self, latents):
        return torch.rand(len(latents), 1, 8, 8)
"""


@pytest.fixture
def named(tmp_path: Path) -> Callable[[str], str]:
    (tmp_path / "mine.py").write_text(CODE)
    return lambda name: f"{tmp_path}/mine.py:{name}"


def scored(source: str, count: int = 6) -> torch.Tensor:
    found = open_source(source, num_samples=count)
    assert isinstance(found, Source)
    return found.images(torch.arange(count)).float()


@pytest.mark.parametrize("form", ["Plain", "Signed", "Levels", "Last", "Pair", "Named", "Array"])
def test_every_form_gives_the_same_images_to_all(form: str, named: Callable[[str], str]) -> None:
    gan = generator_of(named(form))
    images, expected = sample(gan.generator, 6), scored(named("Plain"))
    torch.testing.assert_close(images, expected, rtol=0, atol=0.5 / 255 + 1e-5 if form == "Levels" else 1e-5)
    seen = scored(named(form)) / (255 if form == "Levels" else 1)
    torch.testing.assert_close(images, seen, rtol=0, atol=1e-5)
    assert (gan.size, gan.channels, gan.generator.num_classes) == (8, 1, 0)


def test_somebody_elses_generator_is_sampled(named: Callable[[str], str], tmp_path: Path) -> None:
    outcome = drawn.run(
        SampleConfig(checkpoint=named("Conditional"), num_samples=6, label="3"), Setup(device="cpu", out=tmp_path / "a")
    )
    assert outcome.folder is not None
    with np.load(next(outcome.folder.glob("samples_*.npz"))) as arrays:
        assert arrays["arr_0"].shape == (6, 8, 8, 1)
        assert set(arrays["arr_1"].tolist()) == {3}
    for options in ({"interpolate": "slerp"}, {"truncation": 0.5}, {"grid": "class"}, {"traverse": "0"}):
        config = SampleConfig(checkpoint=named("Conditional"), num_samples=2, **options)
        assert drawn.run(config, Setup(device="cpu", out=tmp_path / str(options))).folder
    with pytest.raises(ValueError, match="is a foreign generator, which has no discriminator: give the run of a GAN"):
        drawn.run(SampleConfig(checkpoint=named("Plain"), reject=True), Setup(device="cpu", out=tmp_path / "x"))


@pytest.mark.parametrize("form", ["Plain", "Conditional", "Pair", "Last"])
def test_somebody_elses_generator_is_exported_and_read_back(
    form: str, named: Callable[[str], str], tmp_path: Path
) -> None:
    expected = sample(generator_of(named(form)).generator, 6)
    file = tmp_path / "out" / "model.pt2"
    export.run(ExportConfig(checkpoint=named(form), format="pt2"), Setup(device="cpu", out=file.parent))
    for source in (file, file.parent):
        gan = generator_of(str(source))
        torch.testing.assert_close(sample(gan.generator, 6), expected)
        assert gan.generator.num_classes == (10 if form == "Conditional" else 0)
    again = tmp_path / "again"
    export.run(ExportConfig(checkpoint=str(file.parent), format="pt2"), Setup(device="cpu", out=again))
    torch.testing.assert_close(sample(generator_of(str(again)).generator, 6), expected)
    with pytest.raises(ValueError, match="the code of this generator is not ours: choose pt2, onnx or fidelity"):
        export.run(ExportConfig(checkpoint=named(form)), Setup(device="cpu", out=tmp_path / "weights"))


@pytest.mark.parametrize("form", ["Plain", "Conditional"])
def test_somebody_elses_generator_augments(
    form: str, named: Callable[[str], str], tmp_path: Path, monkeypatch: Any
) -> None:
    class Judge(torch.nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return images.flatten(1)[:, :10] * 0

    from attacks import Classifier

    monkeypatch.setattr(augment, "choose_classifier", lambda _, data, *__, **___: (Classifier(Judge()), data))
    config = AugmentConfig(
        checkpoint=named(form), num_generated=20, num_adversarial=1, min_confidence=0.05, steps=1, attacks=("pgd",)
    )
    outcome = augment.run(config, Setup(device="cpu", out=tmp_path / "out"))
    assert any(score.setting == "generated" for score in outcome.results.scores)
    assert named(form) in dict(outcome.results.header)["generator"]


def test_classes_are_named_by_the_data_where_their_number_agrees(named: Callable[[str], str]) -> None:
    data = load_data(DataConfig())
    assert generator_of(named("Conditional"), data=data).classes == data.classes


def test_what_is_no_generator_is_one_clear_line(named: Callable[[str], str], tmp_path: Path) -> None:
    for name in ("w.pth", "w.pth.tar", "w.bin"):
        torch.save({"state_dict": {"a": torch.zeros(2, 2)}}, tmp_path / name)
    words = "holds weights without their architecture: write a function that builds the network and loads its weights"
    cases = [(str(tmp_path / name), words) for name in ("w.pth", "w.pth.tar", "w.bin")]
    cases += [
        (named("function"), r"is a function, which has no latents to draw from: give a module with latent_dim"),
        (named("Random"), "draws another image for the same index in another batch"),
    ]
    for source, message in cases:
        for use in (
            lambda source: generator_of(source),
            lambda source: drawn.run(SampleConfig(checkpoint=source), Setup(device="cpu", out=tmp_path / "x")),
            lambda source: export.run(ExportConfig(checkpoint=source), Setup(device="cpu", out=tmp_path / "x")),
        ):
            with pytest.raises(ValueError, match=message) as caught:
                use(source)
            assert "\n" not in str(caught.value)
        if "without their" in message:
            with pytest.raises(ValueError, match=message):
                open_source(source, num_samples=4)
    assert not (tmp_path / "x").exists()
