"""Build report panels after the scores: a panel that fails becomes a finding, and the scores are kept."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import TypeVar

from advgan.machine.out_of_memory import is_out_of_memory
from evaluation.jobs.setup import log
from evaluation.record.findings import Finding
from evaluation.report.panels import Panel
from evaluation.report.results import Results

T = TypeVar("T")
Part = Callable[[], Iterable[Panel]]
"""Makes some panels of a report."""


def with_panels(results: Results, *parts: Mapping[str, Part]) -> Results:
    """The results with the panels of each part, in order; a part that fails adds a finding instead."""
    for name, make in (part for some in parts for part in some.items()):
        panels, failed = spared(name, make)
        results = replace(results, panels=(*results.panels, *panels), findings=(*results.findings, *failed))
    return results


def spared(what: str, make: Callable[[], Iterable[T]]) -> tuple[list[T], list[Finding]]:
    """Return a call's results and no finding, or, where it raises, no result and a finding; interruptions pass through.

    For work whose input has been checked, and whose failure leaves every score as it is.
    """
    try:
        return list(make()), []
    except Exception as error:
        log.debug("%s: failed", what, exc_info=True)
        finding = Finding(
            "warning", f"{what}: not made", _reason(error), f"The scores stand. {_way_out(error)}", code="not-made"
        )
        log.warning("Warning: %s. %s", finding.title, finding.evidence)
        return [], [finding]


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:500]}".rstrip(": ")


def _way_out(error: Exception) -> str:
    cause = error.__cause__ or error
    if is_out_of_memory(cause) or is_out_of_memory(error):
        return "Memory ran out: give --batch-size auto, or fewer images."
    return "The same command with -v shows where it failed."
