"""Decode one image file to uint8 pixels; the only place that knows image formats."""

from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt
from PIL import (
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageOps,
    JpegImagePlugin,
    PngImagePlugin,
    PpmImagePlugin,
    TiffImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,
)

from advgan.error_text import one_line
from advgan.intake.limits import excess, limit, within
from advgan.intake.regular import regular

Pixels = npt.NDArray[np.uint8]

SUFFIXES = (".png", ".jpg", ".jpeg", ".jfif", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm")
# Importing a plugin registers its format, which Pillow would else do later, in whichever thread comes first.
# None of them starts another program, as EPS does.
_PLUGINS = (
    PngImagePlugin.PngImageFile,
    JpegImagePlugin.JpegImageFile,
    BmpImagePlugin.BmpImageFile,
    GifImagePlugin.GifImageFile,
    WebPImagePlugin.WebPImageFile,
    TiffImagePlugin.TiffImageFile,
    PpmImagePlugin.PpmImageFile,
)
_FORMATS = tuple(str(plugin.format) for plugin in _PLUGINS)
_GREY = ("1", "L", "LA", "La")
_DEEP = ("I", "F", "I;16", "I;16B", "I;16L", "I;16N")
_ORIENTATION = 0x0112  # the EXIF tag


def is_image(name: str) -> bool:
    """Tell by the suffix whether a file is an image."""
    return name.lower().endswith(SUFFIXES)


def read_pixels(file: Path | IO[bytes], *, size: int | None, channels: int | None) -> Pixels:
    """Decode an image file to uint8 (C,H,W), turned upright as its EXIF tag says.

    With `size` the middle square is resized to that side. With `channels` 1 the image becomes grey, with 3 it becomes
    RGB; otherwise it stays grey or colour as it is stored. Transparent pixels are laid on white.
    Raises ValueError with the reason where the image is unreadable, truncated, animated, too large, or has 16 bits a
    channel.
    """
    try:
        with _opened(file) as image:
            _check_kind(image)
            image.load()
            upright = _upright(image)
            return _to_array(fit(_flatten(upright), size=size, channels=channels))
    except _UnfitError:
        raise
    except Exception as error:  # a damaged file can make a decoder raise nearly anything
        raise ValueError(_reason(file, error)) from None


def fit(image: Image.Image, *, size: int | None, channels: int | None) -> Image.Image:
    """Bring an L or RGB image to the wanted channels and side: the middle square, bicubic with antialiasing."""
    if channels is not None:
        image = image.convert("L" if channels == 1 else "RGB")
    if size is None or image.size == (size, size):
        return image
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    middle = image.crop((left, top, left + side, top + side))  # first, or the filter would mix in what lies outside
    return middle.resize((size, size), Image.Resampling.BICUBIC)


def fit_array(images: Pixels, *, size: int | None, channels: int | None) -> Pixels:
    """Do the same as `fit` to uint8 images (N,C,H,W)."""
    count, stored, height, width = images.shape
    wanted = channels or stored
    if wanted == stored and (size is None or size == height == width):
        return images
    fitted = np.empty((count, wanted, size or height, size or width), np.uint8)
    for index, image in enumerate(images):
        picture = Image.fromarray(np.ascontiguousarray(image[0] if stored == 1 else image.transpose(1, 2, 0)))
        fitted[index] = _to_array(fit(picture, size=size, channels=channels))
    return fitted


class _UnfitError(ValueError):
    """The image could be decoded, but would lose content, or take more room than it may."""


def _opened(file: Path | IO[bytes]) -> Image.Image:
    """Open an image of at most so many pixels, whatever Pillow's own limit is."""
    if isinstance(file, Path):
        within("file", regular(file).stat().st_size, what="it")
    highest = limit("pixels")
    if Image.MAX_IMAGE_PIXELS is not None and highest > Image.MAX_IMAGE_PIXELS:
        Image.MAX_IMAGE_PIXELS = highest  # else Pillow refuses what is allowed here
    try:
        image = Image.open(file, formats=_FORMATS)
    except Image.DecompressionBombError:  # beyond twice its limit it does not say how far
        raise _UnfitError(excess("pixels", 2 * highest, what="it")) from None
    if image.width * image.height > highest:
        image.close()
        raise _UnfitError(excess("pixels", image.width * image.height, what="it"))
    return image


def _check_kind(image: Image.Image) -> None:
    # An MPO is the JPEG of a telephone or camera with a preview or a depth map behind it: the first picture is the one.
    if getattr(image, "is_animated", False) and image.format != "MPO":
        kind = "pages" if image.format == "TIFF" else "frames"
        raise _UnfitError(f"has {getattr(image, 'n_frames', 'several')} {kind}; one image a file is needed")
    if image.mode in _DEEP or _has_deep_channels(image):
        raise _UnfitError("has more than 8 bits a channel; convert it to 8 bits")


def _has_deep_channels(image: Image.Image) -> bool:
    """Find 16-bit colour, which Pillow would quietly cut down to its upper 8 bits."""
    for tile in getattr(image, "tile", []):
        parts = tile[3] if isinstance(tile[3], tuple) else (tile[3],)
        if any(isinstance(part, str) and ";16" in part for part in parts):
            return True
        if image.format == "PPM" and any(isinstance(part, int) and part > 255 for part in parts):
            return True
    return False


def _upright(image: Image.Image) -> Image.Image:
    try:
        turned = image.getexif().get(_ORIENTATION, 1) != 1
    except Exception:  # broken notes about an image do not make the image unreadable
        return image
    return ImageOps.exif_transpose(image) if turned else image


def _flatten(image: Image.Image) -> Image.Image:
    """Turn any mode into L or RGB, with transparent pixels on white."""
    mode = "L" if image.mode in _GREY or _has_grey_palette(image) else "RGB"
    if image.mode == mode and "transparency" not in image.info:
        return image
    if image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert(mode)


def _has_grey_palette(image: Image.Image) -> bool:
    palette = image.getpalette("RGB") if image.mode in ("P", "PA") else None
    return palette is not None and palette[0::3] == palette[1::3] == palette[2::3]


def _to_array(image: Image.Image) -> Pixels:
    pixels = np.asarray(image)
    return pixels[None] if pixels.ndim == 2 else np.ascontiguousarray(pixels.transpose(2, 0, 1))


def _reason(file: Path | IO[bytes], error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "is empty" if _is_empty(file) else "is no image, whatever its name says"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return one_line(error, longest=None)


def _is_empty(file: Path | IO[bytes]) -> bool:
    return file.stat().st_size == 0 if isinstance(file, Path) else file.seek(0, 2) == 0
