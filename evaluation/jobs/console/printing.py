"""What a verb prints on stdout: its result, for people or for programs."""

import logging

from advgan.config.section import Section
from advgan.harmless import printable
from evaluation.jobs.answers import plain_answer
from evaluation.jobs.console.attack_table import print_attacks
from evaluation.jobs.console.generator_table import print_generators
from evaluation.jobs.console.speaking import echo, echo_json
from evaluation.jobs.setup import Outcome
from evaluation.report.columns import say
from evaluation.report.text import print_scores

log = logging.getLogger("advgan")


def print_outcome(outcome: Outcome, config: Section, *, as_json: bool) -> None:
    """Print the scores as a table and a line for each file that was asked for; or all as one JSON object."""
    if as_json:
        echo_json(plain_answer(outcome, config))
        return
    results, scores = outcome.results, outcome.table_scores
    if results.command in ("attack", "fit"):
        print_attacks(scores, cascade=bool(getattr(config, "cascade", False)))
    elif results.command in ("eval", "train"):
        named = bool(getattr(config, "metrics", ()))
        print_generators(results.scores, everything=named)
        say(results.verdict)
        if not named:
            log.info("the other scores: --json, or the report")
    elif scores:
        print_scores(scores)
    if results.is_struck:
        say(results.verdict)
    for path in outcome.made:
        echo(printable(str(path)))
