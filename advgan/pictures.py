"""Pixels as pictures."""

from PIL import Image
from torch import Tensor


def to_picture(pixels: Tensor) -> Image.Image:
    """One uint8 image (C, H, W) with 1 or 3 channels, grey or colour."""
    array = pixels.permute(1, 2, 0).contiguous().cpu().numpy()
    return Image.fromarray(array.squeeze(2) if array.shape[2] == 1 else array)
