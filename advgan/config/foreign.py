"""What stands in the place of the networks' configuration where a generator is somebody else's."""

from typing import Literal

from advgan.config.section import Section


class Foreign(Section):
    """A generator of which nothing is known but where it came from."""

    family: Literal["foreign generator"] = "foreign generator"
    source: str
