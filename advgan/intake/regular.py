"""Only files of a disk are read: a pipe or a device may never end, and never begin."""

import os
import stat
from functools import lru_cache
from pathlib import Path

from advgan.intake.limits import within

_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)
_OF_THE_KERNEL = ("/proc/", "/sys/")
"""Files that are made as they are read: their sizes are not true, and some never end."""


def regular(path: Path) -> Path:
    """Return the path of a file, through links; ValueError, as the end of a sentence about it, where it is none.

    An OSError of the system stays one.
    """
    mode = path.stat().st_mode
    kind = next((name for test, name in _KINDS if test(mode)), "")
    if kind or _real(path).startswith(_OF_THE_KERNEL):
        raise ValueError(f"is {kind or 'a file of the kernel'}, and only files of a disk are read")
    return path


def _real(path: Path) -> str:
    return os.path.realpath(path) if path.is_symlink() else f"{_real_folder(path.absolute().parent)}/"


@lru_cache(maxsize=1024)
def _real_folder(folder: Path) -> str:
    """Looked up once for all files of a folder."""
    return os.path.realpath(folder)


def check_regular(path: Path, *, what: object = "") -> None:
    """Raise ValueError, naming `what` or the path, where something is there that is no file of a disk."""
    try:
        regular(path)
    except ValueError as error:
        raise ValueError(f"{what or path} {error}") from None
    except OSError:
        return  # whoever opens it says why


def read_bytes(path: Path, *, limited_by: str = "file") -> bytes:
    """Read a whole file of a disk within a limit; ValueError naming the path, or the OSError of the system."""
    check_regular(path)
    with path.open("rb") as file:
        within(limited_by, os.fstat(file.fileno()).st_size, what=path)
        return file.read()


def at_home(path: str | Path) -> Path:
    """Expand `~` and `~name`; where nobody has that name the path stays as it is, and is then not there."""
    return Path(os.path.expanduser(path))


def state(status: os.stat_result) -> list[int]:
    """What tells that a file has changed: its bytes, its times and its place on the disk.

    The time of its content can be set by whoever changes it, the time of its entry cannot.
    """
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]
