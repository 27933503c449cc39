import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from advgan.data.reading.pixels import fit_array, is_image, read_pixels

RAMP = np.arange(64, dtype=np.uint8).reshape(8, 8) * 4


def encoded(image: Image.Image, kind: str, **options: object) -> io.BytesIO:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    stream.seek(0)
    return stream


def decode(stream: io.BytesIO, size: int | None = None, channels: int | None = None) -> np.ndarray:
    return read_pixels(stream, size=size, channels=channels)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "GIF", "PPM", "TIFF"])
def test_grey_images_keep_their_pixels_and_their_single_channel(kind: str) -> None:
    assert np.array_equal(decode(encoded(Image.fromarray(RAMP), kind)), RAMP[None])


@pytest.mark.parametrize("kind", ["PNG", "BMP", "PPM", "TIFF", "WEBP"])
def test_colour_images_keep_their_pixels(kind: str) -> None:
    pixels = np.stack([RAMP, RAMP[::-1], RAMP.T], axis=2)
    options = {"lossless": True} if kind == "WEBP" else {}
    assert np.array_equal(decode(encoded(Image.fromarray(pixels), kind, **options)), pixels.transpose(2, 0, 1))


def test_jpeg_is_read() -> None:
    assert np.abs(decode(encoded(Image.fromarray(RAMP), "JPEG", quality=100)).astype(int) - RAMP).max() <= 2


def test_two_level_images_become_black_and_white() -> None:
    assert set(decode(encoded(Image.fromarray(RAMP).convert("1"), "PNG")).ravel()) == {0, 255}


def test_a_palette_becomes_its_colours() -> None:
    image = Image.new("P", (4, 4), 1)
    image.putpalette([0, 0, 0, 10, 20, 30])
    assert decode(encoded(image, "PNG"))[:, 0, 0].tolist() == [10, 20, 30]


def test_transparent_pixels_are_laid_on_white() -> None:
    image = Image.new("RGBA", (2, 2), (200, 100, 0, 255))
    image.putpixel((0, 0), (1, 2, 3, 0))
    image.putpixel((1, 0), (0, 0, 0, 128))
    pixels = decode(encoded(image, "PNG"))
    assert pixels[:, 0, 0].tolist() == [255, 255, 255]
    assert pixels[:, 0, 1].tolist() == [127, 127, 127]
    assert pixels[:, 1, 1].tolist() == [200, 100, 0]


def test_transparency_of_grey_images_and_palettes_is_laid_on_white_too() -> None:
    grey = Image.new("LA", (8, 8), (9, 0))
    assert decode(encoded(grey, "PNG")).tolist() == np.full((1, 8, 8), 255).tolist()
    palette = Image.new("P", (4, 4), 1)
    palette.putpalette([0, 0, 0, 10, 20, 30])
    assert decode(encoded(palette, "PNG", transparency=1)).min() == 255


def test_images_are_turned_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    turned = decode(encoded(Image.fromarray(RAMP), "PNG", exif=exif))
    assert np.array_equal(turned, RAMP[None, ::-1, ::-1])


def test_the_first_picture_of_a_telephone_is_the_image() -> None:
    photo = Image.fromarray(np.stack([RAMP] * 3, axis=2))
    stream = encoded(photo, "MPO", save_all=True, append_images=[Image.new("RGB", (8, 8), "red")], quality=100)
    with Image.open(io.BytesIO(stream.getvalue())) as opened:
        assert opened.format == "MPO"
    assert np.abs(decode(stream).mean(0) - RAMP).max() <= 4


def test_sixteen_bit_colour_is_refused_although_pillow_would_cut_it_down() -> None:
    header = b"P6 2 2 65535\n"
    with Image.open(io.BytesIO(header + bytes(24))) as opened:
        assert opened.mode == "RGB"
    with pytest.raises(ValueError, match="more than 8 bits a channel"):
        decode(io.BytesIO(header + bytes(24)))


def test_a_huge_image_is_refused_before_it_fills_the_memory() -> None:
    with pytest.raises(ValueError, match="more than 100,000,000 pixels of one image: if you trust it, add --limit"):
        decode(io.BytesIO(b"P5 100000 100000 255\n"))


def test_formats_that_start_other_programs_are_not_opened() -> None:
    with pytest.raises(ValueError, match="is no image"):
        decode(io.BytesIO(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n"))


def test_channels_are_converted_both_ways() -> None:
    grey = encoded(Image.fromarray(RAMP), "PNG")
    assert np.array_equal(decode(grey, channels=3), np.stack([RAMP] * 3))
    colour = encoded(Image.new("RGB", (2, 2), (255, 0, 0)), "PNG")
    assert decode(colour, channels=1).tolist() == [[[76, 76], [76, 76]]]  # 0.299 of red (ITU-R 601)


def test_resizing_takes_the_middle_square() -> None:
    wide = np.zeros((8, 24), np.uint8)
    wide[:, 8:16] = 200
    assert (decode(encoded(Image.fromarray(wide), "PNG"), size=8) == 200).all()
    assert (decode(encoded(Image.fromarray(wide.T.copy()), "PNG"), size=4) == 200).all()


def test_shrinking_averages_instead_of_dropping_pixels() -> None:
    chequered = (np.indices((64, 64)).sum(0) % 2 * 255).astype(np.uint8)
    assert np.abs(decode(encoded(Image.fromarray(chequered), "PNG"), size=8).astype(float) - 127.5).max() <= 1


@pytest.mark.parametrize("channels", [1, 3])
def test_arrays_are_fitted_as_files_are(channels: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (2, 3, 12, 10), dtype=np.uint8)
    fitted = fit_array(pixels, size=6, channels=channels)
    for image, result in zip(pixels, fitted, strict=True):
        picture = Image.fromarray(np.ascontiguousarray(image.transpose(1, 2, 0)))
        assert np.array_equal(result, decode(encoded(picture, "PNG"), size=6, channels=channels))


def test_an_array_that_fits_is_not_copied() -> None:
    pixels = np.zeros((2, 1, 8, 8), np.uint8)
    assert fit_array(pixels, size=8, channels=None) is pixels


def test_images_are_known_by_their_suffix() -> None:
    assert is_image("a/B.JPG")
    assert not is_image("a.jpg/metadata.csv")


def test_paths_are_read_as_well_as_streams(tmp_path: Path) -> None:
    Image.fromarray(RAMP).save(tmp_path / "x.png")
    assert np.array_equal(read_pixels(tmp_path / "x.png", size=None, channels=None), RAMP[None])
