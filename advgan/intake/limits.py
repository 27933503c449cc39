"""How much of other people's files is read, and why that much: a file of a few kilobytes can claim to hold terabytes.

The limits lie well above what data sets hold. Whoever needs more raises them, for one command by `--limit NAME=AMOUNT`
and for everything by the variable `ADVGAN_LIMIT`, which is all that the option sets.
"""

import math
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import NamedTuple

VARIABLE = "ADVGAN_LIMIT"


class Limit(NamedTuple):
    """A limit: the highest amount that is read without being asked to, and what it counts."""

    amount: int
    counts: str


LIMITS = {
    # Three times the photographs of good cameras; with its copies in other modes one such image takes a gigabyte.
    "pixels": Limit(100_000_000, "pixels of one image"),
    # An uncompressed image of so many pixels fits; each thread that decodes holds one such file.
    "file": Limit(400_000_000, "bytes of one image, table or document, unpacked"),
    # ImageNet's archive has 150 GB.
    "total": Limit(300_000_000_000, "bytes that one archive unpacks to"),
    # What deflate makes of zeros is 1,000 times smaller, of an array that is nearly empty some 100 times.
    "ratio": Limit(200, "times that an archive of over a gigabyte grows when it is unpacked"),
    # ImageNet has 1.4 million; a listed file takes about a kilobyte of memory.
    "members": Limit(10_000_000, "files of one folder or archive, or rows of one table"),
    # Fifty times our longest configuration.
    "yaml": Limit(250_000, "bytes of one configuration"),
    # Every value counts as often as an alias repeats it: nine lines of aliases can stand for a billion values.
    "values": Limit(20_000, "values of one configuration, those repeated by aliases included"),
    # Configurations have four levels; Python itself gives up near a thousand.
    "depth": Limit(64, "levels of one configuration or document"),
}
"""By the name that raises it."""
FREE_GROWTH = 1_000_000_000
"""Bytes that any archive may unpack to, however small it is."""
_UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


def limit(name: str) -> int:
    """The limit of that name, as it is or as it was set."""
    return _set(os.environ.get(VARIABLE, "")).get(name, LIMITS[name].amount)


def within(name: str, amount: int, *, what: object) -> None:
    """Raise ValueError where `what` goes beyond a limit, with the option that raises it."""
    if amount > limit(name):
        raise ValueError(excess(name, amount, what=what))


def excess(name: str, amount: int, *, what: object) -> str:
    """The message about `what`, of which an amount beyond a limit was met, perhaps of more; with the way out."""
    highest = limit(name)
    enough = highest * 2 ** max(1, math.ceil(math.log2(amount / highest)))
    return (
        f"{what} has more than {highest:,} {LIMITS[name].counts}: if you trust it, add --limit {name}={enough} "
        f"(or set {VARIABLE})"
    )


def growth_within(unpacked: int, stored: int, *, what: object) -> None:
    """Raise ValueError where an archive of `stored` bytes unpacks to too much, by itself or for its size."""
    within("total", unpacked, what=what)
    if unpacked > FREE_GROWTH:
        within("ratio", unpacked // max(stored, 1), what=what)


@contextmanager
def raised(assignments: Sequence[str]) -> Iterator[None]:
    """Set limits, each as NAME=AMOUNT, for the block, over those that the variable sets; ValueError for what is none.

    They are set in the environment, so that threads and processes started within the block know them.
    """
    before = os.environ.get(VARIABLE)
    joined = ",".join(filter(None, [before, *assignments]))
    _set(joined)
    if assignments:
        os.environ[VARIABLE] = joined
    try:
        yield
    finally:
        if assignments:
            os.environ.pop(VARIABLE)
            if before is not None:
                os.environ[VARIABLE] = before


@lru_cache(maxsize=16)
def _set(assignments: str) -> dict[str, int]:
    return dict(_assigned(each) for each in filter(None, map(str.strip, assignments.split(","))))


def _assigned(assignment: str) -> tuple[str, int]:
    name, _, amount = (part.strip() for part in assignment.partition("="))
    if name not in LIMITS:
        raise ValueError(f"--limit {assignment}: {name!r} is no limit; known: {', '.join(LIMITS)}")
    found = re.fullmatch(r"([1-9][0-9]{0,17})([kMGT]?)", amount)
    if not found:
        raise ValueError(
            f"--limit {assignment}: write {name}=AMOUNT, a whole number from 1 such as 500, 200k, 2M or 3G"
        )
    return name, int(found[1]) * _UNITS[found[2]]
