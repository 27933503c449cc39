"""DiffAugment: differentiable augmentation of real and generated images for the discriminator (Zhao et al., 2020).

Every draw is a function of (seed, image number, stream).
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from attacks.random import uniform

SHIFT = 1 / 8
"""Largest translation, as a share of the side."""
CUT = 1 / 2
"""Side of the square that is cut out, as a share of the side."""


def colour(images: Tensor, draws: Tensor) -> Tensor:
    """Change brightness by up to a quarter of the range, saturation 0 to 2 times and contrast 0.5 to 1.5 times.

    A grey image has no saturation.
    """
    brightness, saturation, contrast = draws[:, :3].T[:, :, None, None, None]
    images = images + (brightness - 0.5)
    grey = images.mean(dim=1, keepdim=True)
    images = grey + (images - grey) * (2 * saturation)
    centre = images.mean(dim=(1, 2, 3), keepdim=True)
    return centre + (images - centre) * (contrast + 0.5)


def translation(images: Tensor, draws: Tensor) -> Tensor:
    """Move by up to an eighth of the side in both directions; what comes in is 0, the middle of the range."""
    _, _, height, width = images.shape
    down, right = (_whole(draws[:, axis], -_steps(side), _steps(side)) for axis, side in ((0, height), (1, width)))
    rows = torch.arange(height, device=images.device) - down[:, None]
    columns = torch.arange(width, device=images.device) - right[:, None]
    inside = _inside(rows, height)[:, None, :, None] * _inside(columns, width)[:, None, None, :]
    which = torch.arange(len(images), device=images.device)[:, None, None]
    moved = images.permute(0, 2, 3, 1)[
        which, rows.clamp(0, height - 1)[:, :, None], columns.clamp(0, width - 1)[:, None]
    ]
    return moved.permute(0, 3, 1, 2) * inside


def cutout(images: Tensor, draws: Tensor) -> Tensor:
    """Set a square of half the side to 0; its centre may lie anywhere."""
    _, _, height, width = images.shape
    covered = []
    for axis, side in ((0, height), (1, width)):
        first = _whole(draws[:, axis], 0, side) - int(side * CUT) // 2
        places = torch.arange(side, device=images.device) - first[:, None]
        covered.append(_inside(places, int(side * CUT)))
    return images * (1 - covered[0][:, None, :, None] * covered[1][:, None, None, :])


def flip(images: Tensor, draws: Tensor) -> Tensor:
    """Mirror left and right in half of the cases."""
    return torch.where((draws[:, 0] < 0.5)[:, None, None, None], images.flip(3), images)


AUGMENTATIONS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "colour": colour,
    "translation": translation,
    "cutout": cutout,
    "flip": flip,
}
"""(images (N, C, H, W), draws (N, 3) in [0, 1]) to images."""


def draw_changes(names: Sequence[str], *, seed: int, numbers: Tensor, streams: Tensor) -> Tensor:
    """Draw for `augment`: (N,) numbers of images and S streams, far enough apart, to (S, N, augmentations, 4)."""
    shape = len(streams), len(numbers), len(names)
    positions = torch.arange(len(names), device=numbers.device)
    own = (streams[:, None] + positions)[:, None].expand(shape).flatten()
    return uniform(seed, numbers[:, None].expand(shape).flatten(), (4,), stream=own).view(*shape, 4)


def augment(images: Tensor, names: Sequence[str], *, draws: Tensor, share: Tensor | float = 1.0) -> Tensor:
    """Apply augmentations in turn to signed images (N, C, H, W), each to a random `share` of them."""
    for position, name in enumerate(names):
        drawn = draws[:, position]
        changed = AUGMENTATIONS[name](images, drawn[:, :3])
        everywhere = isinstance(share, float) and share >= 1
        images = changed if everywhere else torch.where((drawn[:, 3] < share)[:, None, None, None], changed, images)
    return images


def _steps(side: int) -> int:
    return int(side * SHIFT + 0.5)


def _whole(draws: Tensor, low: int, high: int) -> Tensor:
    """Whole numbers from `low` to `high`, both included, from draws in [0, 1]."""
    return (low + (draws * (high - low + 1)).long()).clamp(max=high)


def _inside(places: Tensor, side: int) -> Tensor:
    return ((places >= 0) & (places < side)).float()
