"""Scores in one call from Python, of whatever gives images."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import evaluation
from advgan.config import DataConfig
from advgan.data import Data, load_data
from advgan.ranges import to_unit
from attacks import Classifier
from attacks.random import uniform
from evaluation.evaluating import evaluate
from evaluation.extractors.pixels import pixels_extractor
from evaluation.features.features import classifier_extractor, extract
from evaluation.fidelity.frechet import frechet_distance
from evaluation.metric_words import COSTLY
from evaluation.neighbourhoods.precision_recall import precision_recall
from evaluation.record.scores import Score, word_of

COUNT = 50
SETTINGS: dict[str, Any] = {"extractor": "pixels", "num_samples": COUNT, "num_real": 120}


@pytest.fixture(scope="module")
def data() -> Data:
    return load_data(DataConfig(source="digits"))


def noise(indices: Tensor, seed: int) -> Tensor:
    return uniform(seed, indices, (1, 8, 8))


def by_metric(scores: list[Score]) -> dict[str, Score]:
    return {score.metric: score for score in scores}


def test_it_is_the_call_of_the_package() -> None:
    assert evaluation.evaluate is evaluate


def test_a_tensor_against_a_tensor_has_the_numbers_of_the_formulas(data: Data) -> None:
    real, fake = data.train.images[:100], data.test.images[:COUNT]
    found = by_metric(evaluate(fake, real, **SETTINGS, metrics=("fid", "precision", "recall")))
    rows, others = (to_unit(images).flatten(1) for images in (real, fake))
    assert found["fd[pixels]"].value == pytest.approx(frechet_distance(rows, others), rel=1e-6)
    expected = precision_recall(rows, others)
    for word in ("precision", "recall"):
        assert found[word].value == pytest.approx(expected[word].value)
        assert found[word].low <= found[word].value <= found[word].high
    for score in found.values():
        assert (score.samples, score.num_real, score.extractor) == (COUNT, 100, "pixels levels")
        assert "torch" in score.versions


def test_data_bring_held_out_images_as_control(data: Data) -> None:
    found = by_metric(evaluate(noise, data, **SETTINGS))
    assert {"fd_real[pixels]", "authenticity_held_out"} <= found.keys()
    assert found["fd[pixels]"].low > found["fd_real[pixels]"].high, "noise is no digits"
    assert {word_of(metric) for metric in found}.isdisjoint(COSTLY)
    alone = by_metric(evaluate(noise, data.train.images, **SETTINGS, metrics=("fidelity", "memorisation")))
    assert not alone.keys() & {"fd_real[pixels]", "authenticity_held_out"}


def test_everything_that_gives_the_same_images_has_the_same_scores(data: Data, tmp_path: Path) -> None:
    images = (noise(torch.arange(COUNT), 0) * 255).round().to(torch.uint8)
    np.savez(tmp_path / "images.npz", arr_0=images.permute(0, 2, 3, 1).numpy())
    forms = (images, images.numpy(), images.float() / 255, tmp_path / "images.npz", noise)
    found = [evaluate(form, data, **SETTINGS, metrics=("fid", "coverage", "vendi")) for form in forms]
    values = [[score.value for score in scores] for scores in found]
    for others in values[1:]:
        assert others == pytest.approx(values[0], rel=1e-6)


def test_a_module_draws_from_its_latents(data: Data) -> None:
    torch.manual_seed(0)
    generator = nn.Sequential(nn.Linear(3, 64), nn.Sigmoid(), nn.Unflatten(1, (1, 8, 8)))
    generator.latent_dim = 3  # type: ignore[assignment]
    first, again, other = (evaluate(generator, data, **SETTINGS, metrics=("fid",), seed=seed) for seed in (0, 0, 1))
    assert first == again
    assert first[0].value != other[0].value
    assert (first[0].seed, other[0].seed) == (0, 1)


def test_the_users_own_network_may_see_the_images(data: Data) -> None:
    torch.manual_seed(0)
    network = Classifier(nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 10)), name="mine")
    extractor = classifier_extractor(network)
    found = by_metric(evaluate(noise, data, **{**SETTINGS, "extractor": extractor}, metrics=("fid", "modes_covered")))
    assert found.keys() == {"fd[mine]", "modes_covered"}
    assert {score.extractor for score in found.values()} == {f"mine {extractor.digest}"}


def test_an_extractors_features_are_looked_at_as_extract_does(data: Data) -> None:
    """The number of one call is that of features which were taken by hand."""
    seen = [extract(pixels_extractor(), to_unit(part.images[:COUNT])).values for part in (data.train, data.test)]
    (score,) = evaluate(data.test.images[:COUNT], data.train.images[:COUNT], **SETTINGS, metrics=("fid",))
    assert score.value == pytest.approx(frechet_distance(seen[0], seen[1]), rel=1e-9)


def test_what_cannot_be_scored_is_refused_in_one_line(data: Data, tmp_path: Path) -> None:
    file = tmp_path / "moments.npz"
    np.savez(file, mu=np.zeros(64), sigma=np.eye(64))
    large = torch.zeros(COUNT, 1, 16, 16, dtype=torch.uint8)
    cases: list[tuple[Any, Any, dict[str, Any], str]] = [
        (file, data, {}, "holds statistics, of which only a Fréchet distance can be made: give images"),
        (noise, file, {}, "holds statistics"),
        (large, data, {}, "1x16x16 images, digits 1x8x8"),
        (large, data.train.images, {}, "1x16x16 images, .*1x8x8: bring both to one form"),
        (noise, data, {"metrics": ("fod",)}, "no metric 'fod'"),
        (noise, data, {"extractor": "eyes"}, "no extractor 'eyes'"),
        (noise, data, {"num_samples": 4, "metrics": ("recall",)}, r"nothing can be scored here: recall .*\(4, 64\)"),
        (3, data, {}, "int cannot be scored"),
        (noise(torch.arange(9), 0) * 2 + 1, data, {}, "image"),
    ]
    for generated, real, options, words in cases:
        with pytest.raises(ValueError, match=words) as caught:
            evaluate(generated, real, **{**SETTINGS, **options})
        assert "\n" not in str(caught.value)
