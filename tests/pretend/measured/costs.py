"""What one step costs a device: waits of the host by place, and operators."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from pretended.watching import Seen, watching


@dataclass(frozen=True)
class Costs:
    """Of one step, beside what a call costs once."""

    waits: dict[str, float]
    """By `file:function`."""
    once: int
    """Waits of a call, whatever its number of steps."""
    operators: float


def costs_of(run: Callable[[int], object], *, few: int, more: int) -> Costs:
    """Run so many steps, then more: the difference is what the steps between cost, each its share."""
    run(2)  # what happens once in a process
    seen = [_watched(run, steps) for steps in (few, more)]
    apart = more - few
    waits = seen[1].places
    waits.subtract(seen[0].places)
    each = {place: count / apart for place, count in sorted(waits.items()) if count}
    return Costs(
        waits=each,
        once=round(seen[0].num_waits - few * sum(each.values())),
        operators=(seen[1].num_operators - seen[0].num_operators) / apart,
    )


def operators_by_name(run: Callable[[int], object], *, few: int, more: int) -> Counter[str]:
    """The same by operator, in all, to see what to do about it."""
    seen = [_watched(run, steps) for steps in (few, more)]
    found = Counter(seen[1].operators)
    found.subtract(seen[0].operators)
    return found


def _watched(run: Callable[[int], object], steps: int) -> Seen:
    with watching() as seen:
        run(steps)
    return seen
