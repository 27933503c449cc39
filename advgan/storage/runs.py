"""Run folders: runs/<verb>/<nnnnn>-<name>/, made once, never overwritten, with the configuration and a step log."""

import os
import platform
import re
import shutil
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from importlib import metadata
from pathlib import Path
from typing import Any

from advgan.config.resolve import dump_yaml, read_yaml
from advgan.config.section import Section
from advgan.storage import step_log
from advgan.storage.atomic import copy_atomically, write_atomically
from advgan.storage.documents import read_document, write_document
from advgan.storage.foreign_code import code_digest
from advgan.storage.lock import hold, is_held
from advgan.storage.places import FOLDER

PACKAGES = ("advgan", "torch", "torchvision", "numpy", "scipy", "scikit-learn", "foolbox", "torch-fidelity", "pillow")


_DIGESTS = "config_sha256"
CODE = "code"
"""Of a run's env.json: the SHA-256 of each file of Python that its configuration names."""


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
    def config_file(self) -> Path:
        """The configuration, as YAML."""
        return self.folder / "config.yaml"

    @property
    def environment_file(self) -> Path:
        """Versions, command line, threads, and the digest of the configuration."""
        return self.folder / "env.json"

    @property
    def environment(self) -> dict[str, Any]:
        """What `env.json` holds; nothing where there is none. ValueError where it is damaged."""
        return read_document(self.environment_file) if self.environment_file.is_file() else {}

    @property
    def threads(self) -> int | None:
        """The number of threads that the run started with, on which last bits depend; None in old runs without it."""
        found = self.environment.get("threads")
        return found if isinstance(found, int) and found > 0 else None

    def write_config(self, config: Section, environment: Mapping[str, Any]) -> None:
        """Write the environment with the digest of the configuration, then that.

        The digest of an earlier configuration stays beside it: a crash between the two files leaves a run that goes on.
        """
        text = dump_yaml(config)
        digests = [*self.environment.get(_DIGESTS, [])[-1:], _digest(text)]
        write_document(self.environment_file, {**environment, _DIGESTS: digests})
        write_atomically(self.config_file, text)

    def check_config(self) -> None:
        """Raise ValueError where `config.yaml` is not what the run wrote: going on with it would mix two runs.

        Also where that cannot be known any more, since `env.json` is damaged or lost.
        """
        try:
            digests = read_document(self.environment_file).get(_DIGESTS)
        except ValueError as error:
            raise ValueError(f"{error}: put back a copy, or begin a new run with -c {self.config_file}") from None
        if digests and _digest(self.config_file.read_text(encoding="utf-8")) not in digests:
            raise ValueError(
                f"{self.config_file} is not what this run was given: put back what it was, or begin a new run with "
                f"-c {self.config_file}"
            )

    def clear_abandoned(self) -> None:
        """Clear away the temporary files that a killed process left in this run, which nobody else writes into now."""
        for temporary in self.folder.rglob(".*.tmp*"):
            with suppress(OSError):
                temporary.unlink() if temporary.is_file() else shutil.rmtree(temporary)

    def rotate(self) -> None:
        """Keep the newest checkpoint as `previous` too, before a new one is written.

        At every moment `last` is whole, and `previous` once there has been one.
        """
        if self.last.is_file():
            copy_atomically(self.last, self.previous)

    def log(self, row: Mapping[str, Any]) -> None:
        """Append a row to the step log."""
        step_log.append(self.log_file, row)

    def rewind_log(self, step: int) -> None:
        """Drop what was logged after `step`; ValueError where what was logged before is damaged or lost."""
        step_log.rewind(self.log_file, step)

    def rows(self) -> list[dict[str, Any]]:
        """Every whole row of the step log; ValueError where one is damaged."""
        return step_log.read(self.log_file)


def create_run(verb: str, name: str, config: Section, *, out: Path | None = None, exist_ok: bool = False) -> Run:
    """Make the folder of a new run and write its configuration and environment into it.

    Without `out` the folder is the next free number under `runs/<verb>/`. Raises ValueError where `out` is a file or a
    folder that is not empty, unless `exist_ok`.
    """
    import torch  # which those who only read runs do without

    from advgan.machine.precision import float32_settings

    run = Run(_chosen_folder(out, exist_ok) if out else _next_folder(Path("runs") / verb, name))
    hold(run.folder)
    about = {"verb": verb, **environment(), "float32": float32_settings(), "threads": torch.get_num_threads()}
    about[FOLDER] = os.path.abspath(run.folder)
    about[CODE] = {name: digest for name in config.texts() if (digest := code_digest(name))}
    run.write_config(config, about)
    return run


def open_run(folder: Path) -> Run:
    """Open the folder of an earlier run; raise ValueError where it holds none."""
    if not (folder / "config.yaml").is_file():
        raise ValueError(f"{folder} is no run folder (it has no config.yaml); advgan ls runs lists them")
    return Run(folder)


def read_config(folder: Path) -> dict[str, Any]:
    """What `config.yaml` of a run says; where there is an `env.json`, ValueError if it is not what the run wrote."""
    run = Run(folder)
    if run.environment_file.is_file():
        run.check_config()
    return read_yaml(run.config_file)


def latest_run(verb: str) -> Run:
    """The newest run of a verb under `runs/` that no other process writes into; ValueError where there is none."""
    folders = [path.parent for path in (Path("runs") / verb).glob("*/config.yaml") if not is_held(path.parent)]
    if not folders:
        raise ValueError(f"no run of `advgan {verb}` under {Path('runs').resolve()} to resume")
    return Run(max(folders, key=lambda folder: (_number(folder), folder.name)))


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()


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


def _chosen_folder(out: Path, exist_ok: bool) -> Path:
    if out.is_file():
        raise ValueError(f"--out {out}: is a file; name a folder")
    if out.is_dir() and any(out.iterdir()) and not exist_ok:
        raise ValueError(f"--out {out}: already holds files; choose another folder or add --exist-ok")
    out.mkdir(parents=True, exist_ok=True)
    return out


def _next_folder(parent: Path, name: str) -> Path:
    """Claim the next number: the folder is made under its bare number, which only one process can, and then renamed."""
    parent.mkdir(parents=True, exist_ok=True)
    safe_name = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.")[:60] or "run"
    number = max((_number(path) for path in parent.iterdir()), default=0)
    while True:
        number += 1
        claim = parent / f".{number:05d}"
        try:
            claim.mkdir()
        except FileExistsError:
            continue
        if any(parent.glob(f"{number:05d}-*")):  # claimed and renamed since we looked
            claim.rmdir()
            continue
        return claim.rename(parent / f"{number:05d}-{safe_name}")


def _number(folder: Path) -> int:
    """The number in the name of a run's folder; 0 where it has none."""
    found = re.match(r"(\d{5,})-", folder.name)
    return int(found[1]) if found else 0
