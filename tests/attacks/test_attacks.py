"""What holds for every attack of the table, in every norm, targeted or not."""

import inspect
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from attacks import ATTACKS, NORMS, TABLE, Attack, Classifier, fooled
from attacks.random import permutation, seeded

COUNT = 64
SMALL = {"steps": 5, "queries": 20, "search_steps": 2}
"""Options that make an attack short, where it has them."""
EPS = {"linf": 0.3, "l2": 0.3, "l1": 0.3, "l0": 3.0}
"""l0 counts values: less than one of them is none."""
INDICES = torch.arange(1000, 1000 + COUNT)


def cases() -> list[Any]:
    """Every attack of the table in every norm, both ways where it has two."""
    return [
        pytest.param(name, norm, targeted, id=f"{name}-{norm}{'-targeted' * targeted}")
        for name, entry in TABLE.items()
        for norm in entry.norms
        for targeted in (False, True)
        if not targeted or "targeted" in inspect.signature(entry.attack).parameters
    ]


every_attack = pytest.mark.parametrize(("name", "norm", "targeted"), cases())


def bound(name: str, norm: str, targeted: bool, **options: Any) -> Attack:
    known = inspect.signature(ATTACKS[name]).parameters
    options = {"norm": norm, "targeted": targeted, **SMALL, **options}
    return partial(ATTACKS[name], **{key: value for key, value in options.items() if key in known})


@pytest.fixture
def images(draw) -> Tensor:
    return draw(COUNT)


@pytest.fixture
def labels(rowwise, images) -> Tensor:
    """The classes that the network sees, a few of them wrong; also good as targets when moved on by one."""
    labels = rowwise.logits(images).argmax(dim=1)
    labels[::9] = (labels[::9] + 1) % 5
    return labels


@pytest.fixture
def eps() -> Tensor:
    """One budget a sample, from nothing to the whole range."""
    return torch.linspace(0, 1, COUNT, dtype=torch.float64)


@every_attack
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_result_lies_in_ball_and_bounds(name, norm, targeted, dtype, rowwise, images, labels, eps) -> None:
    images, eps = images.to(dtype), 3 * eps.to(dtype) if norm != "linf" else eps.to(dtype)
    adversarial = bound(name, norm, targeted, eps=eps)(rowwise, images, (labels + targeted) % 5)
    assert (NORMS[norm].size((adversarial - images).double()) <= eps.double() * (1 + 1e-6) + 1e-6).all()
    assert ((adversarial >= 0) & (adversarial <= 1)).all()
    assert (adversarial.shape, adversarial.dtype) == (images.shape, images.dtype)
    assert torch.equal(adversarial[0], images[0])
    assert not torch.equal(adversarial, images)


@every_attack
def test_no_budget_is_no_change(name, norm, targeted, rowwise, images, labels) -> None:
    attack = bound(name, norm, targeted, eps=0.0, step_size=0.3)
    assert torch.equal(attack(rowwise, images, (labels + targeted) % 5), images)


@every_attack
def test_batches_and_order_change_nothing(name, norm, targeted, rowwise, images, labels, eps) -> None:
    if not TABLE[name].per_sample:
        pytest.skip("one perturbation for all images of a call")
    labels = (labels + targeted) % 5

    def attacked(order: Tensor, batch_size: int) -> Tensor:
        result = torch.empty_like(images)
        for rows in order.split(batch_size):
            attack = bound(name, norm, targeted, eps=eps[rows])
            result[rows] = attack(rowwise, images[rows], labels[rows], indices=INDICES[rows])
        return result

    whole = attacked(torch.arange(COUNT), 64)
    for batch_size in (1, 7, 64):
        assert torch.equal(attacked(permutation(1, COUNT), batch_size), whole)


@every_attack
def test_a_queue_changes_nothing_and_every_pass_is_counted(name, norm, targeted, rowwise, images, labels, eps) -> None:
    labels = (labels + targeted) % 5
    plain = bound(name, norm, targeted, eps=eps)
    if "batch_size" not in inspect.signature(ATTACKS[name]).parameters:
        pytest.skip("one step: nothing waits")
    with rowwise.tallied(COUNT) as tally:
        before = rowwise.passes.forwards, rowwise.passes.backwards
        whole = plain(rowwise, images, labels, indices=INDICES)
        after = rowwise.passes.forwards, rowwise.passes.backwards
    counted = int(tally.forwards.sum()), int(tally.backwards.sum())
    assert counted == tuple(now - then for now, then in zip(after, before, strict=True))
    with rowwise.tallied(COUNT) as queued:
        waiting = bound(name, norm, targeted, eps=eps, batch_size=9)(rowwise, images, labels, indices=INDICES)
    assert torch.equal(waiting, whole)
    assert torch.equal(queued.forwards, tally.forwards)
    assert torch.equal(queued.backwards, tally.backwards)


@every_attack
def test_compaction_changes_nothing(name, norm, targeted, rowwise, images, labels, eps) -> None:
    if "compact" not in inspect.signature(ATTACKS[name]).parameters:
        pytest.skip("nobody leaves")
    labels = (labels + targeted) % 5
    whole = bound(name, norm, targeted, eps=eps)(rowwise, images, labels, indices=INDICES)
    riding = bound(name, norm, targeted, eps=eps, compact=False)(rowwise, images, labels, indices=INDICES)
    assert torch.equal(riding, whole)


