"""Pictures inside the page, so that the page is one file."""

from base64 import b64encode
from pathlib import Path
from typing import NamedTuple

from PIL import Image, UnidentifiedImageError

_FORMATS = ("PNG", "JPEG", "GIF", "WEBP")


class Embedded(NamedTuple):
    """A picture inside the page; `uri` is empty where the file is missing or no picture."""

    uri: str
    alt: str
    width: int
    height: int
    caption: str
    file: str


def embed(folder: Path, file: str, caption: str, alt: str) -> Embedded:
    """Read a picture into a data URI.

    Raises ValueError where the file lies outside the run folder: a report that came from elsewhere must not draw
    private files into a page that is then passed on.
    """
    path = (folder / file).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise ValueError(f"picture {file!r} lies outside the run folder {folder}; move it there and name it from there")
    try:
        with Image.open(path, formats=_FORMATS) as image:
            mime, (width, height) = Image.MIME[image.format or "PNG"], image.size
            image.load()
    except (OSError, UnidentifiedImageError, SyntaxError, ValueError, Image.DecompressionBombError):
        return Embedded("", alt, 0, 0, caption, file)
    return Embedded(data_uri(mime, path.read_bytes()), alt, width, height, caption, file)


def data_uri(mime: str, content: bytes) -> str:
    """The content as an address that holds all of it."""
    return f"data:{mime};base64,{b64encode(content).decode()}"
