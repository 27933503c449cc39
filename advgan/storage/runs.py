"""Run folders: runs/<verb>/<nnnnn>-<name>/, made once, never overwritten, with the configuration and a step log."""

import json
import os
import platform
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from advgan.config.resolve import dump_yaml
from advgan.config.section import Section
from advgan.storage.atomic import copy_atomically, write_atomically
from advgan.storage.places import FOLDER

PACKAGES = ("advgan", "torch", "torchvision", "numpy", "scipy", "scikit-learn", "foolbox", "torch-fidelity", "pillow")


@dataclass(frozen=True)
class Run:
    """A folder of one run and the places in it."""

    folder: Path

    @property
    def log_file(self) -> Path:
        """One JSON object a line; holds no time of day, so that a resumed run writes the same lines."""
        return self.folder / "log.jsonl"

    @property
    def samples(self) -> Path:
        """Pictures: sample grids, tiles of adversarial images."""
        return self.folder / "samples"

    @property
    def last(self) -> Path:
        """The newest checkpoint."""
        return self.folder / "checkpoints" / "last.safetensors"

    @property
    def previous(self) -> Path:
        """The checkpoint before the newest, for when that one is damaged."""
        return self.folder / "checkpoints" / "previous.safetensors"

    @property
    def best(self) -> Path:
        """The checkpoint with the best validation score."""
        return self.folder / "checkpoints" / "best.safetensors"

    @property
    def threads(self) -> int | None:
        """The number of threads that the run started with, on which the last bits of results depend.

        None in old runs that do not hold it, and where `env.json` is missing or damaged.
        """
        try:
            found = json.loads((self.folder / "env.json").read_text(encoding="utf-8")).get("threads")
        except (OSError, ValueError):
            return None
        return found if isinstance(found, int) and found > 0 else None

    def rotate(self) -> None:
        """Keep the newest checkpoint as `previous` too, before a new one is written.

        At every moment `last` is whole, and `previous` once there has been one.
        """
        if self.last.is_file():
            copy_atomically(self.last, self.previous)

    def log(self, row: Mapping[str, Any]) -> None:
        """Append a row to the step log."""
        with self.log_file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")

    def rewind_log(self, step: int) -> None:
        """Drop what was logged after `step`, so that a resumed run writes those rows again, once."""
        if not self.log_file.is_file():
            return
        kept = [row for row in self.rows() if row["step"] <= step]
        write_atomically(self.log_file, "".join(json.dumps(row) + "\n" for row in kept))

    def rows(self) -> list[dict[str, Any]]:
        """Every whole row of the step log; a last line cut short by a crash is left out."""
        return list(_whole_rows(self.log_file)) if self.log_file.is_file() else []


def create_run(verb: str, name: str, config: Section, *, out: Path | None = None, exist_ok: bool = False) -> Run:
    """Make the folder of a new run and write its configuration and environment into it.

    Without `out` the folder is the next free number under `runs/<verb>/`. Raises ValueError where `out` is a file or a
    folder that is not empty, unless `exist_ok`.
    """
    import torch  # which those who only read runs do without

    from advgan.machine.precision import float32_settings

    run = Run(_chosen_folder(out, exist_ok) if out else _next_folder(Path("runs") / verb, name))
    write_atomically(run.folder / "config.yaml", dump_yaml(config))
    about = {"verb": verb, **environment(), "float32": float32_settings(), "threads": torch.get_num_threads()}
    about[FOLDER] = os.path.abspath(run.folder)
    write_atomically(run.folder / "env.json", json.dumps(about, indent=2) + "\n")
    return run


def open_run(folder: Path) -> Run:
    """Open the folder of an earlier run; raise ValueError where it holds none."""
    if not (folder / "config.yaml").is_file():
        raise ValueError(f"{folder} is no run folder (it has no config.yaml); advgan ls runs lists them")
    return Run(folder)


def latest_run(verb: str) -> Run:
    """The newest run of a verb under `runs/`; raise ValueError where there is none."""
    folders = sorted(path.parent for path in (Path("runs") / verb).glob("*/config.yaml"))
    if not folders:
        raise ValueError(f"no run of `advgan {verb}` under {Path('runs').resolve()} to resume")
    return Run(folders[-1])


def environment() -> dict[str, Any]:
    """Versions, platform and command line: what is needed to run the same thing again, and no name of a person."""
    return {
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "cpus": os.cpu_count(),
        "packages": {package: _version(package) for package in PACKAGES},
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
    }


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _whole_rows(file: Path) -> Iterator[dict[str, Any]]:
    for line in file.read_text(encoding="utf-8").splitlines():
        try:
            yield json.loads(line)
        except json.JSONDecodeError:
            return


def _chosen_folder(out: Path, exist_ok: bool) -> Path:
    if out.is_file():
        raise ValueError(f"--out {out}: is a file; name a folder")
    if out.is_dir() and any(out.iterdir()) and not exist_ok:
        raise ValueError(f"--out {out}: already holds files; choose another folder or add --exist-ok")
    out.mkdir(parents=True, exist_ok=True)
    return out


def _next_folder(parent: Path, name: str) -> Path:
    """Claim the next number; `mkdir` is the lock between two runs that start at once."""
    parent.mkdir(parents=True, exist_ok=True)
    safe_name = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.")[:60] or "run"
    number = max((int(path.name[:5]) for path in parent.iterdir() if re.match(r"\d{5}-", path.name)), default=0)
    while True:
        number += 1
        if any(parent.glob(f"{number:05d}-*")):
            continue
        folder = parent / f"{number:05d}-{safe_name}"
        try:
            folder.mkdir()
        except FileExistsError:
            continue
        return folder
