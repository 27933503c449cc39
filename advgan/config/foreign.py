"""The stand-in for a network configuration where a generator was not trained here."""

from typing import Literal

from advgan.config.section import Section


class Foreign(Section):
    """A generator of which only the source is known."""

    family: Literal["foreign generator"] = "foreign generator"
    source: str
