"""The table of an attack on the console: a row for each attack and budget, a column for each metric."""

from collections.abc import Sequence
from typing import TextIO

from evaluation.record.scores import Score
from evaluation.report.columns import Columns
from evaluation.report.text import format_count, format_interval, format_value, print_scores

_LEFT = ("clean_accuracy", "robust_accuracy")
_SHOWN = (*_LEFT, "robust_accuracy_8bit", "success_rate")


def print_attacks(scores: Sequence[Score], *, cascade: bool = False, file: TextIO | None = None) -> None:
    """Print each attack's robust accuracy with its interval, and its success rate on the attacked images.

    In a cascade that is the accuracy under it and all attacks before it. Other scores follow in a second table.
    """
    left = "left after" if cascade else "left"
    table = Columns(("attack", left, "95 % interval", "8 bits", "broke", "of"), file=file)
    groups: dict[tuple[str, str], dict[str, dict[str, Score]]] = {}
    for score in scores:
        if score.metric in _SHOWN:
            rows = groups.setdefault((score.subject, score.data), {})
            rows.setdefault(score.setting, {})[score.metric] = score
    for (subject, data), rows in groups.items():
        counts = {score.samples for row in rows.values() for name, score in row.items() if name in _LEFT}
        title = f"{subject} on {data}, accuracy of {' or '.join(map(format_count, sorted(counts)))} images"
        table.add(title, [_row(setting, row) for setting, row in rows.items()])
    if groups:
        table.print()
    others = [score for score in scores if score.metric not in _SHOWN]
    if others:
        print_scores(others, file=file)


def _row(setting: str, found: dict[str, Score]) -> list[str]:
    accuracy = found.get("clean_accuracy") or found.get("robust_accuracy")
    rounded, broken = found.get("robust_accuracy_8bit"), found.get("success_rate")
    return [
        "no attack" if "clean_accuracy" in found else setting,
        format_value(accuracy) if accuracy else "",
        format_interval(accuracy) if accuracy else "",
        format_value(rounded) if rounded else "",
        format_value(broken) if broken else "",
        format_count(broken.samples) if broken else "",
    ]
