"""Learning rate and attack budget as pure functions of the step, so that resuming needs no scheduler state."""

import math
from collections.abc import Sequence

RISE = 0.3  # share of the one-cycle run in which the learning rate rises
START_DIVISOR = 25.0
END_DIVISOR = 1e4  # below the start


def learning_rate(schedule: str, step: int, *, total_steps: int, peak: float, drops: Sequence[int] = ()) -> float:
    """The learning rate of step `step` (0 is the first) of `total_steps`.

    `constant` stays at `peak`; `linear` falls from it to 0 along a line; `cosine` along half a cosine (Loshchilov and
    Hutter, 2016); `one-cycle` rises from a 25th of it over the first 30 % and falls to a 250,000th (Smith and Topin,
    2017), along half cosines, as torch's does; `drops` falls to a tenth at each of the steps `drops`.
    """
    if schedule == "constant":
        return peak
    if schedule == "linear":
        return peak * (1 - step / total_steps)
    if schedule == "cosine":
        return _between(peak, 0.0, step / total_steps)
    if schedule == "drops":
        return peak * 0.1 ** sum(step >= drop for drop in drops)
    assert schedule == "one-cycle"
    start = peak / START_DIVISOR
    top, last = max(0.0, RISE * total_steps - 1), total_steps - 1
    if step <= top:
        return _between(start, peak, step / top if top > 0 else 1.0)
    return _between(peak, start / END_DIVISOR, (step - top) / (last - top))


def ramped(first: float, last: float, step: int, *, steps: int) -> float:
    """Half a cosine from `first` at step 0 to `last` at step `steps`, then `last`."""
    return last if step >= steps else _between(first, last, step / steps)


def warm_budget(eps: float, step: int, *, warmup_steps: float) -> float:
    """The attack budget of a step: a straight line from 0 at step 0 to `eps` at `warmup_steps`, then `eps`."""
    return eps if step >= warmup_steps else eps * step / warmup_steps


def _between(first: float, last: float, share: float) -> float:
    """Half a cosine from `first` at share 0 to `last` at share 1."""
    return last + (first - last) * (1 + math.cos(math.pi * share)) / 2
