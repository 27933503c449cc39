import pytest
import torch

from evaluation.own.probe import labelled_rows, linear_probe
from evaluation.statistics.intervals import wilson


def test_separated_features_are_told_apart_whatever_their_scale() -> None:
    labels = torch.arange(40) % 2
    features = torch.stack([labels * 1e-4, torch.zeros(40)], dim=1)
    assert linear_probe(features, labels, features, labels) == (1, *wilson(40, 40))


def test_features_that_know_nothing_reach_chance() -> None:
    labels = torch.arange(2000) % 4
    features = torch.randn(2000, 5, generator=torch.Generator().manual_seed(0))
    found = linear_probe(features[:1000], labels[:1000], features[1000:], labels[1000:])
    assert found.low < 0.25 < found.high


def test_only_the_labels_of_training_images_are_read() -> None:
    labels = torch.arange(40) % 2
    features = labels[:, None].float()
    assert linear_probe(features, labels, features, 1 - labels).value == 0
    images = features[:, :, None, None].expand(-1, 1, 2, 2)
    assert linear_probe(images, labels, images, labels).value == 1


def test_one_class_is_refused_in_one_line() -> None:
    with pytest.raises(ValueError, match="labels of two classes at least; the 5 given are all of one"):
        linear_probe(torch.zeros(5, 2), torch.zeros(5), torch.zeros(5, 2), torch.zeros(5))


def test_as_many_images_of_each_class_are_labelled() -> None:
    labels = torch.tensor([0] * 50 + [1] * 10 + [2] * 30)
    rows = labelled_rows(labels, 13)
    assert labels[rows].bincount().tolist() == [4, 4, 4]
    assert len(set(rows.tolist())) == 12
    assert torch.equal(rows, labelled_rows(labels, 13))
    assert not torch.equal(rows, labelled_rows(labels, 13, seed=1))
