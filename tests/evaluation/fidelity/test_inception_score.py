import math

import pytest
import torch

from attacks.random import normal
from evaluation.features.features import Features, TooFewError
from evaluation.features.seen import Sample, Seen
from evaluation.fidelity.inception_score import INCEPTION_METRICS, inception_rows, inception_score, split_scores


def fidelity(logits, **options):
    from torch_fidelity.metric_isc import KEY_METRIC_ISC_MEAN, KEY_METRIC_ISC_STD, isc_features_to_metric

    found = isc_features_to_metric(logits, **options)
    return found[KEY_METRIC_ISC_MEAN], found[KEY_METRIC_ISC_STD]


@pytest.mark.parametrize(("count", "splits", "seed"), [(500, 10, 2020), (503, 7, 1), (40, 1, 0)])
def test_it_equals_torch_fidelity(count, splits, seed):
    logits = 3 * normal(0, torch.arange(count), (12,))
    value = inception_score(logits.double().softmax(dim=1), num_splits=splits, seed=seed).value
    assert value == pytest.approx(fidelity(logits, splits=splits, rng_seed=seed)[0], rel=1e-9)


def test_its_interval_is_students_over_the_splits():
    logits = 3 * normal(0, torch.arange(500), (12,))
    estimate = inception_score(logits.double().softmax(dim=1))
    spread = fidelity(logits)[1] * math.sqrt(10 / 9)
    assert estimate.high - estimate.value == pytest.approx(2.262157 * spread / math.sqrt(10), rel=1e-5)


def test_sure_and_evenly_spread_answers_score_the_number_of_classes():
    probabilities = torch.eye(4).repeat(100, 1)
    assert inception_score(probabilities, num_splits=1).value == pytest.approx(4)


def test_one_answer_for_everything_scores_1_even_where_probabilities_are_0():
    collapsed = torch.eye(4)[torch.zeros(50, dtype=torch.int64)]
    assert inception_score(collapsed) == (1, 1, 1)


def test_an_undecided_classifier_scores_1():
    assert inception_score(torch.full((50, 4), 0.25)).value == pytest.approx(1)


def test_an_interval_stays_between_1_and_the_number_of_classes():
    one_of_another_class = torch.eye(2)[[0, 0, 0, 1]]  # the splits score 2 and 1
    value, low, high = inception_score(one_of_another_class, num_splits=2)
    assert (value, low, high) == (1.5, 1, 2)


def test_too_few_images_are_refused_rather_than_scored_1_or_nan():
    with pytest.raises(ValueError, match="needs 20 images, not 19"):
        inception_score(torch.full((19, 4), 0.25))


def test_without_a_seed_images_stay_in_their_order():
    logits = 3 * normal(0, torch.arange(103), (12,))
    expected = fidelity(logits, shuffle=False)
    scores = split_scores(logits.double().softmax(dim=1), seed=None)
    assert (float(scores.mean()), float(scores.std(correction=0))) == pytest.approx(expected, rel=1e-9)


def coverage(count, splits, trials, scale=3.0):
    """How often the interval holds the expectation at this size, itself the mean over the trials."""
    found = [
        inception_score((scale * normal(trial, torch.arange(count), (10,))).softmax(dim=1), num_splits=splits)
        for trial in range(trials)
    ]
    truth = sum(estimate.value for estimate in found) / trials
    return sum(estimate.low <= truth <= estimate.high for estimate in found) / trials


@pytest.mark.slow
@pytest.mark.parametrize(("count", "splits"), [(200, 10), (1000, 10), (200, 1), (1000, 1), (60, 3)])
def test_intervals_cover_the_expectation_at_this_size(count, splits):
    assert 0.92 <= coverage(count, splits, 400) <= 0.98


@pytest.mark.parametrize("splits", [1, 10])
def test_intervals_cover_the_expectation_as_often_as_they_say(splits):
    assert coverage(200, splits, 100) >= 0.89


def test_probabilities_that_are_no_numbers_are_refused():
    with pytest.raises(ValueError, match="NaN"):
        inception_score(torch.full((40, 4), math.nan))


@pytest.mark.parametrize(("extractor", "name"), [("inception", "inception_score"), ("cnn", "classifier_score")])
def test_its_row_is_named_after_the_classifier(extractor, name):
    probabilities = (3 * normal(0, torch.arange(50), (12,))).softmax(dim=1)
    sample = Sample(features=Features(torch.zeros(50, 1), probabilities, extractor, "0"))
    seen = Seen(real=sample, fake=sample)
    ((metric, estimate, samples, protocol),) = inception_rows(seen, INCEPTION_METRICS)
    assert (metric, estimate, samples) == (name, inception_score(probabilities), 50)
    assert "10 shuffled splits" in protocol
    assert inception_rows(seen, INCEPTION_METRICS, num_splits=1)[0][1].value > estimate.value
    assert inception_rows(seen, []) == []
    with pytest.raises(TooFewError, match="over 26 splits needs 52 images, not 50"):
        inception_rows(seen, INCEPTION_METRICS, num_splits=26)
