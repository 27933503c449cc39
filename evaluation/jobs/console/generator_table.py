"""The table of generators on the console: a few scores of each that say most, in their groups, and one sentence."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TextIO

from evaluation.metric_words import GROUPS
from evaluation.record.findings import Finding
from evaluation.record.scores import Score, word_of
from evaluation.report.columns import Columns
from evaluation.report.text import format_number, format_value, print_scores, score_cells

MOST = 8
"""Rows of each generator, unless metrics were named."""
FIRST = (
    *("fid", "fid_floor", "precision", "recall", "modes_covered", "copied_share"),
    *("high_quality", "reverse_kl", "class_accuracy", "code_accuracy", "kid", "coverage", "label_agreement"),
    *("train_preference", "real_fake_separation"),
)
"""The words that say most, the first ones first."""
_COMPARED = "difference/"


def print_generators(scores: Sequence[Score], *, everything: bool = False, file: TextIO | None = None) -> None:
    """Print the headline rows of each subject in the groups of their metrics, or every row, and what was compared."""
    own = [score for score in scores if not score.metric.startswith(_COMPARED)]
    table = Columns(("metric", "value", "95 % interval", "n", "seen by"), words_last=True, file=file)
    words = set()
    for title, of_subject in _by_subject(own).items():
        rows = of_subject if everything else headline_rows(of_subject)
        words |= {word_of(score.metric) for score in rows}
        for group, members in grouped(rows).items():
            table.add(title, [[group, "", "", "", ""], *map(_cells, members)])
    if own:
        table.print()
    compared = [score for score in scores if score.metric.startswith(_COMPARED)]
    compared = [score for score in compared if word_of(score.metric.removeprefix(_COMPARED)) in words]
    if compared:
        print_scores(compared, file=file)


def headline_rows(scores: Sequence[Score]) -> list[Score]:
    """At most eight scores of one subject, in their own order: by the first extractor, or of the discriminator."""
    first = _by_word(scores)
    chosen = [first[word] for word in FIRST if word in first]
    rest = [score for score in first.values() if score not in chosen]
    kept = (chosen if len(chosen) >= MOST or len(scores) > MOST else [*chosen, *rest])[:MOST]
    return [score for score in scores if score in kept]


def grouped(scores: Iterable[Score]) -> dict[str, list[Score]]:
    """The scores by the group of their metric, in the order of the groups."""
    found: dict[str, list[Score]] = {}
    for score in scores:
        word = word_of(score.metric)
        name = next((name for name, words in GROUPS.items() if word in words), "other")
        found.setdefault(name, []).append(score)
    order = [*GROUPS, "other"]
    return dict(sorted(found.items(), key=lambda item: order.index(item[0])))


def verdicts(scores: Sequence[Score], findings: Sequence[Finding]) -> list[str]:
    """A sentence for each subject: how many floors it is away, how much it covers; the last says what warns."""
    own = [score for score in scores if not score.metric.startswith(_COMPARED)]
    subjects = _by_subject(own)
    sentences = []
    for title, of_subject in subjects.items():
        found = _by_word(of_subject)
        parts = [text for text in (_distance(found), *_coverage(found)) if text]
        if parts:
            name = f"{title.partition(' on ')[0]}: " if len(subjects) > 1 else ""
            sentences.append(f"{name}{'; '.join(parts)}.")
    return [*sentences, *_warned(findings)]


def _warned(findings: Sequence[Finding]) -> list[str]:
    warnings = [finding.title.rstrip(".") for finding in findings if finding.level == "warning"]
    if not warnings:
        return []
    more = f", and {len(warnings) - 1} more in the report" if len(warnings) > 1 else ""
    return [f"Warning: {warnings[0]}{more}."]


def _by_subject(scores: Sequence[Score]) -> dict[str, list[Score]]:
    found: dict[str, list[Score]] = {}
    for score in scores:
        found.setdefault(f"{score.subject} on {score.data}", []).append(score)
    return found


def _by_word(scores: Sequence[Score]) -> Mapping[str, Score]:
    found: dict[str, Score] = {}
    for score in scores:
        found.setdefault(word_of(score.metric), score)
    return found


def _distance(found: Mapping[str, Score]) -> str:
    distance, floor = found.get("fid"), found.get("fid_floor")
    if not distance:
        return ""
    if not floor or floor.value <= 0:
        return f"{distance.metric} {format_value(distance)}"
    times = format_number(round(distance.value / floor.value, 1))
    return f"{distance.metric} {format_value(distance)} is {times} times the floor that real images reach"


def _coverage(found: Mapping[str, Score]) -> list[str]:
    modes, recall = found.get("modes_covered"), found.get("recall")
    return [
        f"{format_value(modes)} modes covered" if modes else "",
        f"{format_value(recall)} of the real images within reach" if recall else "",
    ]


def _cells(score: Score) -> list[str]:
    return [*(cell if place else f"  {cell}" for place, cell in enumerate(score_cells(score))), score.setting]
