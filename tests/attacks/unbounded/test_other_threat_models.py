"""What holds for every attack of the table that no norm bounds."""

import inspect
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from attacks import ATTACKS, TABLE, Attack, Classifier
from attacks.random import permutation, seeded

COUNT = 20
SMALL = {"steps": 4, "queries": 15, "rotations": 5, "translations": 3}
"""Options that make an attack short, where it has them."""
INDICES = torch.arange(1000, 1000 + COUNT)

FREE = [name for name, entry in TABLE.items() if not entry.norms]
every_attack = pytest.mark.parametrize("name", FREE)
every_search = pytest.mark.parametrize("name", [name for name in FREE if TABLE[name].knowledge != "none"])


def bound(name: str, **options: Any) -> Attack:
    known = inspect.signature(ATTACKS[name]).parameters
    return partial(ATTACKS[name], **{key: value for key, value in {**SMALL, **options}.items() if key in known})


@pytest.fixture
def small(rowwise) -> Classifier:
    """Five classes, images (N, 1, 8, 8), float64, bit for bit the same in any batch."""
    with seeded(3):
        return Classifier(type(rowwise.network)(64, 5))


@pytest.fixture
def images(draw) -> Tensor:
    return draw(COUNT, (1, 8, 8))


@pytest.fixture
def labels(small, images) -> Tensor:
    """The classes that the network sees, a few of them wrong."""
    labels = small.logits(images).argmax(dim=1)
    labels[::9] = (labels[::9] + 1) % 5
    return labels


def test_the_table_names_what_is_asked_of_an_evaluation() -> None:
    assert {"spatial", "patch", "salt-and-pepper", "fog", "jpeg_compression"} <= set(FREE)
    assert all(TABLE[name].aim == "free" for name in FREE)
    assert not TABLE["universal"].per_sample


@every_attack
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 9, 12)])
def test_a_result_lies_in_bounds(name, dtype, shape, draw) -> None:
    images = draw(6, shape).to(dtype)
    with seeded(4):
        classifier = Classifier(nn.Sequential(nn.Flatten(), nn.Linear(images[0].numel(), 2)).to(dtype))
    adversarial = bound(name)(classifier, images, classifier.logits(images).argmax(dim=1))
    assert ((adversarial >= 0) & (adversarial <= 1)).all()
    assert (adversarial.shape, adversarial.dtype) == (images.shape, images.dtype)
    assert not torch.equal(adversarial, images)


@every_attack
def test_batches_and_order_change_nothing(name, small, images, labels) -> None:
    def attacked(order: Tensor, batch_size: int) -> Tensor:
        result = torch.empty_like(images)
        for rows in order.split(batch_size):
            result[rows] = bound(name)(small, images[rows], labels[rows], indices=INDICES[rows])
        return result

    whole = attacked(torch.arange(COUNT), COUNT)
    for batch_size in (1, 7):
        assert torch.equal(attacked(permutation(1, COUNT), batch_size), whole)


@every_search
@pytest.mark.parametrize("options", [{}, {"targeted": True}, {"tries": 6, "random_placement": False}])
def test_a_queue_changes_nothing_and_every_pass_is_counted(name, options, small, images, labels) -> None:
    before = small.passes.forwards
    with small.tallied(COUNT) as tally:
        whole = bound(name, **options)(small, images, labels, indices=INDICES)
    assert int(tally.forwards.sum()) == small.passes.forwards - before
    with small.tallied(COUNT) as queued:
        waiting = bound(name, **options, batch_size=6)(small, images, labels, indices=INDICES)
    assert torch.equal(waiting, whole)
    assert torch.equal(queued.forwards, tally.forwards)
    before = small.passes.forwards
    assert torch.equal(bound(name, **options, compact=False)(small, images, labels, indices=INDICES), whole)
    assert small.passes.forwards - before >= int(tally.forwards.sum())


@every_search
def test_a_constant_added_to_the_logits_changes_nothing(name, small, images, labels) -> None:
    class Shifted(nn.Module):
        def __init__(self, constant: float) -> None:
            super().__init__()
            self.network, self.constant = small.network, constant

        def forward(self, inputs: Tensor) -> Tensor:
            return self.network(inputs) + self.constant

    expected = bound(name)(small, images, labels)
    for constant in (-50, 50):
        shifted = bound(name)(Classifier(Shifted(constant)), images, labels)
        torch.testing.assert_close(shifted, expected, rtol=0, atol=1e-9)


@every_attack
def test_an_attack_leaves_no_trace(name) -> None:
    with seeded(0):
        network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Dropout(), nn.Linear(144, 3))
        images, labels = torch.rand(8, 1, 8, 8), torch.arange(8) % 3
    network.train()
    network[1].eval()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    modes = [module.training for module in network.modules()]
    state, copy = torch.get_rng_state(), images.clone()
    images.requires_grad_()

    adversarial = bound(name)(Classifier(network), images, labels)

    assert not adversarial.requires_grad
    assert images.grad is None
    assert torch.equal(images, copy)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    assert [module.training for module in network.modules()] == modes
    assert all(parameter.requires_grad and parameter.grad is None for parameter in network.parameters())


@every_attack
def test_normalised_images_are_refused(name, small, images, labels) -> None:
    with pytest.raises(ValueError, match=r"images must be in \[0, 1\]; got -2.5 to 2.5"):
        bound(name)(small, (images - 0.5) / 0.2, labels)


@every_attack
def test_an_empty_batch_gives_an_empty_result(name, small, images, labels) -> None:
    assert bound(name)(small, images[:0], labels[:0]).shape == (0, 1, 8, 8)


@every_attack
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_attacks_work_where_autograd_is_switched_off(name, mode, small, images, labels) -> None:
    expected = bound(name)(small, images, labels)
    with mode():
        assert torch.equal(bound(name)(small, images.clone(), labels.clone()), expected)


@every_attack
def test_seeds_decide_what_is_drawn(name, small, images, labels) -> None:
    if "seed" not in inspect.signature(ATTACKS[name]).parameters:
        pytest.skip("nothing is drawn")
    one, again, other = (bound(name, seed=seed, tries=5)(small, images, labels) for seed in (1, 1, 2))
    assert torch.equal(one, again)
    drawn = name not in ("defocus_blur", "zoom_blur", "brightness", "contrast", "pixelate", "jpeg_compression")
    assert torch.equal(one, other) != drawn


@every_search
def test_who_is_fooled_from_the_start_keeps_the_image(name, small, images, labels) -> None:
    wrong = small.logits(images).argmax(dim=1) != labels
    assert wrong.any()
    if name != "patch":  # which is placed on every image
        assert torch.equal(bound(name)(small, images, labels)[wrong], images[wrong])


@every_search
def test_nan_logits_are_no_success(name, images) -> None:
    class Broken(nn.Module):
        def forward(self, inputs: Tensor) -> Tensor:
            return inputs.flatten(1)[:, :3] * torch.nan

    adversarial = bound(name)(Classifier(Broken()), images, torch.arange(COUNT) % 3)
    assert ((adversarial >= 0) & (adversarial <= 1)).all()
