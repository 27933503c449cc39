"""Sigma-zero: what its threshold does, and that it needs fewer values than a greedy choice."""

import pytest
import torch

from attacks import L0, fooled
from attacks.minimal.jsma import jsma
from attacks.minimal.sigma_zero import sigma_zero


def test_it_changes_fewer_values_than_jsma(convolutional, draw) -> None:
    images = draw(16, (3, 8, 8))
    labels = convolutional.logits(images).argmax(dim=1)
    found = {attack: attack(convolutional, images, labels) for attack in (sigma_zero, jsma)}
    assert fooled(convolutional.logits(found[sigma_zero]), labels).all()
    success = fooled(convolutional.logits(found[jsma]), labels)
    sizes = {attack: L0.size(result - images)[success].mean() for attack, result in found.items()}
    assert sizes[sigma_zero] < sizes[jsma]


def test_more_steps_find_fewer_values(convolutional, draw) -> None:
    images = draw(16, (3, 8, 8))
    labels = convolutional.logits(images).argmax(dim=1)
    counts = [
        L0.size(sigma_zero(convolutional, images, labels, steps=n, search_steps=0) - images).mean() for n in (20, 300)
    ]
    assert counts[1] < counts[0]


def test_values_that_do_not_change_are_the_images_bit_for_bit(convolutional, draw) -> None:
    images = draw(8, (3, 8, 8)).float()
    labels = convolutional.logits(images.double()).argmax(dim=1)
    network = convolutional.network.float()
    adversarial = sigma_zero(type(convolutional)(network, mean=(0.5,), std=(0.2,)), images, labels, steps=100)
    changed = (adversarial - images).abs()
    assert 0 < (changed > 0).sum() < changed.numel() / 4
    assert changed[changed > 0].min() > 1e-3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0}, "steps must be 1 or more and search_steps 0 or more; got 0 and 8"),
        ({"sigma": 0.0}, "step_size and sigma must be above 0; got 1.0 and 0.0"),
        ({"norm": "l2"}, "sigma_zero has no l2 form: its norm is l0"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, message, rowwise, draw) -> None:
    with pytest.raises(ValueError, match=message):
        sigma_zero(rowwise, draw(2), torch.zeros(2, dtype=torch.int64), **options)