@every_attack
def test_a_constant_added_to_the_logits_changes_nothing(name, norm, targeted, rowwise, images, labels) -> None:
    class Shifted(nn.Module):
        def __init__(self, constant: float) -> None:
            super().__init__()
            self.network, self.constant = rowwise.network, constant

        def forward(self, inputs: Tensor) -> Tensor:
            return self.network(inputs) + self.constant

    attack = bound(name, norm, targeted, eps=EPS[norm])
    expected = attack(rowwise, images, (labels + targeted) % 5)
    for constant in (-50, 50):
        shifted = attack(Classifier(Shifted(constant)), images, (labels + targeted) % 5)
        torch.testing.assert_close(shifted, expected, rtol=0, atol=1e-9)


@every_attack
def test_an_attack_leaves_no_trace(name, norm, targeted) -> None:
    with seeded(0):
        network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Dropout(), nn.Linear(16, 3))
        images, labels = torch.rand(8, 1, 4, 4), torch.arange(8) % 3
    network.train()
    network[1].eval()
    network[0].bias.requires_grad_(False)
    network[4].weight.grad = torch.ones_like(network[4].weight)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    modes = [module.training for module in network.modules()]
    wanted = [parameter.requires_grad for parameter in network.parameters()]
    state, copy = torch.get_rng_state(), images.clone()
    images.requires_grad_()

    adversarial = bound(name, norm, targeted, eps=0.2)(Classifier(network), images, labels)

    assert not adversarial.requires_grad
    assert images.grad is None
    assert torch.equal(images, copy)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    assert [module.training for module in network.modules()] == modes
    assert [parameter.requires_grad for parameter in network.parameters()] == wanted
    assert all(p.grad is None for key, p in network.named_parameters() if key != "4.weight")
    assert torch.equal(network[4].weight.grad, torch.ones_like(network[4].weight))


@every_attack
def test_normalised_images_are_refused(name, norm, targeted, rowwise, images, labels) -> None:
    with pytest.raises(ValueError, match=r"images must be in \[0, 1\]; got -2.5 to 2.5"):
        bound(name, norm, targeted, eps=0.3)(rowwise, (images - 0.5) / 0.2, labels)


@pytest.mark.parametrize(("name", "norm"), [(name, norm) for name, entry in TABLE.items() for norm in entry.norms])
def test_arrays_and_lists_are_taken_as_tensors_are(name, norm, rowwise, images, labels) -> None:
    attack, indices = bound(name, norm, False, eps=EPS[norm]), INDICES[:2]
    expected = attack(rowwise, images[:2], labels[:2], indices=indices)
    found = attack(rowwise, images[:2].numpy(), labels[:2].tolist(), indices=list(indices))
    assert torch.equal(found, expected)


@pytest.mark.parametrize("name", [name for name, entry in TABLE.items() if not entry.norms])
def test_attacks_without_a_ball_take_arrays_too(name, draw) -> None:
    images, labels = draw(2, (3, 8, 8)), [0, 1]
    classifier = Classifier(nn.Flatten())
    options = {"steps": 2, "queries": 3} if name in ("patch", "salt-and-pepper") else {}
    attack = bound(name, "", False, **options)
    assert torch.equal(attack(classifier, images.tolist(), labels), attack(classifier, images, torch.tensor(labels)))


@every_attack
def test_an_empty_batch_gives_an_empty_result(name, norm, targeted, rowwise, images, labels) -> None:
    adversarial = bound(name, norm, targeted, eps=0.3)(rowwise, images[:0], labels[:0])
    assert adversarial.shape == (0, 1, 4, 4)


@every_attack
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_attacks_work_where_autograd_is_switched_off(name, norm, targeted, mode, rowwise, images, labels) -> None:
    attack = bound(name, norm, targeted, eps=EPS[norm], steps=2)
    expected = attack(rowwise, images, labels)
    with mode():
        assert torch.equal(attack(rowwise, images.clone(), labels.clone()), expected)


@every_attack
@pytest.mark.parametrize("broken", [torch.nan, torch.inf])
def test_broken_gradients_give_no_broken_images(name, norm, targeted, broken, images) -> None:
    class Break(torch.autograd.Function):
        """The identity, with a gradient that is broken at each first pixel, and everywhere in the first sample."""

        @staticmethod
        def forward(ctx: Any, inputs: Tensor) -> Tensor:
            return inputs.clone()

        @staticmethod
        def backward(ctx: Any, gradient: Tensor) -> Tensor:
            gradient = gradient.clone()
            gradient[:, 0, 0, 0] = broken
            gradient[0] = broken
            return gradient

    class Broken(nn.Module):
        def forward(self, inputs: Tensor) -> Tensor:
            return (
                Break.apply(inputs)
                .flatten(1)
                .mul(torch.linspace(-1, 1, 16, dtype=torch.float64))
                .unflatten(1, (4, 4))
                .sum(1)
            )

    options = {"eps": EPS[norm], "keep": "last"}
    labels = torch.arange(COUNT) % 4
    classifier = Classifier(Broken())
    wrong = fooled(classifier.logits(images), labels, targeted=targeted)
    adversarial = bound(name, norm, targeted, **options)(classifier, images, labels)
    assert ((adversarial >= 0) & (adversarial <= 1)).all()  # so none is NaN
    assert (NORMS[norm].size(adversarial - images) <= EPS[norm] + 1e-12).all()
    if TABLE[name].knowledge == "gradients" and TABLE[name].aim == "budget" and (norm == "linf" or broken != torch.inf):
        moved = (adversarial != images).flatten(1).any(1)
        assert moved[1:][~wrong[1:]].all()
