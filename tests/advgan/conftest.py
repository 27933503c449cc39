"""A recorder of passes that works on the CPU."""

from collections.abc import Callable
from typing import Any, TypeVar

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from advgan.config import GanTraining
from advgan.gan import training as loop
from advgan.gan.passes import DirectPasses
from advgan.gan.recording import RecordedPasses
from advgan.gan.state import State

T = TypeVar("T")


class Tape(TorchDispatchMode):
    """What a CUDA graph does, on the CPU: a list of operations, done again on the same tensors.

    It lists every operation of a block with the tensors that it read and wrote, which it keeps alive. When the block
    ends, what was there before it is as it was, the state of torch's random numbers included.
    """

    def __init__(self) -> None:
        super().__init__()
        self.operations: list[tuple[Callable[..., Any], Any, dict[str, Any], Any]] = []
        self.born: set[int] = set()
        self.written: list[tuple[Tensor, Tensor]] = []
        self.drawn = torch.get_rng_state()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        read = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        before = [(leaf, leaf.detach().clone()) for leaf in read if _home(leaf) not in self.born]
        result = func(*args, **(kwargs or {}))
        for leaf, values in before:
            if not torch.equal(leaf, values):  # not by its version: batch norm writes statistics without raising that
                self.written.append((leaf, values))
        homes = {_home(leaf) for leaf in read}
        self.born |= {_home(leaf) for leaf in tree_leaves(result) if isinstance(leaf, Tensor)} - homes
        self.operations.append((func, args, kwargs or {}, result))
        return result

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        torch.set_rng_state(self.drawn)
        with torch.no_grad():
            for leaf, values in reversed(self.written):
                with torch.autograd._unsafe_preserve_version_counter(leaf):  # a graph made in the block may need it
                    leaf.copy_(values)

    def play(self) -> None:
        """Do all of it again, with the numbers that were decided then, and write into the tensors of then."""
        with torch.no_grad():
            for func, args, kwargs, result in self.operations:
                read = {_home(leaf) for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)}
                for new, old in zip(tree_leaves(func(*args, **kwargs)), tree_leaves(result), strict=True):
                    if isinstance(old, Tensor) and _home(old) not in read:  # neither a view nor in place
                        old.copy_(new)


class TapeRecorder:
    """Records work by a tape."""

    def __init__(self) -> None:
        self.recorded = 0
        self.replayed = 0

    def aside(self, work: Callable[[], T]) -> T:
        return work()

    def record(self, work: Callable[[], T]) -> tuple[T, Callable[[], None]]:
        with Tape() as tape:
            result = work()
        self.recorded += 1

        def again() -> None:
            self.replayed += 1
            tape.play()

        return result, again


def _home(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


@pytest.fixture
def taped(monkeypatch: pytest.MonkeyPatch) -> Callable[[], TapeRecorder]:
    """From its call on, every training records its passes by tape."""

    def switch() -> TapeRecorder:
        recorder = TapeRecorder()

        def passes(state: State, training: GanTraining) -> RecordedPasses:
            return RecordedPasses(DirectPasses(state, training), recorder)

        monkeypatch.setattr(loop, "passes_for", passes)
        return recorder

    return switch
