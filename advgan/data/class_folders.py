"""The folder of each class: names of classes come from files of others, and must never lead out of a folder."""

import re
import unicodedata
from collections.abc import Sequence
from hashlib import sha256

LONGEST = 120
"""Bytes of a folder's name; file systems take 255, and some tools add to it."""
_UNSAFE = re.compile(r'[/\\:*?"<>|]')
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)


def class_folders(classes: Sequence[str]) -> tuple[str, ...]:
    """One folder's name for each class, all different: the class's own wherever that is safe on every system.

    Whatever could leave the folder in which it is made (separators, drives, `..`), be hidden, break a line or be too
    long is replaced; a name that is then empty becomes the number of its class, and one that another class has already
    gets that number as well.
    """
    cleaned = [_clean(name) for name in classes]
    taken = {name for name, kept in zip(classes, cleaned, strict=True) if name == kept}
    found: list[str] = []
    for number, (name, kept) in enumerate(zip(classes, cleaned, strict=True)):
        folder = kept or str(number)
        its_own = name == folder and name not in found
        while not its_own and (folder in taken or folder in found):
            folder = f"{folder}-{number}"
        found.append(folder)
    return tuple(found)


def _clean(name: str) -> str:
    text = "".join("_" if _is_unprintable(letter) else letter for letter in _UNSAFE.sub("_", name))
    text = text.lstrip(". ").rstrip(". ")
    if _RESERVED.fullmatch(text):
        text = f"_{text}"
    return text if len(text.encode()) <= LONGEST else _shortened(text)


def _is_unprintable(letter: str) -> bool:
    """Control and format characters, such as those that turn the direction of writing, and halves of characters."""
    return unicodedata.category(letter) in ("Cc", "Cf", "Cs", "Zl", "Zp")


def _shortened(text: str) -> str:
    """The beginning, and a digest of the whole, by which long names stay different."""
    digest = sha256(text.encode()).hexdigest()[:12]
    return text.encode()[: LONGEST - 13].decode(errors="ignore").rstrip(". ") + f"-{digest}"
