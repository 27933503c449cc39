"""The same classifier for other tools."""

import importlib
import sys
import types
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from attacks.conversions import to_art, to_foolbox
from attacks.sealed import Sealed


def test_foolbox_sees_the_same_logits_and_gradients_and_leaves_no_trace(convolutional, draw) -> None:
    images = draw(4, (3, 8, 8))
    model = to_foolbox(convolutional)
    assert tuple(model.bounds) == (0, 1)
    assert torch.equal(model(images), convolutional.logits(images))
    before = convolutional.passes.backwards
    inputs = images.clone().requires_grad_()
    model(inputs)[:, 1].sum().backward()
    expected = convolutional.gradient(images, lambda logits: logits[:, 1]).gradient
    torch.testing.assert_close(inputs.grad, expected, rtol=0, atol=1e-12)
    assert convolutional.passes.backwards - before == 8
    assert all(parameter.grad is None for parameter in convolutional.parameters())
    assert convolutional.training


def test_a_sealed_classifier_counts_whose_passes_they_are(convolutional, draw) -> None:
    images, rows = draw(2, (3, 8, 8)).requires_grad_(), torch.tensor([3, 1])
    with convolutional.tallied(4) as tally:
        sealed = Sealed(convolutional, rows=rows)
        sealed(images).sum().backward()
        sealed(images.detach())
    assert tally.forwards.tolist() == [0, 2, 0, 2]
    assert tally.backwards.tolist() == [0, 1, 0, 1]
    assert not list(sealed.parameters())


def test_art_gets_the_classifier_with_its_bounds(convolutional, draw, monkeypatch) -> None:
    class PyTorchClassifier:
        def __init__(self, **options: Any) -> None:
            self.options = options

    fake = types.ModuleType("art.estimators.classification")
    fake.PyTorchClassifier = PyTorchClassifier  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "art.estimators.classification", fake)
    options = to_art(convolutional, input_shape=(3, 8, 8), num_classes=4).options
    images: Tensor = draw(2, (3, 8, 8))
    assert torch.equal(options.pop("model")(images).detach(), convolutional.logits(images))
    assert (options["clip_values"], options["input_shape"]) == ((0.0, 1.0), (3, 8, 8))
    assert (options["nb_classes"], options["device_type"]) == (4, "cpu")
    assert np.isscalar(options["loss"](torch.zeros(1, 4), torch.zeros(1, dtype=torch.int64)).item())


def test_a_missing_art_is_answered_with_the_command(convolutional, monkeypatch) -> None:
    def absent(name: str) -> types.ModuleType:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr(importlib, "import_module", absent)
    with pytest.raises(ValueError, match="to_art needs ART: pip install adversarial-robustness-toolbox"):
        to_art(convolutional, input_shape=(3, 8, 8), num_classes=4)


def test_what_art_itself_misses_is_not_hidden(convolutional, monkeypatch) -> None:
    def broken(name: str) -> types.ModuleType:
        raise ModuleNotFoundError("No module named 'six'", name="six")

    monkeypatch.setattr(importlib, "import_module", broken)
    with pytest.raises(ModuleNotFoundError, match="six"):
        to_art(convolutional, input_shape=(3, 8, 8), num_classes=4)
