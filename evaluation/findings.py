"""What a reader of the numbers must know before trusting them."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Finding:
    """One remark beside the scores: what was seen, the numbers that show it, and what to do about it.

    A "warning" says that a number may not mean what it seems to; an "info" only explains.
    """

    level: Literal["info", "warning"]
    title: str
    evidence: str
    advice: str
