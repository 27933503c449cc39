import math
from dataclasses import replace

import pytest
import torch

from attacks.random import integers, normal
from evaluation.features.features import Features
from evaluation.features.seen import Sample, Seen
from evaluation.fidelity.frechet import frechet_distance
from evaluation.fidelity.frechet_floor import frechet_floor
from evaluation.fidelity.kernel import kernel_distance
from evaluation.generator_findings import seen_findings
from evaluation.generators import generator_rows, score_generator
from evaluation.metric_words import ALL, COSTLY, GROUPS, METRICS, wanted_metrics
from evaluation.neighbourhoods.precision_recall import precision_recall

CLASSES = 4


def drawn(seed, count, *, classes=CLASSES, dim=6, shift=0.0, name="cnn"):
    """Features in one cluster a class; the classifier is sure of each."""
    indices = torch.arange(count)
    labels = integers(seed, indices, classes, stream=1)
    centres = 4 * normal(7, torch.arange(CLASSES), (dim,))
    values = normal(seed, indices, (dim,)) + centres[labels] + shift
    probabilities = torch.full((count, CLASSES), 0.01, dtype=torch.float64)
    probabilities[indices, labels] = 1 - 0.01 * (CLASSES - 1)
    return Features(values, probabilities, name, "abc", f"{name} abc")


def scored(real, fake, **options):
    return {score.metric: score for score in score_generator(real, fake, **options)}


def test_every_metric_comes_out_with_the_name_of_its_features():
    real, fake = drawn(0, 400), drawn(1, 300)
    names = set(scored(real, fake, labels=fake.classes, held_out=drawn(2, 300)))
    words = set(GROUPS["fidelity"]) | set(GROUPS["neighbours"]) | set(GROUPS["diversity"]) | set(GROUPS["memorisation"])
    words |= set(GROUPS["modes"]) - {"modes_captured", "reverse_kl"}
    words -= {"ms_ssim", "ms_ssim_real", "inception_score", "cmmd"}  # there are no images, and this is not CLIP
    renamed = {"fid": "fd", "kid": "kid", "mind": "mind"}
    expected = {_named(word, renamed) for word in words} | {"classifier_score"}
    assert names == expected


def _named(word, renamed):
    stem = word.partition("_")[0]
    return f"{word.replace(stem, renamed[stem], 1)}[cnn]" if stem in renamed else word


def test_with_inception_the_names_are_the_fields_and_imagenet_classes_are_not_modes():
    real, fake = drawn(0, 200, name="inception"), drawn(1, 150, name="inception")
    names = set(scored(real, fake, labels=fake.classes))
    assert {"fid", "fid_floor", "kid", "precision", "recall", "density", "coverage", "inception_score"} <= names
    assert {name.partition("[")[0] for name in names} <= set(METRICS)
    assert names.isdisjoint(GROUPS["modes"])


def test_only_what_is_wanted_is_computed():
    real, fake = drawn(0, 200), drawn(1, 150)
    assert set(scored(real, fake, metrics=("kid", "precision"))) == {"kid[cnn]", "precision"}
    assert set(scored(real, fake, metrics=("neighbours",))) == set(GROUPS["neighbours"])
    assert wanted_metrics(()) == set(METRICS) - COSTLY
    assert wanted_metrics((ALL,)) == set(METRICS)
    with pytest.raises(ValueError, match=r"no metric 'fit' \(did you mean fid"):
        wanted_metrics(("fit",))


def test_the_numbers_are_those_of_the_metrics_in_the_order_real_fake():
    real, fake = drawn(0, 200), drawn(1, 150, classes=2, shift=0.3)
    found = scored(real, fake)
    assert found["fd[cnn]"].value == frechet_distance(real.values, fake.values)
    assert found["kid[cnn]"].value == pytest.approx(kernel_distance(real.values, fake.values))
    assert found["fd_floor[cnn]"].value == frechet_floor(real.values, 150)
    expected = precision_recall(real.values, fake.values)
    assert all(found[name].value == estimate.value for name, estimate in expected.items())
    assert found["precision"].value > found["recall"].value
    assert found["modes_covered"].value == 2
    assert found["mode_kl"].value == pytest.approx(math.log(2), abs=0.15)


