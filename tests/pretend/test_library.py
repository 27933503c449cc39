"""The library on the device, as people call it."""

from functools import partial

import torch
from torch import nn

from attacks import Classifier, pgd
from evaluation import robustness, table


def test_the_lines_of_the_readme(cuda: torch.device) -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(192, 10)).to(cuda)
    images, labels = torch.rand(20, 3, 8, 8), torch.arange(20) % 10
    classifier = Classifier(network, mean=(0.5, 0.5, 0.5), std=(0.2, 0.2, 0.2))
    found = {}
    for device in (cuda, torch.device("cpu")):
        classifier.to(device)
        attacks = {"pgd-linf-8/255": partial(pgd, eps=8 / 255)}
        found[device.type] = table(robustness(classifier, images.to(device), labels.to(device), attacks))
    assert found["cuda"]["value"].round(6).equals(found["cpu"]["value"].round(6))


def test_a_classifier_is_where_its_network_is(cuda: torch.device) -> None:
    classifier = Classifier(nn.Sequential(nn.Flatten(), nn.Linear(64, 3)).to(cuda), mean=(0.5,), std=(0.2,))
    assert classifier(torch.rand(2, 1, 8, 8, device=cuda)).device.type == "cuda"
