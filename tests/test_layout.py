"""The shape of the project: imports point one way, names mean something, the command starts without torch."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import cli

ROOT = Path(__file__).parent.parent
LAYERS = ["attacks", "advgan", "evaluation", "cli"]  # each may import only what stands before it, and itself
OURS = [ROOT / "cli.py", *(path for layer in LAYERS[:3] for path in sorted((ROOT / layer).rglob("*.py")))]
ROOMS = {
    "attacks": [
        *["", "gradient", "minimal", "black_box", "corruptions", "unbounded"],
        "table foolbox conversions",
    ],
    "advgan": [
        *["", "machine", "intake", "config", "storage", "data.reading", "data"],
        *["models", "models.layers", "models.gans", "models.programs", "models.classifiers"],
        *["learning", "gan", "classifier", "sampling"],
        "generators interpolation exported_generator",
    ],
    "evaluation": [
        *["statistics", "record", "report", "side_by_side", "features", "inputs", "extractors", "seeing"],
        *["fidelity", "neighbourhoods", "modes", "diversity", "memorisation", "latent", "game", "own"],
        *["under_attack", "under_attack.trust", "use", "watching"],
        "",
        *["jobs", "jobs.attack", "jobs.augment", "jobs.fit", "jobs.eval"],
        *["jobs.train", "jobs.sample", "jobs.export", "jobs.demo", "jobs.console", "door"],
    ],
}
"""The folders of each package from the lowest up: each may import only what stands before it, and itself.

"" is the package's own folder; names of files after it are those of its files that stand above the folders.
"""
FULL = 21
"""Files that a folder holds at most, its `__init__.py` among them."""
VERBS = sorted(cli.cli.commands)
DOORS = [ROOT / "advgan" / "__init__.py", ROOT / "advgan" / "__main__.py"]
"""What users import and start; they load the layers above when they are asked to."""
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
    if path in DOORS:
        return
    allowed = LAYERS[: LAYERS.index(layer_of(path)) + 1]
    assert imported_packages(path) & set(LAYERS) <= set(allowed)


def storey(module: str) -> int | None:
    """How high a file or folder stands in its package; None for the package itself."""
    package, *rest = module.split(".")
    rooms = ROOMS[package]
    if (ROOT / module.replace(".", "/")).is_dir():
        return rooms.index(".".join(rest)) if rest else None
    named = [height for height, room in enumerate(rooms) if len(rest) == 1 and rest[0] in room.split()]
    return named[0] if named else rooms.index(".".join(rest[:-1]))


def modules_imported(path: Path) -> Iterator[str]:
    """The modules of ours that a file imports, by their full names."""
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:
            while name and not is_module(name):
                name = name.rpartition(".")[0]
            if name:
                yield name


def is_module(name: str) -> bool:
    place = ROOT / name.replace(".", "/")
    return place.with_suffix(".py").is_file() or (place / "__init__.py").is_file()


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


INSIDE = [path for path in OURS if path.name not in ("cli.py", "__init__.py") and path not in DOORS]


@pytest.mark.parametrize("path", INSIDE, ids=lambda path: str(path.relative_to(ROOT)))
def test_folders_import_downwards(path: Path) -> None:
    mine = storey(module_of(path))
    for name in modules_imported(path):
        if name.partition(".")[0] == layer_of(path) and (theirs := storey(name)) is not None:
            assert mine is not None
            assert theirs <= mine, f"imports {name}, which stands above it"


def test_no_files_import_each_other() -> None:
    graph = {
        module_of(path): {
            name for name in modules_imported(path) if (ROOT / (name.replace(".", "/") + ".py")).is_file()
        }
        for path in INSIDE
    }
    list(TopologicalSorter(graph).static_order())


FOLDERS = sorted({path.parent for path in OURS if path.name != "cli.py"})


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: str(folder.relative_to(ROOT)))
def test_a_folder_is_one_idea(folder: Path) -> None:
    assert len(list(folder.glob("*.py"))) <= FULL
    assert (folder / "__init__.py").is_file()
    assert folder.name not in {path.stem.rpartition("_")[0] for path in folder.glob("*.py")} - {folder.name}


def test_training_does_not_know_how_it_is_scored() -> None:
    assert "evaluation" not in imported_packages(ROOT / "advgan" / "gan" / "training.py")


@pytest.mark.parametrize("path", OURS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_has_a_meaning_and_fits_in_the_head(path: Path) -> None:
    assert not any(EMPTY_WORDS.match(part) for part in path.relative_to(ROOT).with_suffix("").parts)
    if path.name != "cli.py":
        assert len(path.read_text().splitlines()) <= 300
    assert (ast.get_docstring(ast.parse(path.read_text())) or "").strip(), "a module says what it is for"


def test_tests_do_not_shadow_the_packages() -> None:
    assert not list((ROOT / "tests").rglob("__init__.py"))


@pytest.mark.parametrize("verb", ["", *VERBS])
def test_help_loads_no_torch(verb: str) -> None:
    code = (
        "import sys, cli\n"
        "try:\n"
        f"    cli.main([*{verb!r}.split(), '--help'])\n"
        "except SystemExit as end:\n"
        "    assert end.code == 0\n"
        "heavy = {'torch', 'numpy', 'pandas', 'scipy', 'matplotlib'} & set(sys.modules)\n"
        f"heavy |= set() if {verb!r} else {{'pydantic'}} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
