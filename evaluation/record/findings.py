"""What a reader of the numbers must know before trusting them."""

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
        """Whether it stands in the place of what could not be made."""
        return self.code in FAILURES
