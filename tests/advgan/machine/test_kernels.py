"""Kernels are chosen for the steps of a training on CUDA, and nowhere else."""

import os
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
import torch

from advgan.machine import devices
from advgan.machine.kernels import WORKSPACE, kernels, with_kernels

CUDA = torch.device("cuda")


class Flags(NamedTuple):
    mode: int
    deterministic: bool
    benchmark: bool
    filled: bool
    threaded: bool


def flags() -> Flags:
    cudnn: Any = torch.backends.cudnn
    filled = torch.utils.deterministic.fill_uninitialized_memory
    threaded = torch._C._is_multithreading_enabled()
    return Flags(torch.get_deterministic_debug_mode(), cudnn.deterministic, cudnn.benchmark, filled, threaded)


BEFORE = Flags(0, False, False, filled=True, threaded=True)
WARN = 1


def test_deterministic_kernels_are_asked_for_and_given_back() -> None:
    with kernels(CUDA, deterministic=True):
        assert flags() == Flags(WARN, True, False, filled=False, threaded=False)
    assert flags() == BEFORE


def test_kernels_are_given_back_after_an_error() -> None:
    with pytest.raises(KeyError), kernels(CUDA, deterministic=True):
        raise KeyError
    assert flags() == BEFORE


def test_otherwise_the_fastest_are_sought() -> None:
    with kernels(CUDA, deterministic=False):
        assert flags() == BEFORE._replace(benchmark=True)
    assert flags() == BEFORE


@pytest.mark.parametrize("deterministic", [False, True])
def test_the_cpu_is_left_alone(deterministic: bool) -> None:
    with kernels(torch.device("cpu"), deterministic=deterministic):
        assert flags() == BEFORE


def test_buffers_of_cublas_are_fixed_unless_the_user_did(monkeypatch: pytest.MonkeyPatch) -> None:
    name, value = WORKSPACE
    for users, expected in (("", value), (":16:8", ":16:8")):
        monkeypatch.delenv(name, raising=False)
        if users:
            monkeypatch.setenv(name, users)
        with kernels(CUDA, deterministic=True):
            assert os.environ[name] == expected


@pytest.mark.parametrize(("chosen", "expected"), [("cuda", WORKSPACE[1]), ("cpu", None)])
def test_buffers_are_fixed_when_a_cuda_device_is_chosen(
    chosen: str, expected: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything computes on it, since cuBLAS asks only once."""
    monkeypatch.setenv(WORKSPACE[0], "")
    monkeypatch.delenv(WORKSPACE[0])
    monkeypatch.setattr(devices, "_named", torch.device)
    devices.pick_device(chosen)
    assert os.environ.get(WORKSPACE[0]) == expected


class _State(NamedTuple):
    device: torch.device


class _Recipe(NamedTuple):
    deterministic: bool


@with_kernels
def loop(_: _State, data: list[int], __: _Recipe, *, plus: int = 0) -> Iterator[tuple[int, Flags]]:
    for number in data:
        yield number + plus, flags()


@pytest.mark.parametrize("deterministic", [False, True])
def test_between_the_steps_of_a_loop_the_callers_kernels_are_back(deterministic: bool) -> None:
    seen = []
    for number, inside in loop(_State(CUDA), [1, 2], _Recipe(deterministic), plus=3):
        assert inside.deterministic is deterministic
        assert inside.benchmark is not deterministic
        assert flags() == BEFORE
        seen.append(number)
    assert seen == [4, 5]
    assert flags() == BEFORE
