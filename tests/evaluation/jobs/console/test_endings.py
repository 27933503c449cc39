"""How a command that could not do its work ends."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from advgan.config.presets import preset_file
from advgan.machine.processes import WrongStartError
from evaluation.jobs.console.endings import ending


def caught(call: Callable[[], object]) -> Exception:
    with pytest.raises(Exception) as error:  # noqa: PT011 (the kind is what is under test)
        call()
    return error.value


def test_what_we_refuse_is_wrong_usage() -> None:
    code, line = ending(caught(lambda: preset_file("train", "digit")))
    assert code == 2
    assert line == "no train preset 'digit' (did you mean digits?)"
    assert ending(WrongStartError("start it by torchrun"))[0] == 2


def test_what_others_raise_is_a_failure_that_says_its_kind() -> None:
    code, line = ending(caught(lambda: np.zeros(3).reshape(2, 2)))
    assert code == 1
    assert line.endswith("(ValueError; add -vv for the trace)")
    assert ending(caught(lambda: {}["no such key"])) == (1, "'no such key' (KeyError; add -vv for the trace)")


def test_a_file_is_named_and_its_error_number_is_not(tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    assert ending(caught(missing.read_text)) == (1, f"{missing}: no such file or directory")
