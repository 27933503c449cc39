"""The table of generators on the console: the headline scores of each, in their groups."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TextIO

from evaluation.metric_words import GROUPS
from evaluation.record.scores import Score, word_of
from evaluation.report.columns import Columns
from evaluation.report.text import print_scores, score_cells

MOST = 8
"""Rows of each generator, unless metrics were named."""
FIRST = (
    *("fid_unseen", "fid_unseen_floor", "fid", "fid_floor", "precision", "recall", "modes_covered", "copied_share"),
    *("high_quality", "reverse_kl", "class_accuracy", "code_accuracy", "kid", "coverage", "label_agreement"),
    *("train_preference", "real_fake_separation"),
)
"""Headline metrics in order of priority."""
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


def _cells(score: Score) -> list[str]:
    return [*(cell if place else f"  {cell}" for place, cell in enumerate(score_cells(score))), score.setting]
