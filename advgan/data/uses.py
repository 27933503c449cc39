"""What a verb needs of its data: classes or not, and training images or not."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Use:
    """The requirements of one verb."""

    why_classes: str = ""
    """The reason why classes are required, with which the error message begins; empty: not required."""
    alone: Literal["divided", "tested", "refused"] = "refused"
    """How validation or test images without training images are used: divided as if unsplit, all as test images, or
    refused."""


LEARNING = Use(why_classes="a classifier learns to tell classes apart")
"""Training a classifier, the default."""
IMAGES = Use()
"""Training images, with classes or without."""
ANY_IMAGES = Use(alone="divided")
"""Images of any split, with classes or without."""
