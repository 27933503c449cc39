"""A verb of the command line as a test calls it: in this process, since only this process has the device."""

import json
import logging
import re
from collections.abc import Iterator
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple

import cli

FAILURE = re.compile(r"not-made|same device|CUDA error|out of memory|could not be|not made|Traceback|\bfailed\b")


class Ended(NamedTuple):
    """How a verb ended."""

    code: int
    scores: list[dict[str, Any]]
    words: str
    """What stood on stderr."""
    run: Path | None

    @property
    def values(self) -> dict[tuple[str, str, str], float]:
        """The scores by subject (without the digest of its weights), setting and metric."""
        return {(row["subject"].split()[0], row["setting"], row["metric"]): float(row["value"]) for row in self.scores}

    @property
    def findings(self) -> list[dict[str, Any]]:
        """What its results say in words."""
        assert self.run is not None
        return list(json.loads((self.run / "results.json").read_text())["findings"])

    @property
    def failures(self) -> list[str]:
        """Findings that tell of work that could not be done, and words of the device on stderr.

        A metric that few or senseless images do not have is none of the device's failures.
        """
        told = [
            f"{finding['code']}: {finding['title']}. {finding['evidence']}"
            for finding in self.findings
            if finding["code"] != "metric-not-made"
        ]
        return [text for text in [*told, *self.words.splitlines()] if FAILURE.search(text)]


def call(folder: Path, *arguments: str) -> Ended:
    """Run a verb with `--json` in that folder."""
    out, err, code = StringIO(), StringIO(), 0
    with chdir(folder), redirect_stdout(out), redirect_stderr(err), _log_as_it_was():
        try:
            cli.main([*arguments, "--json"])
        except SystemExit as end:
            code = int(end.code or 0)
    answer: dict[str, Any] = json.loads(out.getvalue()) if code == 0 and out.getvalue() else {}
    run = folder / answer["run"] if answer.get("run") else None
    return Ended(code, answer.get("scores", []), err.getvalue(), run)


@contextmanager
def _log_as_it_was() -> Iterator[None]:
    """The command line sets up the log of the whole process, also where a fixture of the session calls it."""
    log = logging.getLogger("advgan")
    level, propagate, handlers = log.level, log.propagate, list(log.handlers)
    try:
        yield
    finally:
        log.setLevel(level)
        log.propagate, log.handlers = propagate, handlers
