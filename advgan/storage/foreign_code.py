"""Code and networks that a stored file names: not run and not fetched merely because a file says so.

A file of Python that a checkpoint or a run's configuration names is run where its SHA-256 is the one that was recorded
beside the name, or where the user names the file in this call. A network of a library that they name is taken from this
machine's caches, and fetched only where the user names it.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from advgan.config.places import is_python_source
from advgan.intake.regular import at_home
from advgan.storage.seal import file_digest

_NAMED: ContextVar[frozenset[str]] = ContextVar("named", default=frozenset())
_OFFLINE: ContextVar[bool] = ContextVar("offline", default=False)


@contextmanager
def naming(names: Iterable[str]) -> Iterator[None]:
    """In the block these files of Python and networks are named by the user, whatever else names them too."""
    token = _NAMED.set(_NAMED.get() | {_canonical(name) for name in names})
    try:
        yield
    finally:
        _NAMED.reset(token)


@contextmanager
def stored_names() -> Iterator[None]:
    """In the block the names of networks come from a stored file: they are fetched only where the user names them."""
    token = _OFFLINE.set(True)
    try:
        yield
    finally:
        _OFFLINE.reset(token)


def may_fetch(name: str) -> bool:
    """Whether a network of a library may be fetched from the network."""
    return not _OFFLINE.get() or name in _NAMED.get()


def code_digest(source: str) -> str | None:
    """SHA-256 of the file of `FILE.py:OBJECT`, to record beside the name; None of what is no such name or file."""
    file = _file(source)
    return file_digest(file) if file and file.is_file() else None


def check_code(source: str, recorded: object, *, where: Path) -> None:
    """Raise ValueError where `where` names a file of Python that is neither as recorded nor named by the user.

    One that is not there passes: whoever runs it says so.
    """
    found = code_digest(source)
    if found is None or found == recorded or _canonical(source) in _NAMED.get():
        return
    file = _file(source)
    way_out = f"read it, and add --trust {file} where it may run"
    if recorded is None:
        raise ValueError(
            f"{where} names code, {file}, without saying which: nothing vouches for the file there now, so it is not "
            f"run: {way_out}"
        )
    raise ValueError(
        f"{where} names code, {file}, and its contents do not fit what lies there now: the file has changed since, so "
        f"it is not run: put back the file of then, or {way_out}"
    )


def _file(source: str) -> Path | None:
    return at_home(source.rpartition(":")[0]) if is_python_source(source) else None


def _canonical(name: str) -> str:
    file = _file(name) or (at_home(name) if name.endswith(".py") else None)
    return os.path.realpath(file) if file else name
