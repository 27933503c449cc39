"""Match two lists of classes by name, whatever their order; classes called 0, 1, ... count as unnamed."""

from collections.abc import Sequence

SHOWN = 6
"""Names that a message lists, at most."""


def is_numbered(classes: Sequence[str]) -> bool:
    """Whether the classes are called 0, 1, ... in any order, and so are unnamed."""
    return {*classes} == {str(number) for number in range(len(classes))}


def numbers_among(classes: Sequence[str], known: Sequence[str]) -> tuple[int, ...] | None:
    """Map each of `classes` to its number in `known` by name; None where a name is missing there.

    Where one side is unnamed, no name is shared and both have as many classes, each class keeps its number.
    """
    if {*classes} <= {*known}:
        return tuple(known.index(name) for name in classes)
    unnamed = is_numbered(classes) or is_numbered(known)
    if unnamed and len(classes) == len(known) and {*classes}.isdisjoint(known):
        return tuple(range(len(classes)))
    return None


def matched_numbers(classes: Sequence[str], known: Sequence[str], *, what: str, of: str) -> tuple[int, ...]:
    """Do the same as `numbers_among`, but raise ValueError naming the unknown class; `what` and `of` name the lists."""
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
    """Join the first SHOWN names, and say how many more there are."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
