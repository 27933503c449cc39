"""Gates: bounds on scores that fail a command; parsed and checked before the work, applied after it."""

import difflib
import math
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from advgan.config.section import Section
from evaluation.jobs.console.names import MADE, METRICS
from evaluation.record.scores import Score, word_of
from evaluation.report.text import format_value, is_rate


class Gate(NamedTuple):
    """A bound on every score of one metric."""

    option: str
    metric: str
    bound: float

    def concerns(self, score: Score) -> bool:
        """Whether the score is of this metric; without an extractor in brackets, of any."""
        return self.metric in (score.metric, score.metric.partition("[")[0])

    def holds(self, score: Score) -> bool:
        return score.value >= self.bound if self.option == "--fail-under" else score.value <= self.bound


def parse_gates(option: str, texts: Iterable[str]) -> list[Gate]:
    """Parse `metric=0.4`, or `metric=40%` for a rate; ValueError for a malformed or impossible bound."""
    return [_parse(option, text) for text in texts]


def check_gates(gates: Sequence[Gate], verb: str, config: Section) -> None:
    """Raise ValueError, before the work, for gates on scores that this call does not compute."""
    known, wanted = MADE[verb], None
    if gates and verb in ("train", "eval"):
        from evaluation.metric_words import wanted_metrics

        wanted = wanted_metrics(getattr(config, "metrics", ()))
    for gate in gates:
        word = _word(gate.metric)
        if word not in known:
            raise ValueError(f"{gate.option} {gate.metric}: advgan {verb} makes no such score ({_hint(gate, known)})")
        if wanted is not None and gate.metric.startswith("fid") and not _looks_through_inception(config):
            raise ValueError(
                f"{gate.option} {gate.metric}: the FID is of Inception's features, which this call does not look at: "
                f"{_distance(gate.metric)} is the distance of others, or add --features inception"
            )
        if wanted is not None and word not in wanted:
            way = f"add --metrics {word}" if verb == "eval" else f"advgan eval --metrics {word} makes it"
            raise ValueError(f"{gate.option} {gate.metric}: this call does not make this score; {way}")


def failures(gates: Iterable[Gate], scores: Sequence[Score]) -> list[str]:
    """One line for every score that misses a bound, and for every bound whose score could not be made."""
    lines = []
    for gate in gates:
        found = [score for score in scores if gate.concerns(score)]
        if not found:
            lines.append(f"{gate.metric} could not be made here, so {gate.option} does not hold")
        word = "under" if gate.option == "--fail-under" else "over"
        lines += [
            f"{score.metric} {format_value(score)} is {word} {_bound(gate)} ({score.setting})"
            for score in found
            if not gate.holds(score)
        ]
    return lines


def _parse(option: str, text: str) -> Gate:
    metric, _, value = text.partition("=")
    share = is_rate(metric)
    number = re.fullmatch(r"\s*([-+]?[\d.]+(?:[eE][-+]?\d+)?)\s*(%?)\s*", value)
    try:
        bound = float(number[1]) if number else math.nan
    except ValueError:
        bound = math.nan
    if not metric or number is None or not math.isfinite(bound):
        raise ValueError(f"{option} {text}: write it as metric=number")
    if number[2]:
        if not share and _word(metric) in {word for words in MADE.values() for word in words}:
            raise ValueError(f"{option} {text}: {metric} is no share: write it without %")
        bound /= 100
    if share and not 0 <= bound <= 1:
        way = (
            f"{metric}={bound:g}% or {metric}={bound / 100:g}" if 1 < bound <= 100 else f"{metric}=40% or {metric}=0.4"
        )
        raise ValueError(f"{option} {text}: {metric} is a share between 0 and 1: write, say, {way}")
    return Gate(option, metric, bound)


def _looks_through_inception(config: Section) -> bool:
    features = getattr(config, "features", ())
    return any(name.startswith("inception") for name in ([features] if isinstance(features, str) else features))


def _distance(metric: str) -> str:
    """`fd` for `fid`, `fd_infinity` for `fid_infinity`."""
    return f"fd{metric.removeprefix('fid')}"


def _word(metric: str) -> str:
    """The word in the list of metrics, also of a difference."""
    return word_of(metric.removeprefix("difference/"))


def _hint(gate: Gate, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(gate.metric, known, n=1)
    if near:
        return f"did you mean {near[0]}?"
    if known is METRICS:
        return "advgan ls metrics names those that there are"
    return f"it makes {', '.join(known)}" if known else "it makes none"


def _bound(gate: Gate) -> str:
    return f"{100 * gate.bound:g} %" if is_rate(gate.metric) else f"{gate.bound:g}"
