"""The digital corruptions of CIFAR-10-C (Hendrycks & Dietterich, 2019): contrast, elastic, pixelate and JPEG."""

from io import BytesIO

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from attacks import random
from attacks.corruptions.filters import gaussian_blur
from attacks.warp import centred, displaced


def contrast(images: Tensor, severity: int, seed: int, indices: Tensor) -> Tensor:
    """Reduce contrast: move each channel towards its mean over the image. Deterministic."""
    kept = (0.75, 0.5, 0.4, 0.3, 0.15)[severity - 1]
    mean = images.mean(dim=(2, 3), keepdim=True)
    return (images - mean) * kept + mean


def elastic_transform(images: Tensor, severity: int, seed: int, indices: Tensor) -> Tensor:
    """Warp by a random affine map of three points plus a smooth random displacement field.

    Both displacements are added and the image is resampled once; the original resamples twice, and so blurs it more.
    """
    wander, smooth, pull = ((0, 0, 0.08), (0.05, 0.2, 0.07), (0.08, 0.06, 0.06), (0.1, 0.04, 0.05), (0.1, 0.03, 0.03))[
        severity - 1
    ]
    side, (height, width) = min(images.shape[-2:]), images.shape[-2:]
    rows, columns = centred(images)
    arm = side // 3
    pulled = pull * side * (2 * random.uniform(seed, indices, (3, 2), dtype=images.dtype) - 1)
    first, corner, last = pulled[:, :, :, None, None].unbind(dim=1)
    affine = corner + (first - corner) * ((rows + arm) / (2 * arm)) + (last - corner) * ((arm - columns) / (2 * arm))
    if wander:
        field = 2 * random.uniform(seed, indices, (2, height, width), stream=1, dtype=images.dtype) - 1
        affine = affine + wander * side * gaussian_blur(field, smooth * side, reach=3)
    return displaced(images, affine[:, 0], affine[:, 1])


def pixelate(images: Tensor, severity: int, seed: int, indices: Tensor) -> Tensor:
    """Shrink by averaging pixels, and enlarge by repeating them. Deterministic."""
    share = (0.95, 0.9, 0.85, 0.75, 0.65)[severity - 1]
    height, width = images.shape[-2:]
    small = _box(_box(images, int(height * share), dim=2), int(width * share), dim=3)
    return _box(_box(small, height, dim=2), width, dim=3)


def jpeg_compression(images: Tensor, severity: int, seed: int, indices: Tensor) -> Tensor:
    """Encode each image as JPEG and decode it, on the CPU and with 8 bits. Deterministic."""
    quality = (80, 65, 58, 50, 40)[severity - 1]
    pixels = (images * 255).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
    read = np.stack([_through_jpeg(picture, quality) for picture in pixels])
    return torch.from_numpy(read).reshape(pixels.shape).permute(0, 3, 1, 2).to(images) / 255


def _through_jpeg(pixels: npt.NDArray[np.uint8], quality: int) -> npt.NDArray[np.uint8]:
    file = BytesIO()
    Image.fromarray(pixels.squeeze(2) if pixels.shape[2] == 1 else pixels).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


def _box(images: Tensor, size: int, *, dim: int) -> Tensor:
    """Resize along one dimension: each new pixel is the mean of those whose centres lie in it, or the nearest one."""
    before = images.shape[dim]
    ratio = before / size
    centres = (torch.arange(size, dtype=torch.float64, device=images.device) + 0.5) * ratio
    reach = max(ratio, 1.0) / 2
    first = (centres - reach + 0.5).floor().long().clamp(0, before)
    last = (centres + reach + 0.5).floor().long().clamp(0, before)
    sums = torch.cat([torch.zeros_like(images.narrow(dim, 0, 1)), images], dim=dim).double().cumsum(dim=dim)
    shape = [-1 if number == dim else 1 for number in range(images.ndim)]
    totals = sums.index_select(dim, last) - sums.index_select(dim, first)
    return (totals / (last - first).reshape(shape)).to(images.dtype)
