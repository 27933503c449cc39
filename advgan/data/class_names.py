"""Where two lists of classes meet: one name is one class, whatever its number; numbers from 0 on are no names."""

from collections.abc import Sequence

SHOWN = 6
"""Names that a message lists, at most."""


def is_numbered(classes: Sequence[str]) -> bool:
    """Whether the classes are called 0, 1, ... in whatever order: nobody named them."""
    return {*classes} == {str(number) for number in range(len(classes))}


def numbers_among(classes: Sequence[str], known: Sequence[str]) -> tuple[int, ...] | None:
    """The number in `known` of each of `classes`, by name; None where they do not belong together.

    Where one side has numbers alone, no name is shared and there are as many, each class keeps its number.
    """
    if {*classes} <= {*known}:
        return tuple(known.index(name) for name in classes)
    unnamed = is_numbered(classes) or is_numbered(known)
    if unnamed and len(classes) == len(known) and {*classes}.isdisjoint(known):
        return tuple(range(len(classes)))
    return None


def matched_numbers(classes: Sequence[str], known: Sequence[str], *, what: str, of: str) -> tuple[int, ...]:
    """The same; ValueError in one line, saying whose class is unknown to whom, where they do not belong together."""
    numbers = numbers_among(classes, known)
    if numbers is not None:
        return numbers
    stranger = next(name for name in classes if name not in known)
    unnamed = is_numbered(classes) or is_numbered(known)
    counts = f" ({len(classes)} classes against {len(known)})" if unnamed else ""
    raise ValueError(
        f"{what}: the class {stranger} is not among those of {of} ({listed(known)}){counts}; name class folders, or "
        "the array classes of an .npz, as there: the order does not matter"
    )


def listed(names: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
