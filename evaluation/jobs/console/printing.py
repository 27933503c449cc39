"""What a verb prints on stdout: its result, for people or for programs."""

import json

import click

from advgan.config.section import Section
from evaluation.jobs.answers import plain_answer
from evaluation.jobs.setup import Outcome
from evaluation.report.text import print_scores


def print_outcome(outcome: Outcome, config: Section, *, as_json: bool) -> None:
    """Print the scores as a table and a line for each file that was asked for; or all as one JSON object."""
    if as_json:
        click.echo(json.dumps(plain_answer(outcome, config)))
        return
    if outcome.table_scores:
        print_scores(outcome.table_scores)
    if outcome.results.is_struck:
        click.echo(outcome.results.verdict)
    for path in outcome.made:
        click.echo(str(path))
