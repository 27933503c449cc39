"""Weights that spectral norm bounds together are those that it bounds one by one."""

from collections import Counter
from copy import deepcopy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.utils._python_dispatch import TorchDispatchMode

from advgan.models.layers.spectral import BoundTogether, constrain
from attacks.random import seeded


class Launches(TorchDispatchMode):
    """Counts operators, backward passes included."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.seen[func.overloadpacket.__name__] += 1
        return func(*args, **(kwargs or {}))


class Layers(nn.Module):
    """One of each kind that is bounded, and one that no pass uses."""

    def __init__(self) -> None:
        super().__init__()
        with seeded(3):
            self.rows = nn.Embedding(5, 36)
            self.convolution = nn.Conv2d(1, 4, 3, padding=1)
            self.transposed = nn.ConvTranspose2d(4, 3, 4, 2, 1)
            self.linear = nn.Linear(3 * 12 * 12, 2)
            self.unused = nn.Linear(4, 4)
            constrain(self)

    def forward(self, labels: Tensor) -> Tensor:
        maps = self.transposed(self.convolution(self.rows(labels).view(-1, 1, 6, 6)).relu())
        found: Tensor = self.linear(maps.flatten(1))
        return found


def twice(network: Layers) -> Tensor:
    """The loss of two passes that share their weights."""
    return network(torch.arange(5)).square().mean() - network(torch.arange(3)).sum()


def used(network: Layers) -> dict[str, Tensor]:
    """Vectors and gradients of the layers that are in use."""
    vectors = {name: value for name, value in network.named_buffers() if "unused" not in name}
    gradients = {name: each.grad for name, each in network.named_parameters() if each.grad is not None}
    return vectors | gradients


@pytest.mark.parametrize("apart", [False, True])
def test_bounding_together_is_bounding_one_by_one_to_the_bit(apart: bool) -> None:
    alone, together = Layers().train(), Layers().train()
    bound = BoundTogether(together, apart=apart)
    for _ in range(3):
        for network in (alone, together):
            network.zero_grad()
        with parametrize.cached():
            expected = twice(alone)
        with bound.once():
            found = twice(together)
        expected.backward()
        found.backward()
        assert torch.equal(found, expected)
        assert used(together).keys() == used(alone).keys()
        for name, value in used(alone).items():
            assert torch.equal(used(together)[name], value), name


def test_gradients_add_to_those_of_another_term_in_the_order_of_before() -> None:
    alone, together = Layers().train(), Layers().train()
    bound = BoundTogether(together, apart=True)
    for network, block in ((alone, parametrize.cached()), (together, bound.once())):
        with block:
            loss = twice(network)
        weights = [held.original for held in BoundTogether(network).held]
        (loss + sum(weight.pow(3).sum() for weight in weights)).backward()
    for name, value in used(alone).items():
        assert torch.equal(used(together)[name], value), name


def test_weights_are_bounded_for_as_long_as_the_block_lasts_and_move_in_train_mode_alone() -> None:
    network = Layers().train()
    bound = BoundTogether(network)
    with bound.once():
        assert network.linear.weight is network.linear.weight
        within = network.linear.weight.detach().clone()
    assert network.linear.weight is not network.linear.weight
    network.eval()
    before = deepcopy(network.state_dict())
    with bound.once():
        assert torch.equal(network.linear.weight, network.eval().linear.weight)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert within.shape == network.linear.weight.shape


def test_a_block_that_fails_leaves_the_network_as_it_was() -> None:
    network = Layers().train()
    with pytest.raises(RuntimeError, match="halfway"), BoundTogether(network).once():
        raise RuntimeError("halfway")
    assert network.linear.weight is not network.linear.weight


def test_bounding_together_launches_less_than_half_of_the_operators() -> None:
    counts = []
    for way in ("alone", "together"):
        network = nn.Sequential(*(nn.Linear(6, 6) for _ in range(12))).train()
        constrain(network)
        block = parametrize.cached() if way == "alone" else BoundTogether(network).once()
        launches = Launches()
        with launches:
            with block:
                loss = network(torch.ones(2, 6)).sum()
            loss.backward()
        counts.append(sum(count for name, count in launches.seen.items() if name not in ("view", "t", "detach")))
    assert counts[1] < 0.5 * counts[0], counts


def test_the_bounds_of_a_network_without_spectral_norm_do_nothing() -> None:
    network = nn.Linear(2, 2)
    launches = Launches()
    with launches, BoundTogether(network).once():
        pass
    assert not launches.seen
