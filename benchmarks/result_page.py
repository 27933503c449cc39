"""Where a benchmark's table goes: to stdout, or into a file."""

from collections.abc import Sequence
from pathlib import Path

import click


def write_page(lines: Sequence[str], out: Path | None) -> None:
    """Write the lines of a page into a file, or print them where none is named."""
    text = "\n".join(lines) + "\n"
    if out is None:
        click.echo(text, nl=False)
    else:
        out.write_text(text, encoding="utf-8")
