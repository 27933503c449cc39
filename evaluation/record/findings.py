"""What a reader of the numbers must know before trusting them."""

from dataclasses import dataclass
from typing import Literal


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
