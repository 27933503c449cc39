"""The device refuses what CUDA refuses: mixed devices, foreign generators, products of whole numbers."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

ON_CPU = torch.arange(6.0).reshape(2, 3)


@pytest.mark.parametrize(
    "mix",
    [
        lambda there: there + ON_CPU,
        lambda there: torch.where(there > 1, there, ON_CPU),
        lambda there: torch.cat([there, ON_CPU]),
        lambda there: there.mm(ON_CPU.mT),
        lambda there: nn.functional.linear(there, ON_CPU),
        lambda there: nn.functional.cross_entropy(there, torch.zeros(2, dtype=torch.int64)),
        lambda there: ON_CPU[there.long()],
        lambda there: there.gather(1, torch.zeros(2, 1, dtype=torch.int64)),
    ],
)
def test_tensors_of_two_devices_do_not_mix(mix: Callable[[Tensor], Any], cuda: torch.device) -> None:
    with pytest.raises(RuntimeError, match=r"same device"):
        mix(ON_CPU.to(cuda))


def test_a_network_of_the_cpu_takes_no_images_of_the_device(cuda: torch.device) -> None:
    with pytest.raises(RuntimeError):
        nn.Conv2d(1, 2, 3)(torch.zeros(1, 1, 4, 4, device=cuda))


def test_a_number_of_the_cpu_and_its_indices_pass(cuda: torch.device) -> None:
    there = ON_CPU.to(cuda)
    assert torch.equal((there * torch.tensor(2.0)).cpu(), ON_CPU * 2)
    assert torch.equal(there[torch.tensor([1])].cpu(), ON_CPU[[1]])


def test_numpy_is_not_given_memory_of_the_device(cuda: torch.device) -> None:
    with pytest.raises(TypeError, match="can't convert cuda:0 device type tensor to numpy"):
        ON_CPU.to(cuda).numpy()


def test_a_generator_belongs_to_its_device(cuda: torch.device) -> None:
    with pytest.raises(RuntimeError, match="Expected a 'cuda' device type for generator but found 'cpu'"):
        torch.rand(3, device=cuda, generator=torch.Generator())
    with pytest.raises(RuntimeError, match="Expected a 'cpu' device type for generator but found 'cuda'"):
        torch.rand(3, generator=torch.Generator(device=cuda))


def test_seeding_the_device_seeds_its_draws_and_leaves_those_of_the_cpu_alone(cuda: torch.device) -> None:
    host = torch.random.get_rng_state()
    torch.cuda.manual_seed(3)
    first = torch.rand(4, device=cuda), nn.functional.dropout(torch.ones(50, device=cuda))
    torch.cuda.manual_seed(3)
    again = torch.rand(4, device=cuda), nn.functional.dropout(torch.ones(50, device=cuda))
    assert all(torch.equal(one, other) for one, other in zip(first, again, strict=True))
    assert torch.equal(torch.random.get_rng_state(), host)


def test_whole_numbers_have_no_matrix_product(cuda: torch.device) -> None:
    with pytest.raises(NotImplementedError, match=r"not implemented for '(Long|Int64)'"):
        torch.ones(2, 2, dtype=torch.int64, device=cuda).mm(torch.ones(2, 2, dtype=torch.int64, device=cuda))


def test_there_is_one_device(pretended: None) -> None:
    assert torch.cuda.device_count() == 1
    for make in (lambda: torch.zeros(1, device="cuda:1"), lambda: torch.cuda.set_device(1)):
        with pytest.raises(RuntimeError, match="invalid device ordinal"):
            make()


def test_new_memory_holds_no_zeros(pretended: None, cuda: torch.device) -> None:
    assert bool(torch.empty(5, device=cuda).isnan().all())


def test_values_and_gradients_are_the_cpus(pretended: None, cuda: torch.device) -> None:
    network = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(), nn.Linear(108, 4))
    images = torch.rand(5, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    found = {}
    for device in ("cpu", cuda):
        network.to(device).zero_grad()
        network[1].reset_running_stats()
        there = images.to(device).detach().requires_grad_()
        network(there).logsumexp(1).sum().backward()
        weights = [weight.grad.cpu().clone() for weight in network.parameters() if weight.grad is not None]
        found[str(device)] = [there.grad.cpu(), network[1].running_var.cpu().clone(), *weights]  # type: ignore[union-attr]
    assert all(torch.equal(one, other) for one, other in zip(*found.values(), strict=True))
