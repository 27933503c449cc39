"""The configurations that come with the project: YAML files beside the packages, in a checkout and in a wheel alike."""

from pathlib import Path

import advgan
from advgan.config.mistakes import alike

FOLDER = Path(advgan.__file__).resolve().parent.parent / "configs"


def preset_names(verb: str) -> list[str]:
    """Names of the presets of a verb (`train`, `fit`, `attack`): the plain ones, then those of folders (`paper/x`)."""
    folder = FOLDER / verb
    names = (file.relative_to(folder).with_suffix("").as_posix() for file in folder.rglob("*.yaml"))
    return sorted(names, key=lambda name: (name.count("/"), name))


def preset_file(verb: str, name: str) -> Path:
    """The file of a preset; raise ValueError with the known names for another one."""
    names = preset_names(verb)
    if name in names:
        return FOLDER / verb / f"{name}.yaml"
    meant = next((known for known in names if name in known), None) or alike(name, names)
    hint = f"did you mean {meant}?" if meant else f"known: {', '.join(names) or 'none'}"
    raise ValueError(f"no {verb} preset {name!r} ({hint})")
