"""Writing a file so that a crash leaves the old content or the new one, never half of either."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary name beside `path` to write to; on success flush it to the disk and rename it to `path`.

    Makes the folder if need be. After an exception the old file is as it was and the temporary one is gone.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        _flush(temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_atomically(path: Path, content: str | bytes) -> Path:
    """Write a whole file, text as UTF-8, so that a reader sees the old one or the new one."""
    with replacing(path) as temporary:
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def copy_atomically(source: Path, target: Path) -> Path:
    """Hard-link a file to `target`, or copy it where the file system has no links; an old `target` is replaced.

    The two may share their content, so both must only ever be replaced, never written into.
    """
    with replacing(target) as temporary:
        try:
            os.link(source, temporary)
        except OSError:
            shutil.copyfile(source, temporary)
    return target


def _flush(path: Path) -> None:
    """Without this a power cut could leave an empty file under the new name."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())
