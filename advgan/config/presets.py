"""The configurations that come with the project: YAML files beside the packages, in a checkout and in a wheel alike."""

import difflib
from pathlib import Path

import advgan

FOLDER = Path(advgan.__file__).resolve().parent.parent / "configs"


def preset_names(verb: str) -> list[str]:
    """Names of the presets of a verb (`train`, `fit`, `attack`), sorted."""
    return sorted(file.stem for file in (FOLDER / verb).glob("*.yaml"))


def preset_file(verb: str, name: str) -> Path:
    """The file of a preset; raise ValueError with the known names for another one."""
    file = FOLDER / verb / f"{name}.yaml"
    if name and "/" not in name and file.is_file():
        return file
    names = preset_names(verb)
    near = difflib.get_close_matches(name, names, n=1)
    hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(names) or 'none'}"
    raise ValueError(f"no {verb} preset {name!r} ({hint})")
