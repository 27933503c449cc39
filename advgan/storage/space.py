"""Room on a disk: asked for before work whose result is to be written, and named where it runs out."""

import errno
import os
import shutil
import tempfile
from pathlib import Path

FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""What the system says where a disk, a quota or the size of a file is exhausted."""
_NEEDED = ", it needs "
_PROBE = bytes(1 << 16)


def check_space(folder: Path, *, needed: int = 0, way: str = "") -> None:
    """Raise OSError, naming the folder, unless files can be written into it and `needed` bytes more are free.

    The folder may still be missing: then that above it is asked which will hold it. A small file without a name is
    written, since permissions, quotas and read-only disks show themselves in no other way; one with a name would meet
    another process of the job that clears the folder. `way` says what to do.
    """
    standing = _standing(folder)
    try:
        with tempfile.TemporaryFile(dir=standing) as probe:
            probe.write(_PROBE)
            probe.flush()
            os.fsync(probe.fileno())
        free = shutil.disk_usage(standing).free
    except OSError as error:
        raise OSError(error.errno, f"{error.strerror}{way and f': {way}'}", str(folder)) from None
    if free < needed:
        text = f"{os.strerror(errno.ENOSPC)}: {megabytes(needed)} are needed, {megabytes(free)} are free"
        raise OSError(errno.ENOSPC, f"{text}{way and f': {way}'}", str(folder))


def told(error: OSError, path: Path, *, size: int) -> OSError:
    """The error of writing a file or folder with its name and, where the disk is full, with its size in bytes."""
    text = error.strerror or str(error)  # some libraries have no number of an error, and words of their own
    if error.errno in FULL and _NEEDED not in text:
        text = f"{text}{_NEEDED}{megabytes(size)} or more"
    return OSError(error.errno or errno.EIO, text, str(path))


def disk_trouble(error: BaseException | None) -> OSError | None:
    """The error of a full or read-only disk in a chain of exceptions, which libraries put into words of their own."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in FULL | {errno.EROFS}:
            return error
        error = error.__cause__ or error.__context__
    return None


def megabytes(size: int) -> str:
    """A number of bytes for people: `0.2 MB`, `469 MB`."""
    return f"{size / 1e6:,.0f} MB" if size >= 1e7 else f"{max(size, 1e5) / 1e6:.1f} MB"


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files of a folder; 0 where there is none."""
    files = [path] if path.is_file() else [each for each in path.rglob("*") if each.is_file()]
    return sum(file.stat().st_size for file in files)


def _standing(folder: Path) -> Path:
    """The folder itself, or the nearest above it that there is."""
    folder = folder.absolute()
    return next((each for each in (folder, *folder.parents) if os.path.lexists(each)), folder)
