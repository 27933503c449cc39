"""How images become the 299 pixels that Inception-v3 takes: four rules, each its source's pixel for pixel.

FIDs of the same images differ by their resize alone (Parmar et al., 2022), so a rule is a part of a protocol's name.
All take uint8 colour images (N, 3, H, W) and give float32 (N, 3, 299, 299) on the same device.
"""

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from advgan.ranges import to_bytes

SIDE = 299


def colour_bytes(images: Tensor) -> Tensor:
    """Make images in [0, 1] of 1 or 3 channels uint8 with 3: ValueError for any other number."""
    if images.shape[1] not in (1, 3):
        raise ValueError(f"this network looks at grey or colour images, not at {images.shape[1]} channels")
    return to_bytes(images).expand(-1, 3, -1, -1)


def tensorflow_bilinear(images: Tensor) -> Tensor:
    """Levels by TensorFlow 1's rule: output pixel j reads at j W / 299, without a half-pixel shift or antialiasing.

    torch-fidelity's. An image of 32 pixels ends up 4.2 of the 299 pixels away from where the other rules put it.
    """
    from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x

    resized: Tensor = interpolate_bilinear_2d_like_tensorflow1x(images.float(), size=(SIDE, SIDE), align_corners=False)
    return resized


def grid_bilinear(images: Tensor) -> Tensor:
    """Levels by the same rule, interpolated on a sampling grid: inside the detector of StyleGAN 2 and 3.

    Equal to `tensorflow_bilinear` but for rounding: the grid's coordinates are float32 in [-1, 1], which was measured
    to move a level by 0.0007 for images of 32 pixels and by 0.014 for 512.
    """
    shift = torch.eye(2, 3, device=images.device)
    for axis, length in enumerate((images.shape[3], images.shape[2])):
        shift[axis, 2] = shift[axis, axis] / length - shift[axis, axis] / SIDE  # in float32, as there
    grid = F.affine_grid(
        shift.expand(len(images), -1, -1), [len(images), images.shape[1], SIDE, SIDE], align_corners=False
    )
    return F.grid_sample(images.float(), grid, mode="bilinear", padding_mode="border", align_corners=False)


def torch_bilinear(images: Tensor) -> Tensor:
    """Values in [0, 1] by torch's rule: half-pixel centres, no antialiasing. pytorch-fid's, which divides first."""
    return F.interpolate(images.float() / 255, size=(SIDE, SIDE), mode="bilinear", align_corners=False)


def pillow_bicubic(images: Tensor) -> Tensor:
    """Levels by Pillow's antialiased bicubic rule, each channel in float, clipped to [0, 255]: clean-fid's `clean`.

    Runs on the CPU, an image at a time: the only one of the four that does.
    """
    channels = images.flatten(0, 1).cpu().numpy().astype(np.float32)
    resized = [
        np.asarray(Image.fromarray(channel).resize((SIDE, SIDE), Image.Resampling.BICUBIC)) for channel in channels
    ]
    levels = torch.from_numpy(np.stack(resized).clip(0, 255))
    return levels.unflatten(0, tuple(images.shape[:2])).to(images.device)
