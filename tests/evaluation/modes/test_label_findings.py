"""A generator that exchanges classes is found, and a classifier that knows none of them blames nobody."""

import pytest
import torch

from evaluation.features.features import Features
from evaluation.features.seen import Sample, Seen
from evaluation.modes.label_findings import label_findings

CLASSES = 4
COUNT = 200


def features(classes, name="cnn"):
    """Images that a classifier is sure of."""
    return Features(torch.zeros(len(classes), 2), torch.eye(CLASSES)[classes], name, "abc")


def seen(drawn, *, wanted=None, real=None, name="cnn"):
    """Fakes of these classes, asked for in turn, beside real images that the classifier takes for `real`."""
    labels = torch.arange(COUNT) % CLASSES
    return Seen(
        real=Sample(features=features(labels if real is None else real, name), labels=labels),
        fake=Sample(features=features(drawn, name), labels=labels if wanted is None else wanted),
        classes=("cat", "dog", "hen", "cow"),
    )


LABELS = torch.arange(COUNT) % CLASSES


def codes(given):
    return [finding.code for finding in label_findings(given)]


def test_two_exchanged_classes_of_four_are_named():
    (found,) = label_findings(seen(torch.tensor([1, 0, 2, 3])[LABELS]))
    assert found.code == "classes-exchanged"
    assert found.evidence.startswith("2 of 4 classes")
    assert "asked to be cat, 0% are and 100% are dog" in found.evidence
    assert "asked to be dog, 0% are and 100% are cat" in found.evidence


def test_one_class_drawn_for_another_is_found_and_a_few_mistakes_are_not():
    assert codes(seen(torch.tensor([0, 1, 2, 2])[LABELS])) == ["classes-exchanged"]
    mistaken = LABELS.clone()
    mistaken[:60] = (mistaken[:60] + 1) % CLASSES
    assert codes(seen(mistaken)) == []
    assert codes(seen(LABELS)) == []


def test_classes_that_are_ignored_are_one_finding():
    assert codes(seen((LABELS + 1) % CLASSES)) == ["labels-ignored"]


def test_a_class_that_the_classifier_does_not_find_in_real_images_either_blames_nobody():
    blind = torch.tensor([0, 1, 2, 2])[LABELS]
    assert codes(seen(blind, real=blind)) == []
    assert codes(seen((LABELS + 1) % CLASSES, real=(LABELS + 2) % CLASSES)) == ["unknown-to-the-extractor"]


@pytest.mark.parametrize("given", [seen(LABELS[:8], wanted=LABELS[:8].flip(0)), seen(1 - LABELS % 2, name="inception")])
def test_few_images_and_imagenets_classes_say_nothing_of_single_classes(given):
    assert "classes-exchanged" not in codes(given)
