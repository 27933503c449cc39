"""Sections of a checkpoint's header: read with types and bounds, and held against the tensors that the file holds."""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

from pydantic import ValidationError
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from advgan.config.header import LearntData
from advgan.config.mistakes import first_mistake
from advgan.config.section import Section
from advgan.error_text import first_line
from advgan.storage.checkpoints import Checkpoint

S = TypeVar("S", bound=Section)
SLACK = 1 << 20
"""Numbers that networks may have beyond those in the file: not all that they hold is stored."""


def read_section(checkpoint: Checkpoint, name: str, kind: type[S], *, owner: str) -> S:
    """The section `name` of a header, validated; `owner` says what the file is to be a checkpoint of, such as `a GAN`.

    Raises ValueError in one line that names the file, and the field with what is wrong with it.
    """
    lacks = f"{checkpoint.path} lacks the configuration of {owner}: it was not written by advgan"
    if name not in checkpoint.config:
        raise ValueError(f"{lacks} ({name} is missing)")
    found = checkpoint.config[name]
    needed = any(field.is_required() for field in kind.model_fields.values())
    try:
        return kind.model_validate({} if found is None and needed else found)
    except ValidationError as error:
        field, reason = first_mistake(error)
        if error.errors()[0]["type"] == "missing":
            raise ValueError(f"{lacks} ({name}.{field} is missing)") from None
        raise ValueError(f"{checkpoint.path} has a configuration unknown here ({field or name}: {reason})") from None


def learnt_data(checkpoint: Checkpoint, *, owner: str = "a network") -> LearntData:
    """What a checkpoint says of the data that it has learnt from. Raises ValueError as `read_section` does."""
    return read_section(checkpoint, "data", LearntData, owner=owner)


def read_step(checkpoint: Checkpoint) -> int:
    """How far training had come; ValueError where that is no number of steps."""
    step = checkpoint.state.get("step")
    if not isinstance(step, int) or isinstance(step, bool) or not 0 <= step < 1 << 53:
        raise ValueError(f"{checkpoint.path} has a state unknown here (step: should be a number of steps)")
    return step


@contextmanager
def room_of(checkpoint: Checkpoint, *, spare: int = 0) -> Iterator[None]:
    """Build networks in the block: larger ones than the file holds weights of are refused before they take memory.

    `spare` is how many numbers building takes beside the weights. Raises ValueError, naming the file, where the
    header asks for more, or for what no network can be.
    """
    held = _numbers(checkpoint.state)
    try:
        with room_for(held + spare) as allowance:
            yield
    except (ValueError, RuntimeError) as error:
        if allowance.is_spent:
            raise ValueError(
                f"{checkpoint.path} holds weights that do not fit its own configuration: that describes larger "
                f"networks than the {held:,} numbers that the file holds"
            ) from None
        raise ValueError(f"{checkpoint.path} needs its network: {first_line(error)}") from error


def room_for(numbers: int) -> "Allowance":
    """Build networks in the block that a file with so many numbers can fill; ValueError where they are larger."""
    return Allowance(2 * numbers + SLACK)


class Allowance(TorchDispatchMode):
    """Refuses to make tensors of more numbers than `left`, all together, before they are made."""

    def __init__(self, left: int) -> None:
        super().__init__()
        self.left, self.is_spent = left, False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.overloadpacket.__name__ in _MAKING:
            size = next((each for each in args if isinstance(each, (list, tuple))), args)
            self.left -= math.prod(each for each in size if isinstance(each, int))
            if self.left < 0:
                self.is_spent = True
                raise ValueError("the networks are larger than what the file holds")
        return func(*args, **(kwargs or {}))


_MAKING = frozenset(
    f"{prefix}{name}"
    for prefix in ("", "new_")
    for name in ("empty", "zeros", "ones", "full", "rand", "randn", "empty_strided", "eye")
)
"""Operators that make a tensor of a given size."""


def _numbers(state: Any) -> int:
    if isinstance(state, Tensor):
        return state.numel()
    values = state.values() if isinstance(state, Mapping) else state if isinstance(state, list) else ()
    return sum(_numbers(value) for value in values)
