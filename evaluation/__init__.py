"""Scores of generators and classifiers, each with its sample size and interval, and the reports made of them."""

from typing import TYPE_CHECKING, Any

from evaluation.record.scores import Score, table
from evaluation.under_attack.rows import robustness

if TYPE_CHECKING:
    from evaluation.evaluating import evaluate

__all__ = ["Score", "evaluate", "robustness", "table"]


def __getattr__(name: str) -> Any:
    """Load what only the scores of generators need when it is first asked for."""
    if name == "evaluate":
        from evaluation.evaluating import evaluate

        return evaluate
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
