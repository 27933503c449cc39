"""How a command speaks: every line of it goes through here, and none steers the terminal."""

import json
import logging
from collections.abc import Mapping
from typing import Any

import click

from advgan.harmless import printable


def echo(text: object, *, err: bool = False, nl: bool = True) -> None:
    """Print text, also of others, to stdout or stderr; its lines stay lines."""
    click.echo(printable(str(text), kept="\n"), err=err, nl=nl)


def echo_json(document: Mapping[str, Any], *, indent: int | None = None) -> None:
    """Print one JSON object to stdout, in ASCII, where every control character is written as JSON writes it."""
    click.echo(json.dumps(document, indent=indent).replace("\x7f", "\\u007f"))


class Lines(logging.Formatter):
    """A formatter of notes: each is one line, but for a trace below it."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (logging's name)
        return printable(super().formatMessage(record))

    def formatException(self, error: object) -> str:  # noqa: N802
        return printable(super().formatException(error), kept="\n")  # type: ignore[arg-type]
