"""Scores of generators and classifiers, each with its sample size and interval, and the reports made of them."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evaluation.evaluating import evaluate
    from evaluation.record.scores import Score, table
    from evaluation.under_attack.rows import robustness

__all__ = ["Score", "evaluate", "robustness", "table"]
_HOMES = {
    "Score": "evaluation.record.scores",
    "evaluate": "evaluation.evaluating",
    "robustness": "evaluation.under_attack.rows",
    "table": "evaluation.record.scores",
}


def __getattr__(name: str) -> Any:
    """Load what is asked for when it is first asked for, so that the command's help needs none of it."""
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
