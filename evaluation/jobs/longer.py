"""Extend a run beyond its planned length: the jump of its learning rate schedule is logged and stored in the run."""

from collections.abc import Callable

from advgan.config.section import Section
from advgan.storage.runs import Run
from evaluation.jobs.setup import log
from evaluation.record.findings import Finding

_KEPT = "lengthened"
_SAME = 1e-6
"""Relative difference of two rates that is rounding."""


def lengthen(
    run: Run,
    config: Section,
    *,
    option: str,
    unit: str,
    done: int,
    before: int,
    now: int,
    rate: Callable[[int, int], float],
) -> None:
    """Let a run that was to take `before` units take `now`, after `done` steps; nothing where they are the same.

    `rate` gives the learning rate, as a share of its peak, from a step and a length; its values under both lengths are
    compared at step `done`. The run's configuration is rewritten. Raises ValueError for a shorter length.
    """
    if now < before:
        raise ValueError(
            f"{option} {now} with --resume {run.folder}: it was to take {before} {unit}, and can only get longer"
        )
    if now == before:
        return
    words = _schedule(rate(max(0, done - 1), before), rate(done, now), done=done, before=before, now=now, unit=unit)
    log.warning("Note: %s is trained for %d %s instead of %d. %s", run.folder, now, unit, before, words)
    title = f"Trained for {now:,} {unit}, after {done:,} steps of a run of {before:,} {unit}"
    about = run.environment
    run.write_config(config, {**about, _KEPT: [*about.get(_KEPT, []), [title, words]]})


def longer_findings(run: Run) -> list[Finding]:
    """A remark for each time that the run was made longer."""
    kept = run.environment.get(_KEPT, [])
    advice = "Compare it with runs that were trained in one go with care: their learning rates were others."
    return [Finding("info", title, words, advice, code="trained-longer") for title, words in kept]


def _schedule(last: float, first: float, *, done: int, before: int, now: int, unit: str) -> str:
    if abs(first - last) <= _SAME * max(first, last):
        return f"The learning rate stays where it is, at {last:.3g} of its peak."
    return (
        f"The schedule is now that of {now:,} {unit}: the learning rate goes from {last:.3g} of its peak in step "
        f"{done:,}, as {before:,} {unit} have it, to {first:.3g} in the next, and on to the end of the longer one."
    )
