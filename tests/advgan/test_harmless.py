"""Text of others steers no terminal and is no formula; ordinary text and numbers stay as they are."""

import pytest

from advgan.harmless import cell, file_cell, from_cell, printable


@pytest.mark.parametrize(
    "sign", ["\x1b", "\x07", "\r", "\n", "\x7f", "\x9b", "\x85", "\u202e", "\u2066", "\u200f", "\u2028", "\udc80"]
)
def test_what_steers_a_terminal_is_escaped(sign: str) -> None:
    found = printable(f"a{sign}b")
    assert found.isprintable()
    assert found == f"a{ascii(sign)[1:-1]}b"


@pytest.mark.parametrize("text", ["größe", "日本語", "кот", "قطة", "na\u0308ive", "🐈", "a b", "∞ ↑ –"])
def test_ordinary_text_stays(text: str) -> None:
    assert printable(text) == text


def test_lines_stay_where_they_are_asked_to() -> None:
    assert printable("a\nb\x1b[2J", kept="\n") == "a\nb\\x1b[2J"


FORMULAS = ["=2+2", "+cmd|' /C calc'!A0", "-2+3", "@SUM(1)", "\t=1", "\r=1", "\n=1", " =1", "-", "'=1", "''=1"]


@pytest.mark.parametrize("text", FORMULAS)
def test_a_formula_is_text_and_comes_back(text: str) -> None:
    assert cell(text) == f"'{text}"
    assert from_cell(str(cell(text))) == text
    assert file_cell(text) == f"./{text}"


@pytest.mark.parametrize(
    "value", [-1, -0.5, float("inf"), True, None, "-1", "+0.5", "-1e-5", "-inf", "cat", "'90s", ""]
)
def test_numbers_and_words_stay(value: object) -> None:
    assert cell(value) == value
    if isinstance(value, str):
        assert from_cell(value) == file_cell(value) == value
