"""The choice of a number of threads, with a clock that the test turns."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from advgan.machine import threads
from advgan.machine.threads import (
    asked_threads,
    candidates,
    computing_with,
    fastest,
    given_threads,
    measure,
    most_threads,
    reading_threads,
    usable_cores,
)


class Machine:
    """Work whose time is a function of the number of threads and of the run, on a clock of its own."""

    def __init__(self, seconds: Callable[[int, int], float]) -> None:
        self.seconds, self.now, self.number, self.runs = seconds, 0.0, 0, list[int]()

    def use(self, number: int) -> None:
        self.number = number

    def work(self) -> None:
        self.now += self.seconds(self.number, self.runs.count(self.number))
        self.runs.append(self.number)

    def measured(self, numbers: tuple[int, ...]) -> dict[int, float]:
        return measure(self.work, numbers, use=self.use, clock=lambda: self.now)


def test_one_thread_is_enough_where_more_are_hardly_faster() -> None:
    assert fastest({1: 1.0, 2: 0.9, 4: 0.85}) == 1
    assert fastest({1: 1.0, 2: 0.6, 4: 0.55, 8: 0.9}) == 2
    assert fastest({1: 1.0, 2: 0.6, 4: 0.3, 8: 0.29}) == 4
    assert fastest({1: 1.0, 2: 9.0}) == 1


def test_a_number_is_judged_by_its_best_run_and_not_by_the_first_of_all() -> None:
    machine = Machine(lambda number, run: (0.010 if number == 1 else 0.004) + (0.050 if run == 0 else 0.0))
    assert machine.measured((1, 2)) == pytest.approx({1: 0.010, 2: 0.004})
    assert machine.runs[:5] == [1, 1, 2, 1, 2], "they take turns"


def test_what_is_hopeless_runs_twice_and_what_is_slow_runs_few_rounds() -> None:
    quick = Machine(lambda number, run: 0.001 if number == 1 else 0.100)
    quick.measured((1, 2))
    assert quick.runs.count(2) == 2
    slow = Machine(lambda number, run: 2.0 / number)
    slow.measured((1, 2))
    assert slow.runs == [1, 1, 2]


def test_candidates_go_from_one_to_all() -> None:
    assert candidates(1) == (1,)
    assert candidates(2) == (1, 2)
    assert candidates(6) == (1, 2, 4, 6)
    assert candidates(64) == (1, 2, 4, 8, 16, 64)


def test_threads_are_as_before_after_a_block_and_a_block_inside_knows_what_was_given() -> None:
    before = torch.get_num_threads()
    with computing_with(3):
        assert torch.get_num_threads() == 3
        assert given_threads() == before
        with computing_with(2):
            assert torch.get_num_threads() == 2
            assert given_threads() == before
        assert torch.get_num_threads() == 3
    assert torch.get_num_threads() == before


def test_processes_on_one_machine_share_its_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "usable_cores", lambda: 8)
    monkeypatch.setattr(threads, "given_threads", lambda: 8)
    assert [most_threads(here) for here in (1, 2, 3, 20)] == [8, 4, 2, 1]
    monkeypatch.setattr(threads, "given_threads", lambda: 2)
    assert most_threads(2) == 2


@pytest.mark.parametrize(("text", "cores"), [("150000 50000", 3), ("50000 100000", 1), ("max 100000", 99), ("", 99)])
def test_the_quota_of_a_container_bounds_them(
    text: str, cores: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cpu.max").write_text(text)
    monkeypatch.setattr(threads.os, "sched_getaffinity", lambda process: set(range(99)), raising=False)
    assert usable_cores(tmp_path) == cores


def test_readers_are_as_many_as_asked_for_or_a_core_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "usable_cores", lambda: 6)
    assert [reading_threads(asked) for asked in (0, 9, None)] == [0, 9, 6]
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    assert reading_threads() == 1
    monkeypatch.setattr(threads, "usable_cores", lambda: 200)
    assert reading_threads() == threads.MOST_READERS


@pytest.mark.parametrize(("text", "number"), [("3", 3), ("4,2", 4), ("", None), ("0", None), ("many", None)])
def test_a_users_own_number_is_read_from_the_environment(
    text: str, number: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", text)
    assert asked_threads() == number
