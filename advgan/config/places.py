"""Which settings may name a path, and whose names come before a path that is spelt alike."""

from enum import Enum


class Place(Enum):
    """Marks a setting, as `Annotated[str, Place.DATA]`, whose value a stored run must find from any working folder.

    The value is one string, several, or None. What it does not name is taken as a path, or as `FILE.py:OBJECT`.
    """

    DATA = "data"
    """Names of data sets come first; `stacked:` may stand before either."""
    CLASSIFIER = "classifier"
    """Names of our architectures come first."""
    EXTRACTOR = "extractor"
    """Names of what sees images come first."""
    RUN = "run"
    """A path in any case: a run, a checkpoint, somebody else's generator."""


def is_python_source(name: str) -> bool:
    """Whether a name has the form `file.py:object`."""
    path, colon, attribute = name.rpartition(":")
    return bool(colon) and path.endswith(".py") and attribute.isidentifier()
