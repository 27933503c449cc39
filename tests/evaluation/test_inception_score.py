import math

import pytest
import torch

from attacks.random import normal
from evaluation.inception_score import inception_score


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


def test_an_interval_never_reaches_below_the_least_possible_score():
    one_of_another_class = torch.eye(2)[[0, 0, 0, 1]]  # the splits score 2 and 1
    value, low, high = inception_score(one_of_another_class, num_splits=2)
    assert (value, low) == (1.5, 1)
    assert high > 2


def test_too_few_images_are_refused_rather_than_scored_1_or_nan():
    with pytest.raises(ValueError, match="needs 20 images, not 19"):
        inception_score(torch.full((19, 4), 0.25))