def test_every_score_says_its_sizes_interval_and_extractor():
    for score in score_generator(drawn(0, 200), drawn(1, 150), subject="gan", data="digits", seed=5):
        assert (score.subject, score.data, score.setting, score.seed) == ("gan", "digits", "cnn", 5)
        assert (score.num_real, score.extractor, score.preparation) == (200, "cnn abc", "cnn abc")
        assert "torch 2." in score.versions
        assert "200 real, 150 fake; cnn abc" in score.protocol
        assert score.low <= score.value <= score.high
        assert "interval" in score.protocol or score.metric == "fd_floor[cnn]"


def test_different_extractors_are_not_compared():
    with pytest.raises(ValueError, match="extract both with one"):
        score_generator(drawn(0, 20), drawn(1, 20, name="other"))
    with pytest.raises(ValueError, match="extract both with one"):
        score_generator(drawn(0, 20), replace(drawn(1, 20), digest="xyz"))


def test_too_few_images_are_refused_and_few_ones_go_without_a_classifier_score():
    with pytest.raises(ValueError, match="5 fake images are too few"):
        score_generator(drawn(0, 20), drawn(1, 5))
    assert "classifier_score" not in scored(drawn(0, 20), drawn(1, 19))


def found(real, fake, *, labels=None, classes=()):
    seen = Seen(real=Sample(features=real), fake=Sample(features=fake, labels=labels), classes=tuple(classes))
    return seen_findings(seen, generator_rows(seen, wanted_metrics(())).rows)


def titles(real, fake, **options):
    return {finding.title for finding in found(real, fake, **options)}


def test_a_good_generator_raises_no_alarm():
    real, fake = drawn(0, 400), drawn(1, 400, shift=0.6)
    assert titles(real, fake, labels=fake.classes) == set()


def test_fewer_images_than_features_are_an_alarm():
    assert "Fewer images than features" in titles(drawn(0, 200, dim=30), drawn(1, 30, dim=30))
    assert "Fewer images than features" not in titles(drawn(0, 200, dim=30), drawn(1, 31, dim=30))


def test_a_distance_at_its_floor_is_said_to_be_noise():
    assert "The Fréchet distance is mostly its noise floor" in titles(drawn(0, 300), drawn(1, 300))


def test_missing_classes_are_named():
    real, fake = drawn(0, 400), drawn(1, 200, classes=2)
    (missing,) = [
        finding
        for finding in found(real, fake, classes=["a", "b", "c", "d"])
        if finding.title == "Classes are never generated"
    ]
    assert "2 of 4 classes are missing among 200 images: c, d" in missing.evidence


def test_a_rare_class_may_be_absent_by_chance():
    real = drawn(0, 400)
    few = replace(real, probabilities=real.probabilities[torch.where(real.classes == 3, 0, torch.arange(400))])
    rare = torch.cat([few.probabilities[1:], torch.eye(4, dtype=torch.float64)[3:]])
    assert "Classes are never generated" not in titles(replace(real, probabilities=rare), drawn(1, 200, classes=3))


def test_a_collapsed_generator_repeats_itself_and_lacks_diversity():
    real = drawn(0, 300)
    point = replace(real, values=real.values[:5].repeat(60, 1), probabilities=real.probabilities[:5].repeat(60, 1))
    assert {"The generator repeats itself", "The generator lacks diversity"} <= titles(real, point)


def test_precision_alone_praises_no_images():
    """Grey blobs in the middle of the data have a high one: nobody would take them for real."""
    real = drawn(0, 300)
    blobs = replace(drawn(1, 300), values=real.values[real.classes == 0].mean(dim=0) + 0.01 * drawn(1, 300).values)
    (lacking,) = [finding for finding in found(real, blobs) if finding.code == "low-diversity"]
    assert "blurred and grey ones do too" in lacking.evidence
    assert "realistic" not in lacking.evidence


def test_labels_that_are_ignored_are_an_alarm():
    fake = drawn(1, 300, shift=0.6)
    ignored = "The generator does not draw what it is asked for"
    assert ignored in titles(drawn(0, 300), fake, labels=integers(9, torch.arange(300), CLASSES))
    assert ignored not in titles(drawn(0, 300), fake, labels=fake.classes)
