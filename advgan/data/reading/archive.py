"""Image files in a `.zip` or `.tar` archive, read without unpacking: no name in an archive becomes a path on disk."""

import gzip
import io
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import IO

from advgan.data.reading.files import Files, hidden, is_table
from advgan.data.reading.pixels import is_image
from advgan.harmless import printable
from advgan.intake.limits import growth_within, within

SUFFIXES = (".zip", ".tar.gz", ".tgz", ".tar")


def is_archive(path: Path) -> bool:
    """Tell by the suffix whether a file is an archive that can be read."""
    return path.name.lower().endswith(SUFFIXES)


def base_name(path: Path) -> str:
    """The name of an archive without its suffix: `mnist` for `mnist.tar.gz`."""
    return next((path.name[: -len(end)] for end in SUFFIXES if path.name.lower().endswith(end)), path.name)


@contextmanager
def open_archive(path: Path, *, scratch: Path) -> Iterator[Files]:
    """List an archive and keep it open for the block. A compressed tar is first expanded to one file in `scratch`.

    Raises ValueError where the archive is damaged, encrypted, or holds names that point outside of it.
    """
    reading = _open_zip(path) if path.name.lower().endswith(".zip") else _open_tar(path, scratch)
    with reading as files:
        yield files


@contextmanager
def _open_zip(path: Path) -> Iterator[Files]:
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError, EOFError, NotImplementedError) as error:
        raise ValueError(_damaged(path, error)) from None
    with archive:
        members = archive.infolist()
        within("members", len(members), what=path)
        growth_within(sum(member.file_size for member in members), path.stat().st_size, what=path)
        if any(member.flag_bits & 1 for member in members):
            raise ValueError(f"{path} is encrypted; unpack it and give the folder")

        def open_member(name: str) -> IO[bytes]:
            within("file", archive.getinfo(name).file_size, what="it")
            try:
                return io.BytesIO(archive.read(name))
            except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError) as error:
                raise ValueError(f"is damaged in the archive: {error}") from None

        names = ((member.filename, member.is_dir()) for member in members)
        yield _files(path, names, open_member)


@contextmanager
def _open_tar(path: Path, scratch: Path) -> Iterator[Files]:
    plain = path if path.name.lower().endswith(".tar") else _expand(path, scratch / "expanded.tar")
    lock = Lock()
    with plain.open("rb") as stream:
        try:
            archive = tarfile.open(fileobj=stream, mode="r:")  # noqa: SIM115 (closing the stream is all there is to do)
            members = _members(archive, path)
            _check_end(archive, stream)
        except (tarfile.TarError, OSError, EOFError) as error:
            raise ValueError(_damaged(path, error)) from None

        def open_member(name: str) -> IO[bytes]:
            within("file", members[name].size, what="it")
            try:
                with lock:
                    file = archive.extractfile(members[name])
                    assert file is not None
                    return io.BytesIO(file.read())
            except (tarfile.TarError, OSError, EOFError) as error:
                raise ValueError(f"is damaged in the archive: {error}") from None

        names = ((member.name, member.isdir()) for member in members.values())
        yield _files(path, names, open_member)
    if plain != path:
        plain.unlink()


def _members(archive: tarfile.TarFile, path: Path) -> dict[str, tarfile.TarInfo]:
    """The files and folders of a tar by name; of a sparse file the size is not what is stored."""
    found, unpacked, stored = dict[str, tarfile.TarInfo](), 0, path.stat().st_size
    for number, member in enumerate(archive, start=1):
        if member.size < 0:
            raise tarfile.ReadError(f"a member of negative size at byte {member.offset}")
        unpacked += member.size
        within("members", number, what=path)
        growth_within(unpacked, stored, what=path)
        if member.isfile() or member.isdir():
            found[member.name] = member
    return found


def _check_end(archive: tarfile.TarFile, stream: IO[bytes]) -> None:
    """Refuse a tar without its end mark: tarfile itself takes a damaged header, or a lost tail, for the end."""
    stream.seek(archive.offset)
    if stream.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
        raise tarfile.ReadError(f"no valid member and no end mark at byte {archive.offset}")


def _expand(path: Path, target: Path) -> Path:
    try:
        with gzip.open(path) as source, target.open("wb") as file:
            stored = path.stat().st_size
            while piece := source.read(1 << 20):
                file.write(piece)
                growth_within(file.tell(), stored, what=path)
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise ValueError(_damaged(path, error)) from None
    return target


def _files(path: Path, names: Iterable[tuple[str, bool]], open_member: Callable[[str], IO[bytes]]) -> Files:
    stored, folders = dict[str, str](), set[str]()
    for name, is_folder in names:
        clean = name.removeprefix("./").rstrip("/")
        parts = clean.replace("\\", "/").split("/")
        if clean.startswith("/") or ".." in parts or parts[0].endswith(":"):
            raise ValueError(f"{path} holds the name {printable(name)!r}, which points outside of the archive; refused")
        if clean in ("", ".") or hidden(clean):
            continue
        if is_folder:
            folders.add(clean)
        elif is_image(clean) or is_table(clean):
            stored[clean] = name
    images, tables = (sorted(filter(kind, stored)) for kind in (is_image, is_table))
    return Files(str(path), images, sorted(folders), lambda name: open_member(stored[name]), tables)


def _damaged(path: Path, error: Exception) -> str:
    if path.stat().st_size == 0:
        return f"{path} is empty"
    return f"{path} is damaged or no archive of its kind ({' '.join(str(error).split())})"
