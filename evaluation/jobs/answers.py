"""A verb's outcome as JSON data (`--json`), and the findings at which `--fail-on` fails it."""

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from advgan.config.resolve import read_yaml
from advgan.config.section import Section
from evaluation.jobs.setup import Outcome
from evaluation.record.findings import Finding
from evaluation.record.scores import score_to_json

LEVELS = ("warning", "failure")
"""Values of `--fail-on`: fail at every warning, or only at scores and panels that could not be computed."""


def plain_answer(outcome: Outcome, config: Section) -> dict[str, Any]:
    """Settings and results as JSON data; `config` is the run's own where there is a run."""
    results, folder = outcome.results, outcome.folder
    file = folder / "config.yaml" if folder else None
    return {
        "command": results.command,
        "run": str(folder) if folder else None,
        "verdict": results.verdict,
        "scores": [score_to_json(score) for score in results.scores],
        "findings": [asdict(finding) for finding in results.findings],
        "files": [str(path) for path in outcome.made],
        "config": read_yaml(file) if file and file.is_file() else config.model_dump(mode="json"),
    }


def stopping(findings: Iterable[Finding], level: str | None) -> list[str]:
    """One line for each finding that the gate `--fail-on LEVEL` stops at; none without a gate."""
    if level is None:
        return []
    found = [finding for finding in findings if finding.level == "warning"]
    if level == "failure":
        found = [finding for finding in found if finding.is_failure]
    return [f"{finding.title}. {finding.evidence}" for finding in found]
