"""Convert pixel tensors to Pillow images."""

from PIL import Image
from torch import Tensor


def to_picture(pixels: Tensor) -> Image.Image:
    """Convert one uint8 image (C, H, W) with 1 or 3 channels to a grey or RGB Pillow image."""
    array = pixels.permute(1, 2, 0).contiguous().cpu().numpy()
    return Image.fromarray(array.squeeze(2) if array.shape[2] == 1 else array)
