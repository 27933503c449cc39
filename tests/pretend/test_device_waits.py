"""Waits of the host are counted with their kind and their line, and what does not wait is not."""

import inspect
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from pretended.watching import place_of

Watch = Callable[..., Any]


@pytest.mark.parametrize(
    ("work", "kind"),
    [
        (lambda there: there.sum().item(), "download"),
        (lambda there: bool((there > 0).all()), "download"),
        (lambda there: there.cpu(), "download"),
        (lambda there: there.tolist(), "download"),
        (lambda there: torch.zeros(2).to(there.device), "upload"),
        (lambda there: torch.tensor([1.0, 2.0], device=there.device), "upload"),
        (lambda there: there.nonzero(), "shape"),
        (lambda there: there[there > 1], "shape"),
        (lambda there: there.unique(), "shape"),
        (lambda there: there[torch.tensor([0, 1])], "upload"),
        (lambda there: torch.linalg.eigh(there.T @ there), "check"),
        (lambda there: torch.cuda.synchronize(), "synchronize"),
        (lambda there: torch.cuda.current_stream().synchronize(), "synchronize"),
        (lambda there: torch.zeros(2).to(there.device, non_blocking=True), "upload, pageable but non_blocking"),
    ],
)
def test_a_wait_is_seen(work: Callable[[Tensor], Any], kind: str, watch: Watch, cuda: torch.device) -> None:
    there = torch.rand(4, 3, device=cuda)
    with watch() as seen:
        work(there)
    assert kind in {found for found, _, _ in seen.waits}


@pytest.mark.parametrize(
    "work",
    [
        lambda there: (there * 2).sum(),
        lambda there: torch.where(there > 0.5, there, 0.0),
        lambda there: there.masked_fill(there > 0.5, 0.0),
        lambda there: torch.zeros(2, device=there.device),
        lambda there: there.sort(dim=1).values.topk(2).indices,
        lambda there: torch.rand(3, device=there.device),
        lambda there: there[torch.arange(2, device=there.device)],
        lambda there: torch.zeros(2).pin_memory().to(there.device, non_blocking=True),
    ],
)
def test_what_does_not_wait_is_not_seen_to(work: Callable[[Tensor], Any], watch: Watch, cuda: torch.device) -> None:
    there = torch.rand(4, 3, device=cuda)
    with watch() as seen:
        work(there)
    assert not seen.waits


def test_a_wait_has_its_file_line_and_function(watch: Watch, cuda: torch.device) -> None:
    with watch() as seen:
        torch.ones(2, device=cuda).sum().item()
        line = inspect.currentframe().f_lineno - 1  # type: ignore[union-attr]
    ((kind, operator, site),) = seen.waits
    assert (kind, operator) == ("download", "item")
    expected = f"tests/pretend/test_device_waits.py:{line} test_a_wait_has_its_file_line_and_function"
    assert site == expected
    assert place_of(site) == "tests/pretend/test_device_waits.py:test_a_wait_has_its_file_line_and_function"


def test_operators_are_counted_and_views_are_not(watch: Watch, cuda: torch.device) -> None:
    there = torch.rand(4, 3, device=cuda)
    with watch(trace=True) as seen:
        (there.T.reshape(12).view(3, 4)[1:] + 1).exp_()
    assert seen.operators == {"copy_": 1, "add.Tensor": 1, "exp_": 1}
    assert seen.num_operators == 3
    assert {name for name, _ in seen.sites} == set(seen.operators)


def test_a_watch_inside_another_keeps_its_own(watch: Watch, cuda: torch.device) -> None:
    there = torch.rand(4, device=cuda)
    with watch() as outer:
        there.add(1)
        with watch() as inner:
            there.sum().item()
        there.add(1)
    assert (outer.num_operators, outer.num_waits) == (2, 0)
    assert (inner.num_operators, inner.num_waits) == (1, 1)


def test_sums_without_an_order_are_told_unless_another_kernel_is_asked_for(watch: Watch, cuda: torch.device) -> None:
    values, places = torch.rand(4, device=cuda), torch.zeros(4, dtype=torch.int64, device=cuda)

    def add_up() -> None:
        torch.zeros(2, device=cuda).index_add_(0, places, values)

    with watch() as seen:
        add_up()
    assert [operator for operator, _ in seen.unordered] == ["index_add_"]
    torch.use_deterministic_algorithms(True)
    with watch() as seen:
        add_up()
    assert not seen.unordered
    with pytest.raises(RuntimeError, match="does not have a deterministic implementation"):
        values.histc(3)
