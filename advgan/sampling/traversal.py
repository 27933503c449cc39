"""Latent traversals: vary one latent coordinate while the others stay fixed."""

import re
from typing import NamedTuple

import torch
from torch import Tensor

from advgan.models.latents import LatentSpace


class Traversal(NamedTuple):
    """Latents (N, M, dim), and the M values of the varied coordinate."""

    latents: Tensor
    values: tuple[float, ...]


def traverse(space: LatentSpace, latents: Tensor, coordinate: str, *, steps: int) -> Traversal:
    """Move one coordinate of latents (N, space.dim) from -1 to 1.

    `coordinate` is the number of an entry of the noise, counted from 0; `code0`, `code1`, ..., a continuous code; or
    `categorical`, which takes each of its values once, whatever `steps` says. Raises ValueError for one that is not
    there.
    """
    if coordinate == "categorical" and space.categorical:
        codes = torch.eye(space.categorical, dtype=latents.dtype, device=latents.device)
        moved = latents[:, None].repeat(1, space.categorical, 1)
        moved[:, :, : space.categorical] = codes
        return Traversal(moved, tuple(map(float, range(space.categorical))))
    values = torch.linspace(-1, 1, steps, dtype=latents.dtype, device=latents.device)
    moved = latents[:, None].repeat(1, steps, 1)
    moved[:, :, _column(space, coordinate)] = values
    return Traversal(moved, tuple(values.tolist()))


def coordinates(space: LatentSpace) -> str:
    """Say which coordinates there are."""
    codes = f"code0 to code{space.continuous - 1}, " if space.continuous > 1 else "code0, " * space.continuous
    return "categorical, " * (space.categorical > 0) + codes + f"0 to {space.noise_dim - 1}"


def _column(space: LatentSpace, coordinate: str) -> int:
    match = re.fullmatch(r"(code)?(\d+)", coordinate)
    if match:
        number, is_code = int(match[2]), match[1] is not None
        if number < (space.continuous if is_code else space.noise_dim):
            return number + (space.categorical if is_code else space.num_codes)
    raise ValueError(f"traverse {coordinate}: no such coordinate; this generator has {coordinates(space)}")
