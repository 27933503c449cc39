"""Run an attack on a batch that samples leave as soon as they are done, and that waiting samples join.

An attack is written as two functions over a state: `begin` makes the state of some samples, `advance` takes all of them
one step further. A state is a dataclass whose tensors have one row a sample, with a field `samples` and a field `done`
(N,) bool. Since every counter is a row too, samples at different steps share a batch, and a network always sees as many
images at once as it was given room for, until the queue is empty.
"""

from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass, replace
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor

from attacks.samples import Samples

FULL = 0.75
"""The batch is refilled once it is at most this share full: joining copies the state, which every free place alone
would not be worth."""


class State(Protocol):
    """What an attack carries from step to step; a dataclass."""

    @property
    def samples(self) -> Samples: ...
    @property
    def done(self) -> Tensor: ...


S = TypeVar("S", bound=State)


def drive(
    samples: Samples,
    *,
    begin: Callable[[Samples], S],
    advance: Callable[[S], S],
    batch_size: int | None = None,
    compact: bool = True,
) -> Iterator[S]:
    """Advance all samples until each is done, and yield the states of those that are, as they leave.

    At most `batch_size` samples are in play at once (None: all). `begin` should draw and allocate but leave passes
    through the network to `advance`, so that they run with full batches. Learning who is done waits for the device once
    a step. `compact=False` keeps a sample in the batch until all are done, which must change the cost and not the
    result: `advance` has to leave what is kept of a done sample as it is.
    """
    if batch_size is not None and batch_size < 1:
        raise ValueError(f"batch_size must be 1 or more; got {batch_size}")
    size = len(samples) if batch_size is None else batch_size
    state: S | None = None
    seated = 0
    while True:
        # Fill up.
        in_play = 0 if state is None else len(state.samples)
        room = min(size - in_play, len(samples) - seated)
        if room > 0 and in_play <= FULL * size and (compact or in_play == 0):
            fresh = begin(samples.part(seated, seated + room))
            state = fresh if state is None or in_play == 0 else join(state, fresh)
            seated += room
        if state is None or len(state.samples) == 0:
            return

        # Step, and let go of those that are done.
        state = advance(state)
        num_done, left = int(state.done.sum()), len(state.done)
        if num_done == left:
            yield state
            state = None
        elif num_done > 0 and compact:
            order = state.done.to(torch.uint8).argsort(stable=True)  # unlike nonzero, without a second wait
            yield select(state, order[left - num_done :])
            state = select(state, order[: left - num_done])


def select(state: S, rows: Tensor) -> S:
    """The rows of a state at the given positions."""
    return _rowwise(lambda values: values[rows], state)


def join(one: S, other: S) -> S:
    """The rows of one state followed by those of another."""
    return _rowwise(lambda values, others: torch.cat([values, others]), one, other)


def _rowwise(change: Callable[..., Tensor], *states: Any) -> Any:
    """Apply a function to the tensors of nested dataclasses, field by field; other fields are taken from the first."""
    first = states[0]
    changed = {}
    for field in fields(first):
        values = [getattr(state, field.name) for state in states]
        if isinstance(values[0], Tensor):
            changed[field.name] = change(*values)
        elif is_dataclass(values[0]):
            changed[field.name] = _rowwise(change, *values)
    return replace(first, **changed)
