"""How scores read, on the page and on the console alike."""

import math
import re
from collections.abc import Sequence
from typing import TextIO

from evaluation.record.scores import Score
from evaluation.report.columns import Columns

COLUMNS = ("metric", "value", "interval", "n", "setting")
UNKNOWN = "–"
RATES = {"precision", "recall", "coverage", "label_agreement", "label_agreement_shuffled", "high_quality", "ndb"}
RATES |= {"authenticity", "authenticity_held_out", "train_preference", "mode_variation", "interpolation_precision"}
RATES |= {f"gan_{word}" for word in ("train", "train_real", "test", "train_robust", "train_robust_real", "test_robust")}
_RATE_WORDS = {"accuracy", "rate", "share"}  # a metric with one of them in its name is a rate too
_HIGHER = {"precision", "recall", "coverage", "density", "inception_score", "classifier_score"}
_HIGHER |= {"modes_covered", "label_agreement", "clean_accuracy", "robust_accuracy", "robust_accuracy_8bit"}
_HIGHER |= {"code_accuracy", "class_accuracy", "probe_accuracy"}
_HIGHER |= {"gan_train", "gan_train_robust", "high_quality", "modes_captured"}
_LOWER = {"fid", "fd", "kid", "kd", "mode_kl", "mode_kl_forward", "mode_variation", "reverse_kl", "cmmd", "mind"}
_LOWER |= {"fid_infinity", "fd_infinity", "fid_unseen", "fd_unseen"}


def is_rate(metric: str) -> bool:
    """Whether the metric is a fraction in [0, 1], shown as a percentage; its name may have an extractor in brackets."""
    name = _stem(metric)
    return name in RATES or not _RATE_WORDS.isdisjoint(name.split("_"))


def direction(metric: str) -> str:
    """An arrow to where the metric is better; empty where that depends on whose side one is on."""
    name = "" if metric.startswith("difference/") else _stem(metric)
    return "↑" if name in _HIGHER else "↓" if name in _LOWER else ""


def format_value(score: Score) -> str:
    """`97.3 %` for a rate, `10` for a whole number, up to four significant digits for the rest."""
    return format_rate(score.value) if is_rate(score.metric) else format_number(score.value)


def format_interval(score: Score) -> str:
    """`[95.1, 98.6]` in the unit of the value (percent for rates), or a dash where no interval is known."""
    if math.isnan(score.low) or math.isnan(score.high):
        return UNKNOWN
    if is_rate(score.metric):
        return f"[{_percent(score.low)}, {_percent(score.high)}]"
    return f"[{format_number(score.low)}, {format_number(score.high)}]"


def format_score(score: Score) -> str:
    """`97.3 % [95.1, 98.6], n=450`: value, 95 % interval where there is one, sample size."""
    interval = format_interval(score)
    value = format_value(score) if interval == UNKNOWN else f"{format_value(score)} {interval}"
    return f"{value}, n={score.samples}"


def format_rate(value: float) -> str:
    """A fraction as a percentage; never rounded to 0 % or 100 % unless it is exactly that."""
    return UNKNOWN if math.isnan(value) else f"{_percent(value)} %"


def format_number(value: float) -> str:
    """Up to four significant digits, thousands apart; whole numbers whole; powers of ten for the extremes."""
    if math.isnan(value):
        return UNKNOWN
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    size = abs(value)
    if value == int(value) and size < 1e9:
        return f"{int(value):,}"
    if 1e-3 <= size < 1e6:
        text = f"{value:,.{max(0, 3 - math.floor(math.log10(size)))}f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    return f"{value:.3e}"


def format_count(count: int) -> str:
    return f"{count:,}"


def _percent(value: float) -> str:
    percent = 100 * value
    decimals = 1
    while decimals < 4 and 0 < value < 1 and float(f"{percent:.{decimals}f}") in (0, 100):
        decimals += 1
    return f"{percent:.{decimals}f}"


def _stem(metric: str) -> str:
    """`fd[classifier]` is the metric `fd` with an extractor; case and a part before a slash do not matter."""
    return re.sub(r"\[.*\]$", "", metric).rsplit("/", 1)[-1].lower()


def print_scores(scores: Sequence[Score], *, file: TextIO | None = None) -> None:
    """Print a table of scores under their subjects and data, to stdout unless `file` says otherwise.

    In a terminal the table keeps to its width; into a pipe no line is broken, so that `grep` finds whole rows.
    """
    table = Columns(COLUMNS, words_last=True, file=file)
    for score in scores:
        table.add(f"{score.subject} on {score.data}", [[*score_cells(score), score.setting]])
    table.print()


def score_cells(score: Score) -> list[str]:
    """The metric with an arrow to where it is better, its value, interval and sample size."""
    metric = f"{score.metric} {direction(score.metric)}".rstrip()
    return [metric, format_value(score), format_interval(score), format_count(score.samples)]
