"""What images are wanted for, which says what a source must have: classes, and training images."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Use:
    """The wants of one verb."""

    why_classes: str = ""
    """Why each image must have a class, as a sentence that the error begins with; empty: it need not."""
    alone: Literal["divided", "tested", "refused"] = "refused"
    """What becomes of validation or test images without training ones: they are divided as if they were no split, or
    all are test images."""


LEARNING = Use(why_classes="a classifier learns to tell classes apart")
"""What is asked for where nobody says anything else."""
IMAGES = Use()
"""Images to learn from, with classes or without."""
ANY_IMAGES = Use(alone="divided")
"""Images to look at, whatever split they are of."""
