"""Planted generators of digits, judged by the rows on diversity and memorisation; the features are the raw pixels."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter, shift
from sklearn.datasets import load_digits
from torch import Tensor
from torch.nn.functional import one_hot

from attacks.random import integers, normal, permutation
from evaluation.diversity.birthday import duplicate_level
from evaluation.diversity.findings import diversity_findings
from evaluation.diversity.rows import DIVERSITY_METRICS, diversity_rows
from evaluation.features.absent import made
from evaluation.features.features import Features, TooFewError
from evaluation.features.seen import Row, Sample, Seen
from evaluation.memorisation.findings import memorisation_findings
from evaluation.memorisation.rows import MEMORISATION_METRICS, memorisation_rows
from evaluation.statistics.intervals import Estimate

COUNT = 497


def sample(pixels: Tensor, labels: Tensor) -> Sample:
    images = (255 * pixels.clamp(0, 1)).round().to(torch.uint8).reshape(-1, 1, 8, 8)
    seen = Features(pixels, one_hot(labels, 10).double(), "pixels", "0")
    return Sample(features=seen, labels=labels, images=images)


@cache
def digits() -> tuple[Sample, Sample, Sample]:
    """Training images, held-out ones, and real ones that are passed off as generated."""
    pixels, labels = (torch.from_numpy(part) for part in load_digits(return_X_y=True))
    order = permutation(0, len(pixels))
    pixels, labels = pixels[order] / 16, labels[order]
    first, second, third = (
        sample(pixels[part], labels[part]) for part in (slice(800), slice(800, 1300), slice(1300, None))
    )
    return first, second, third


def moved(pixels: Tensor, function: Callable[[np.ndarray], np.ndarray]) -> Tensor:
    return torch.from_numpy(np.stack([function(image) for image in pixels.reshape(-1, 8, 8).numpy()])).flatten(1)


def some(of: Sample, rows: Tensor, function: Callable[[Tensor], Tensor] = lambda pixels: pixels) -> Sample:
    assert of.labels is not None
    return sample(function(of.features.values[rows]), of.labels[rows])


def noise(size: float) -> Callable[[Tensor], Tensor]:
    return lambda pixels: pixels + size * normal(1, torch.arange(len(pixels)), (64,), dtype=torch.float64)


def planted(name: str) -> Sample:
    train, _, new = digits()
    everyone = torch.arange(COUNT)
    again = integers(1, everyone, len(train))
    assert new.labels is not None
    assert train.labels is not None
    firsts = torch.stack([(new.labels == number).nonzero()[0, 0] for number in range(10)])
    match name:
        case "new images":
            return new
        case "copies":
            return some(train, everyone)
        case "copies, drawn with replacement":
            return some(train, again)
        case "copies, shifted by a fifth of a pixel":
            return some(train, everyone, lambda pixels: moved(pixels, lambda image: shift(image, (0, 0.2), order=1)))
        case "a fifth are copies":
            return sample(
                torch.cat([train.features.values[:100], new.features.values[100:]]),
                torch.cat([train.labels[:100], new.labels[100:]]),
            )
        case "one class":
            return some(new, (new.labels == 3).nonzero().flatten().repeat(2), noise(0.05))
        case "thirty images":
            return some(new, again % 30)
        case "one image a class":
            return some(new, firsts[again % 10], noise(0.01))
        case "blur":
            return some(new, everyone, lambda pixels: moved(pixels, lambda image: gaussian_filter(image, 0.8)))
        case "noise":
            return some(new, everyone, noise(0.2))
    raise AssertionError(name)


@cache
def rows_of(name: str) -> tuple[Row, ...]:
    train, held_out, _ = digits()
    seen = Seen(real=train, fake=planted(name), held_out=held_out)
    return tuple(diversity_rows(seen, DIVERSITY_METRICS) + memorisation_rows(seen, MEMORISATION_METRICS))


NAMED = {
    "new images": set(),
    "copies": {"memorised-data"},
    "copies, drawn with replacement": {"memorised-data"},
    "copies, shifted by a fifth of a pixel": {"memorised-data"},
    "a fifth are copies": {"memorised-data"},
    "one class": {"low-vendi-score", "uneven-bins"},
    "thirty images": {"few-distinct-images", "alike-within-class", "uneven-bins"},
    "one image a class": {"few-distinct-images", "alike-within-class", "uneven-bins"},
    "blur": {"low-vendi-score"},
    "noise": set(),
}


@pytest.mark.parametrize("name", NAMED)
def test_each_failure_is_named_and_new_images_are_healthy(name):
    found = [*diversity_findings(rows_of(name)), *memorisation_findings(rows_of(name))]
    assert {finding.code for finding in found} == NAMED[name]


def test_every_word_has_its_row_with_an_interval_that_holds_the_value():
    rows = rows_of("new images")
    assert {row[0] for row in rows} == {*DIVERSITY_METRICS, *MEMORISATION_METRICS}
    for word, estimate, count, protocol in rows:
        assert estimate.low <= estimate.value <= estimate.high, word
        assert count > 0
        assert "interval" in protocol


def test_only_what_is_wanted_is_computed(monkeypatch):
    train, held_out, new = digits()
    seen = Seen(real=train, fake=new, held_out=held_out)
    monkeypatch.delattr("evaluation.diversity.rows.vendi_score")
    monkeypatch.delattr("evaluation.memorisation.rows.Cells")
    assert [row[0] for row in diversity_rows(seen, {"class_diversity", "fid"})] == ["class_diversity"]
    assert [row[0] for row in memorisation_rows(seen, {"copied_share", "fid"})] == ["copied_share"]
    assert memorisation_rows(seen, {"fid"}) == diversity_rows(seen, ()) == []


def test_without_held_out_images_only_authenticity_is_left_and_extreme_values_are_doubted():
    train, _, new = digits()
    for fake, codes in ((new, []), (planted("copies"), ["near-without-control"])):
        rows = memorisation_rows(Seen(real=train, fake=fake), MEMORISATION_METRICS)
        assert [row[0] for row in rows] == ["authenticity"]
        assert [finding.code for finding in memorisation_findings(rows)] == codes
    assert memorisation_rows(Seen(real=train, fake=new), {"copying_z"}) == []


@pytest.mark.parametrize(
    ("preference", "share", "codes"),
    [
        ((0.80, 0.75, 0.85), (0.00, 0.00, 0.01), ["memorised-data"]),  # shifted copies: not near, but on one side
        ((0.53, 0.51, 0.55), (0.10, 0.08, 0.12), ["memorised-data"]),  # a few copies
        ((0.53, 0.51, 0.55), (0.02, 0.01, 0.03), []),
        ((0.80, 0.54, 0.95), (0.02, 0.01, 0.03), []),  # no certainty
    ],
)
def test_copying_is_named_where_the_whole_interval_shows_it(preference, share, codes):
    rows = [("train_preference", Estimate(*preference), 100, ""), ("copied_share", Estimate(*share), 100, "")]
    assert [finding.code for finding in memorisation_findings(rows)] == codes


@pytest.mark.parametrize(
    ("support", "real", "codes"),
    [
        ((400, 300, 480), (9000, 5000, 20000), ["few-distinct-images"]),
        ((400, 300, 520), (9000, 5000, 20000), []),  # 500 were drawn
        ((400, 300, 480), (4000, 2000, 9000), []),  # so few real images could not tell more
    ],
)
def test_few_images_are_named_where_the_whole_interval_shows_it(support, real, codes):
    rows = [("support_size", Estimate(*support), 500, ""), ("support_size_real", Estimate(*real), 300, "")]
    assert [finding.code for finding in diversity_findings(rows)] == codes


def test_images_near_to_everything_are_told_from_copies():
    """Faint images in many directions lie near to training images, and as near to held-out ones."""
    sets = [normal(number, torch.arange(400), (64,), dtype=torch.float64) for number in range(3)]
    train, fake, held_out = (
        sample(part, torch.zeros(400, dtype=torch.int64)) for part in (sets[0], 0.1 * sets[1], sets[2])
    )
    rows = memorisation_rows(Seen(real=train, fake=fake, held_out=held_out), MEMORISATION_METRICS)
    (finding,) = memorisation_findings(rows)
    assert (finding.code, finding.level) == ("near-without-copying", "info")
    assert finding.evidence.startswith("Authenticity is ")
    assert "are nearer to a training than to a held-out image" in finding.evidence


@pytest.mark.parametrize(
    ("preference", "advice"),
    [
        ((0.0, 0.0, 0.72), "That leaves open whether they were copied"),
        ((0.5, 0.46, 0.54), "Copying would show in that share"),
    ],
)
def test_only_a_narrow_interval_clears_images_of_copying(preference, advice):
    rows = [("train_preference", Estimate(*preference), 400, ""), ("copying_z", Estimate(-9, -9, -9), 400, "")]
    (finding,) = memorisation_findings(rows)
    assert finding.advice.startswith(advice)


def test_measures_within_a_class_need_classes_and_images():
    train, _, new = digits()
    bare = [
        replace(one, images=None, labels=None, features=replace(one.features, probabilities=torch.ones(len(one), 1)))
        for one in (train, new)
    ]
    words = {row[0] for row in diversity_rows(Seen(real=bare[0], fake=bare[1]), DIVERSITY_METRICS)}
    assert words == {"ndb", "ndb_js", "support_size", "support_size_real", "vendi", "vendi_real"}
    unlabelled = Seen(real=replace(train, labels=None), fake=replace(new, images=None))  # sorted by the extractor
    words = {row[0] for row in diversity_rows(unlabelled, DIVERSITY_METRICS)}
    assert "class_diversity" in words
    assert "ms_ssim" not in words


def test_few_images_have_the_rows_that_they_allow():
    train, held_out, new = digits()
    few = [some(one, torch.arange(12)) for one in (train, new, held_out)]
    seen = Seen(real=few[0], fake=few[1], held_out=few[2])
    found = made(lambda words: diversity_rows(seen, words), DIVERSITY_METRICS)
    words = {row[0] for row in found.rows}
    assert isinstance(found.absent["ndb"], TooFewError)
    assert {"vendi", "support_size"} <= words
    assert "ndb" not in words
    words = {row[0] for row in made(lambda words: memorisation_rows(seen, words), MEMORISATION_METRICS).rows}
    assert words == {"authenticity", "authenticity_held_out", "train_preference"}


def test_rows_hang_on_the_seed_alone():
    train, held_out, new = digits()
    seen = [Seen(real=train, fake=new, held_out=held_out, seed=seed) for seed in (5, 5, 6)]
    words = {"ndb_js", "copying_z", "ms_ssim"}
    first, second, third = (diversity_rows(one, words) + memorisation_rows(one, words) for one in seen)
    assert first == second
    assert [row[1] for row in first] != [row[1] for row in third]


def test_the_level_of_duplicates_is_below_every_real_pair():
    train, _, _ = digits()
    assert duplicate_level(train.features.values) < float(torch.pdist(train.features.values).amin())
