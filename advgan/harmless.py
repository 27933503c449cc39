"""Text of others made harmless: for a terminal, which obeys control characters, and for a spreadsheet, which counts."""

from typing import TypeVar

T = TypeVar("T")
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
_MARK = "'"


def printable(text: str, *, kept: str = "") -> str:
    """Escape what would steer a terminal, reorder or break a line; all that is seen in any script stays.

    Control characters, marks of direction, and bytes that are no text become `\\x1b`, `\\u202e`; those in `kept` stay.
    """
    return "".join(sign if sign.isprintable() or sign in kept else ascii(sign)[1:-1] for sign in text)


def cell(value: T) -> T | str:
    """Keep a spreadsheet from reading text as a formula, by the `'` before it with which it marks text.

    Numbers, also those in text, stay as they are.
    """
    is_formula = isinstance(value, str) and value.lstrip(f"{_MARK} ").startswith(_FORMULA) and not _is_number(value)
    return f"{_MARK}{value}" if is_formula else value


def from_cell(text: str) -> str:
    """The text that `cell` was given."""
    inner = text.removeprefix(_MARK)
    return inner if inner != text and cell(inner) == text else text


def file_cell(name: str) -> str:
    """A relative file name that no spreadsheet reads as a formula, and every reader of files as before."""
    return name if cell(name) == name else f"./{name}"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return text.isprintable()
