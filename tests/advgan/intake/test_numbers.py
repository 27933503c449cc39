"""Whole numbers that would only overflow, or pass for another, are refused where they are given."""

import pytest

from advgan.config import ClassifierTraining, DataConfig
from advgan.config.resolve import resolve
from advgan.machine.processes import WrongStartError, joined


@pytest.mark.parametrize("seed", [2**63, 2**64, 10**390, -1])
def test_a_seed_that_would_be_another_is_refused(seed: int) -> None:
    with pytest.raises(ValueError, match="--seed: must be at"):
        resolve(DataConfig, overrides={"seed": seed}, origins={"seed": "--seed"})


def test_the_highest_seed_is_taken() -> None:
    assert resolve(DataConfig, overrides={"seed": 2**63 - 1}).seed == 2**63 - 1


@pytest.mark.parametrize("key", ["epochs", "batch_size"])
@pytest.mark.parametrize("number", [2**31, 2**63, -1])
def test_a_count_out_of_reach_is_refused(key: str, number: int) -> None:
    with pytest.raises(ValueError, match=f"{key}: must be at"):
        resolve(ClassifierTraining, overrides={key: number})


@pytest.mark.parametrize("said", [{"WORLD_SIZE": "2"}, {"WORLD_SIZE": "x"}, {"WORLD_SIZE": "2", "RANK": "0"}])
def test_variables_of_torchrun_that_are_half_set_are_named(
    monkeypatch: pytest.MonkeyPatch, said: dict[str, str]
) -> None:
    for name in ("RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    for name, value in said.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(WrongStartError, match=r"WORLD_SIZE is .*by torchrun"), joined():
        pass
