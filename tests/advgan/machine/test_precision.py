import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from advgan.config import Section
from advgan.machine.precision import float32_settings, is_true_float32, precision_note, true_float32
from advgan.storage.runs import create_run

BACKENDS: Any = torch.backends
READ: Any = torch._C._get_fp32_precision_getter  # type: ignore[attr-defined]
WRITE: Any = torch._C._set_fp32_precision_setter  # type: ignore[attr-defined]
KEYS = [
    ("generic", "all"),
    *((kind, operator) for kind in ("cuda", "mkldnn") for operator in ("all", "matmul", "conv", "rnn")),
]


def newest() -> list[str]:
    return [READ(*key) for key in KEYS]


def rounded_by_old_settings() -> None:
    BACKENDS.cuda.matmul.allow_tf32 = True
    BACKENDS.cudnn.allow_tf32 = True


def rounded_by_one_word() -> None:
    torch.set_float32_matmul_precision("medium")


def rounded_by_new_settings() -> None:
    BACKENDS.fp32_precision = "tf32"


def as_torch_comes() -> None:
    pass


@true_float32()
def interrupted_inside() -> None:
    with true_float32():
        pass
    assert is_true_float32()
    raise KeyboardInterrupt


WAYS = [as_torch_comes, rounded_by_old_settings, rounded_by_one_word, rounded_by_new_settings]


@pytest.fixture(autouse=True)
def settings_as_they_were() -> Iterator[None]:
    older = BACKENDS.cuda.matmul.allow_tf32, BACKENDS.cudnn.allow_tf32, torch.get_float32_matmul_precision()
    before = newest()
    yield
    BACKENDS.cuda.matmul.allow_tf32, BACKENDS.cudnn.allow_tf32 = older[:2]
    torch.set_float32_matmul_precision(older[2])
    for key, value in zip(KEYS, before, strict=True):
        WRITE(*key, value)


@pytest.mark.parametrize("way", WAYS)
def test_nothing_rounds_inside_and_everything_is_as_before_afterwards(way: Any) -> None:
    way()
    before = newest()
    assert not is_true_float32()
    with true_float32():
        assert is_true_float32()
        assert {READ("cuda", operator) for operator in ("matmul", "conv", "rnn")} == {"ieee"}
        assert READ("mkldnn", "matmul") == "ieee"
    assert newest() == before


def test_the_settings_come_back_after_an_error_and_after_the_inner_of_two_blocks() -> None:
    before = newest()
    with pytest.raises(KeyboardInterrupt):
        interrupted_inside()
    assert newest() == before


@pytest.mark.parametrize("way", WAYS[:3])
def test_the_older_settings_can_be_read_inside(way: Any) -> None:
    """Torch's own compiler and `cudnn.flags` read them, and torch raises where both forms contradict each other."""
    way()
    with true_float32():
        assert not BACKENDS.cuda.matmul.allow_tf32
        assert not BACKENDS.cudnn.allow_tf32
        assert torch.get_float32_matmul_precision() == "highest"


def test_a_run_says_how_float32_was_computed(tmp_path: Path) -> None:
    assert float32_settings() == {"products": "float32", "convolutions": "tf32", "measurements": "float32"}
    with true_float32():
        run = create_run("attack", "digits", Section(), out=tmp_path / "run")
    found = json.loads((run.folder / "env.json").read_text())["float32"]
    assert found == {"products": "float32", "convolutions": "float32", "measurements": "float32"}


def test_a_protocol_gains_words_on_an_accelerator_only() -> None:
    assert precision_note("cpu") == ""
    assert precision_note(torch.device("cuda", 0)) == "; true float32 on cuda"
