"""`Finding`: a remark beside the scores on what they may not mean, or what was noticed on the way."""

from dataclasses import dataclass
from typing import Literal

FAILURES = frozenset({"not-made"})
"""Codes of findings that stand where a number or a picture is missing."""


@dataclass(frozen=True)
class Finding:
    """One remark beside the scores: what was seen, the numbers that show it, and what to do about it.

    A "warning" says that a number may not mean what it seems to; an "info" only explains. `code` names the kind of
    finding for programs, such as `zero-gradients`, and stays when the words change; empty in results written before
    findings had one.
    """

    level: Literal["info", "warning"]
    title: str
    evidence: str
    advice: str
    code: str = ""

    @property
    def is_failure(self) -> bool:
        """Whether it reports something that could not be made."""
        return self.code in FAILURES
