"""Conditional generators are asked for classes as the real images have them, through whatever door they come."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from advgan.data import Data, ImageSet
from advgan.ranges import to_bytes
from advgan.sampling.classes import class_counts
from advgan.sampling.exported import load_exported
from advgan.sampling.stored import load_gan, load_state
from attacks.random import normal
from evaluation.evaluating import evaluate
from evaluation.inputs.asked import Shares, asked_of
from evaluation.inputs.opening import open_source
from evaluation.inputs.source import Source
from evaluation.jobs.export.job import ExportConfig, run
from evaluation.jobs.setup import Setup
from evaluation.record.scores import Score

COUNTS = (900, 100)
WriteGan = Callable[..., Path]


class Perfect(nn.Module):
    """Two kinds of images, far apart, with the same noise about them as the real ones have."""

    latent_dim, num_classes = 16, 2

    def forward(self, latents: Tensor, labels: Tensor) -> Tensor:
        return (0.3 + 0.4 * labels[:, None] + 0.03 * latents).clamp(0, 1).view(-1, 1, 4, 4)


@pytest.fixture(scope="module")
def data() -> Data:
    parts = [torch.full((count,), kind) for kind, count in enumerate(COUNTS)]
    labels = torch.cat(parts)
    images = Perfect()(normal(7, torch.arange(len(labels)), (16,)), labels)
    part = ImageSet(to_bytes(images), labels, ("many", "few"), "toy")
    return Data("toy", part, part.draw(100, 1), part.draw(100, 2))


def scores(found: list[Score]) -> dict[str, Score]:
    return {score.metric: score for score in found}


@pytest.mark.parametrize("against", ["data", "reference"])
def test_a_perfect_generator_of_uneven_classes_is_near_its_floor(data: Data, against: str) -> None:
    real = data if against == "data" else (data.train.images, data.train.labels)
    options = {"extractor": "pixels", "metrics": ["fid", "fid_floor"], "num_samples": 1000}
    found = scores(evaluate(Perfect(), real, **options))  # type: ignore[arg-type]
    assert found["fd[pixels]"].value < 6 * found["fd_floor[pixels]"].value
    assert "classes drawn independently in the shares of" in found["fd[pixels]"].protocol
    in_turn = torch.arange(1000) % 2
    even = Perfect()(normal(3, torch.arange(1000), (16,)), in_turn)
    unfair = scores(evaluate(even, real, **options))["fd[pixels]"]  # type: ignore[arg-type]
    assert unfair.value > 30 * found["fd[pixels]"].value, "what classes in turn would have scored"


def test_checkpoints_and_exports_keep_the_shares(tmp_path: Path, write_gan: WriteGan) -> None:
    path = write_gan(tmp_path, "dcgan", conditional=True, class_counts=(6, 1, 1, 2))
    assert class_counts(load_gan(path).generator) == (6, 1, 1, 2)
    assert class_counts(load_state(path).average) == (6, 1, 1, 2)
    sources = [open_source(path, num_samples=400)]
    for form in ("safetensors", "pt2"):
        outcome = run(ExportConfig(checkpoint=str(path), format=form), Setup(device="cpu", out=tmp_path / form))
        sources.append(open_source(outcome.folder, num_samples=400))
    assert class_counts(load_exported(tmp_path / "safetensors")) == (6, 1, 1, 2)
    for source in sources:
        assert isinstance(source, Source)
        assert source.labels is not None
        counts = source.labels.bincount(minlength=4)
        assert 200 < counts[0] < 280
        assert counts[1] + counts[2] < 120
        assert torch.equal(source.labels, sources[0].labels)  # type: ignore[union-attr, arg-type]
        assert "shares of its training data" in source.asked


def test_classes_are_matched_by_name_else_by_number_else_as_likely() -> None:
    like = Shares("photographs", ("cat", "dog", "emu"), (5, 3, 0))
    assert asked_of(("dog", "cat"), like=like, own=(1, 1)).counts == (3, 5)
    assert asked_of(("0", "1", "2"), like=like, own=None).counts == (5, 3, 0)
    assert asked_of(("fox", "gnu"), like=like, own=(7, 1)).counts == (7, 1)
    unknown = asked_of(("fox", "gnu"), like=like, own=None)
    assert unknown.counts == (1, 1)
    assert "unknown" in unknown.words
