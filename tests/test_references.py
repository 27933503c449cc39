"""Dotted names in texts, such as `attacks.norms`, exist: where a file moves, its name in texts must move too.

Texts are docstrings, comments and messages of the packages, and the documentation.
"""

import ast
import io
import re
import tokenize
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DOCUMENTATION = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
PACKAGES = ("attacks", "advgan", "evaluation")
NAME = re.compile(rf"(?<![\w./])(?:{'|'.join(PACKAGES)})(?:\.[A-Za-z_]\w*)+")
FILE = re.compile(r".*\.(py|md|json|pt2)")
"""Names of files look like names of modules."""
FSTRING = getattr(tokenize, "FSTRING_MIDDLE", tokenize.STRING)  # from Python 3.12 on


def python_texts(path: Path) -> Iterator[str]:
    for token in tokenize.generate_tokens(io.StringIO(path.read_text()).readline):
        if token.type in (tokenize.STRING, tokenize.COMMENT, FSTRING):
            yield token.string


def exists(name: str) -> bool:
    """Whether the name is a module, or its next part is defined in the longest module that it begins with."""
    parts = name.split(".")
    for count in range(len(parts), 0, -1):
        place = ROOT.joinpath(*parts[:count])
        for file in (place.with_suffix(".py"), place / "__init__.py"):
            if file.is_file():
                rest = parts[count:]
                return not rest or rest[0] in defined(file)
    return False


@cache
def defined(file: Path) -> set[str]:
    """Names that a module defines or imports, and strings, by which a package may load them when they are asked for."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        match node:
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name) | ast.Name(id=name, ctx=ast.Store()):
                found.add(name)
            case ast.alias(name=name, asname=other):
                found.add(other or name)
            case ast.Constant(value=str(name)):
                found.add(name)
    return found


def unknown(texts: Iterable[str]) -> list[str]:
    names = {name for text in texts for name in NAME.findall(text)}
    return sorted(name for name in names if not FILE.fullmatch(name) and not exists(name))


@pytest.mark.parametrize("package", PACKAGES)
def test_names_in_docstrings_comments_and_messages_exist(package: str) -> None:
    found = {
        str(path.relative_to(ROOT)): names
        for path in sorted((ROOT / package).rglob("*.py"))
        if (names := unknown(python_texts(path)))
    }
    assert not found


def test_names_in_the_command_exist() -> None:
    assert not unknown(python_texts(ROOT / "cli.py"))


@pytest.mark.parametrize("path", DOCUMENTATION, ids=lambda path: path.name)
def test_names_in_the_documentation_exist(path: Path) -> None:
    assert not unknown([path.read_text()])


def test_a_name_of_before_a_move_is_found() -> None:
    assert unknown(["see `attacks.corruption_weather` and `attacks.norms`"]) == ["attacks.corruption_weather"]
    assert unknown(["`attacks.norms.no_such_function`"]) == ["attacks.norms.no_such_function"]
