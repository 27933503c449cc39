"""A capture runs nothing, refuses what CUDA refuses, and its replay does what the operators would have done."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

Work = Callable[[], Any]


def capture(work: Work) -> torch.cuda.CUDAGraph:
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, capture_error_mode="thread_local"):
        work()
    return graph


def test_a_capture_leaves_everything_as_it_was(cuda: torch.device) -> None:
    values = torch.ones(3, device=cuda)
    torch.cuda.manual_seed(1)
    expected = torch.rand(2, device=cuda).cpu()
    torch.cuda.manual_seed(1)
    graph = capture(lambda: values.add_(1).mul_(torch.rand(3, device=cuda)))
    assert values.tolist() == [1, 1, 1]
    assert torch.equal(torch.rand(2, device=cuda).cpu(), expected)
    graph.replay()
    assert all(0 <= value < 2 for value in values.tolist())


def test_a_replay_reads_and_writes_the_same_memory_with_fresh_draws(cuda: torch.device) -> None:
    source, target = torch.zeros(3, device=cuda), torch.zeros(3, device=cuda)
    graph = capture(lambda: target.copy_(source.exp() + torch.rand(3, device=cuda)))
    found = []
    for value in (0.0, 2.0, 2.0):
        source.fill_(value)
        graph.replay()
        found.append(target.cpu())
    assert bool((found[1] - found[0] > 5).all())
    assert not torch.equal(found[1], found[2])


def test_replayed_training_equals_direct_training(cuda: torch.device) -> None:
    def trained(steps: Callable[[Work], None]) -> list[Tensor]:
        torch.manual_seed(0)
        network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3))
        network.to(cuda)
        optimizer = torch.optim.Adam(network.parameters(), capturable=True)
        images = torch.rand(6, 1, 8, 8, generator=torch.Generator().manual_seed(1)).to(cuda)

        def step() -> None:
            optimizer.zero_grad(set_to_none=False)
            network(images).logsumexp(1).mean().backward()
            optimizer.step()

        stream = torch.cuda.Stream()
        with torch.cuda.stream(stream):
            for _ in range(2):
                step()
        torch.cuda.current_stream().wait_stream(stream)
        steps(step)
        return [value.detach().cpu() for value in network.state_dict().values()]

    def direct(step: Work) -> None:
        for _ in range(3):
            step()

    def replayed(step: Work) -> None:
        graph = capture(step)
        for _ in range(3):
            graph.replay()

    for one, other in zip(trained(direct), trained(replayed), strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize(
    "work",
    [
        lambda there: there.sum().item(),
        lambda there: there.nonzero(),
        lambda there: there[there > 0],
        lambda there: torch.tensor([1.0], device=there.device),
        lambda there: there.cpu(),
        lambda there: torch.cuda.synchronize(),
    ],
)
def test_what_waits_cannot_be_captured(work: Callable[[Tensor], Any], pretended: None, cuda: torch.device) -> None:
    there = torch.ones(3, device=cuda)
    with pytest.raises(RuntimeError, match="captur"):
        capture(lambda: work(there))
    assert there.sum().item() == 3, "the device works on after a capture that failed"


def test_what_other_threads_do_meanwhile_is_not_captured(pretended: None, cuda: torch.device) -> None:
    values, elsewhere = torch.zeros(2, device=cuda), []

    def work() -> None:
        thread = threading.Thread(target=lambda: elsewhere.append(torch.tensor([5.0], device=cuda).item()))
        thread.start()
        thread.join()
        values.add_(1)

    graph = capture(work)
    assert elsewhere == [5]
    graph.replay()
    assert (values.tolist(), len(elsewhere)) == ([1, 1], 1)
