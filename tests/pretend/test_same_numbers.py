"""The device gives the numbers of the CPU: with TensorFloat-32 at hand, and with less memory than the work would take.

The kernels are the CPU's, so what differs is our own doing; only sums may be taken in another order (fused optimisers).
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from pretended.verb import Ended

Advgan = Callable[..., Ended]
Block = Callable[..., Any]
SEVERAL = ["--attack", "uniform,fgsm,pgd,apgd-ce,apgd-t,fab-t,square,fmn", "--steps", "4", "--queries", "40"]
ATTACK = ["attack", *SEVERAL, "-n", "40", "--set", "curve_points=3", "--set", "probes=8"]
EVAL = ["-n", "40", "--num-real", "100"]
PROTOCOL_OF_THE_DEVICE = ("seconds", "images_per_second")


def same(one: Ended, other: Ended, *, rel: float = 1e-6) -> None:
    """Scores by name, and what the findings are about."""
    assert (one.code, other.code) == (0, 0), one.words + other.words
    assert one.values.keys() == other.values.keys()
    for name, value in one.values.items():
        if name[2] not in PROTOCOL_OF_THE_DEVICE:
            assert other.values[name] == pytest.approx(value, rel=rel, abs=rel, nan_ok=True), name
    assert [finding["code"] for finding in one.findings] == [finding["code"] for finding in other.findings]


def test_attacks(advgan: Advgan, classifier: str, cuda: torch.device) -> None:
    same(*(advgan(*ATTACK, "-m", classifier, "--device", device) for device in ("cpu", "cuda")))


@pytest.mark.parametrize("defense", ["none", "pgd"])
def test_fits(defense: str, advgan: Advgan) -> None:
    options = ["--epochs", "1", "--set", "network.width=4", "--defense", defense]
    options += ["--steps", "2", "--eps", "0.1"] if defense == "pgd" else []
    same(*(advgan("fit", *options, "--device", device) for device in ("cpu", "cuda")), rel=1e-3)


@pytest.mark.parametrize("preset", ["digits", "small"])
def test_trainings(preset: str, advgan: Advgan, shop: Path) -> None:
    options = ["--preset", preset, "--data", "digits", "-n", "40", "--steps", "6", "-b", "16"]
    options += ["--set", "log_every=2", "--set", "evaluate_every=6", "--set", "networks.width=8"]
    same(*(advgan("train", *options, "--device", device) for device in ("cpu", "cuda")), rel=1e-3)


def test_evaluations(advgan: Advgan, gan: str) -> None:
    same(*(advgan("eval", gan, *EVAL, "--device", device) for device in ("cpu", "cuda")), rel=1e-4)


def test_attacks_are_in_true_float32(advgan: Advgan, classifier: str, with_tf32: Block) -> None:
    """The questions that the attack asks of itself are among the findings."""
    plain = advgan(*ATTACK, "-m", classifier, "--device", "cpu")
    with with_tf32():
        same(plain, advgan(*ATTACK, "-m", classifier))


def test_evaluations_are_in_true_float32(advgan: Advgan, gan: str, with_tf32: Block) -> None:
    plain = advgan("eval", gan, *EVAL, "--device", "cpu")
    with with_tf32():
        same(plain, advgan("eval", gan, *EVAL), rel=1e-4)


def test_an_attack_survives_a_device_with_little_memory(advgan: Advgan, classifier: str, limit_memory: Block) -> None:
    """Also what takes no batch size (noise, fgsm, a corruption), and what comes after the measurements."""
    names = "uniform,fgsm,pgd,square,gaussian_noise,zoom_blur"
    arguments = ["attack", "--attack", names, "-b", "auto", "--steps", "3", "--queries", "20", "-m", classifier]
    arguments += ["--set", "curve_points=3", "--set", "probes=32", "-n", "400"]
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    roomy = advgan(*arguments)
    needed = torch.cuda.max_memory_allocated() - before
    with limit_memory(torch.cuda.memory_allocated() + needed // 2):
        tight = advgan(*arguments)
    same(roomy, tight)
    assert not tight.failures
