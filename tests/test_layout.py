"""The shape of the project: imports point one way, names mean something, the command starts without torch."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LAYERS = ["attacks", "advgan", "evaluation", "cli"]  # each may import only what stands before it, and itself
OURS = [ROOT / "cli.py", *(path for layer in LAYERS[:3] for path in sorted((ROOT / layer).rglob("*.py")))]
EMPTY_WORDS = re.compile(r"^(utils?|helpers?|common|base|misc|manager|worker|engine)$")


def layer_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imported_packages(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found.add((node.module or "").partition(".")[0])
    return found


@pytest.mark.parametrize("path", OURS, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_down(path: Path) -> None:
    allowed = LAYERS[: LAYERS.index(layer_of(path)) + 1]
    assert imported_packages(path) & set(LAYERS) <= set(allowed)


def test_training_does_not_know_how_it_is_scored() -> None:
    assert "evaluation" not in imported_packages(ROOT / "advgan" / "training.py")


@pytest.mark.parametrize("path", OURS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_has_a_meaning_and_fits_in_the_head(path: Path) -> None:
    assert not any(EMPTY_WORDS.match(part) for part in path.relative_to(ROOT).with_suffix("").parts)
    if path.name != "cli.py":
        assert len(path.read_text().splitlines()) <= 300
    assert (ast.get_docstring(ast.parse(path.read_text())) or "").strip(), "a module says what it is for"


def test_tests_do_not_shadow_the_packages() -> None:
    assert not list((ROOT / "tests").rglob("__init__.py"))


def test_help_loads_no_torch() -> None:
    code = (
        "import sys, cli\n"
        "try:\n"
        "    cli.main(['--help'])\n"
        "except SystemExit as end:\n"
        "    assert end.code == 0\n"
        "heavy = {'torch', 'numpy', 'pandas', 'pydantic'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
