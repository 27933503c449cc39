"""Why two numbers of the same name are not compared: other sizes, another attack, or a number that is struck."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from evaluation.record.scores import Score, word_of
from evaluation.report.results import Results
from evaluation.report.text import UNKNOWN, format_count
from evaluation.side_by_side.sides import Side

ANY_SIZE = {"kid", "kd", "fid_infinity", "fd_infinity", "cmmd", "label_agreement", "high_quality"}
"""Of the metrics that hold generated images against real ones, those that expect the same at any number of them."""
STRUCK = "; struck, as warnings speak against it"
"""In the protocol of a number under attack that warnings speak against."""
CLEAN, WORST_CASE = "clean", "worst-case"
_EVERYWHERE = ("steps", "step_size", "restarts", "queries", "targeted", "options")
_TOGETHER = ("attacks", "probes")


def sizes_differ(first: Score, second: Score) -> str:
    """Say where a distance between sets was measured on other numbers of images, on which it depends."""
    if not first.num_real or word_of(first.metric) in ANY_SIZE:
        return ""
    for name, mine, theirs in (
        ("generated", first.samples, second.samples),
        ("real", first.num_real, second.num_real),
    ):
        if mine != theirs:
            return f"it depends on the number of {name} images, {format_count(mine)} and {format_count(theirs)}"
    return ""


def attacked_otherwise(first: tuple[Side, Score], second: tuple[Side, Score]) -> str:
    """Say where other models were attacked in other ways: the difference may be that of the attacks.

    The same model attacked in two ways is a comparison of attacks, and a fair one.
    """
    (mine, one), (theirs, other) = first, second
    if one.setting == CLEAN or one.subject == other.subject:
        return ""
    if "attacks" not in mine.config or "attacks" not in theirs.config:
        return ""
    keys = [*_EVERYWHERE, *(_TOGETHER if one.setting.startswith(WORST_CASE) else _of_cascade(mine, theirs))]
    keys += ["norm", "eps"] if one.setting == WORST_CASE else []  # whose name has no budget where there is but one
    apart = [key for key in keys if _said(mine.config, key) != _said(theirs.config, key)]
    return "attacked in other ways: " + "; ".join(_both(key, mine, theirs) for key in apart) if apart else ""


def struck(*numbers: tuple[str, Score]) -> str:
    """Say where the higher of two numbers is struck. A lower one is: the truth lies lower still, and it stays below."""
    name, score = max(numbers, key=lambda number: number[1].value)
    return f"warnings speak against the number of {name}" if STRUCK in score.protocol else ""


def set_otherwise(runs: Sequence[Results]) -> list[tuple[str, list[str]]]:
    """What the runs say of how they were made and not all in the same words: a label, and what each says."""
    facts = [dict(run.header) for run in runs]
    labels = dict.fromkeys(label for each in facts for label in each)
    said = {label: [each.get(label, UNKNOWN) for each in facts] for label in labels}
    return [(label, words) for label, words in said.items() if len(set(words)) > 1]


def _of_cascade(*sides: Side) -> tuple[str, ...]:
    """In a cascade an attack's number holds what those before it broke."""
    return ("cascade", "attacks") if any(side.config.get("cascade") for side in sides) else ()


def _both(key: str, *sides: Side) -> str:
    return f"{key} {' and '.join(_said(side.config, key) for side in sides)}"


def _said(config: Mapping[str, Any], key: str) -> str:
    value = config.get(key)
    if value is None or value == {}:
        return "by default"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return json.dumps(value, sort_keys=True) if isinstance(value, dict) else str(value)
