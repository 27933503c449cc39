"""HTML of results for notebooks."""

from collections.abc import Iterable
from html import escape

from evaluation.record.findings import Finding
from evaluation.record.scores import Scores


def page(scores: Scores, findings: Iterable[Finding], *, title: str = "") -> str:
    """A heading, the scores as a table, and a paragraph for each warning."""
    heading = f"<p><b>{escape(title)}</b></p>" if title else ""
    warnings = "".join(
        f"<p><b>Warning: {escape(one.title)}.</b> {escape(one.evidence)} {escape(one.advice)}</p>"
        for one in findings
        if one.level == "warning"
    )
    return heading + scores._repr_html_() + warnings
