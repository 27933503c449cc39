"""Spatial attack: worst-case rotations and translations, which keep images natural."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from attacks import random
from attacks.classifier import Classifier
from attacks.norms import LINF
from attacks.queue import drive
from attacks.samples import Samples
from attacks.warp import PADDINGS, Padding, warp


@dataclass(frozen=True)
class _Search:
    """One row a sample; `amounts` (N, 3) are degrees, pixels down and pixels right of the best transformation."""

    samples: Samples
    tried: Tensor
    amounts: Tensor
    value: Tensor
    done: Tensor


def spatial(
    classifier: Classifier,
    images: Tensor,
    labels: Tensor,
    *,
    max_rotation: float = 30.0,
    max_translation: float = 0.1,
    rotations: int = 31,
    translations: int = 5,
    tries: int = 0,
    padding: Padding = "zeros",
    targeted: bool = False,
    seed: int = 0,
    batch_size: int | None = None,
    compact: bool = True,
    indices: Tensor | None = None,
) -> Tensor:
    """Search rotations and translations for one that fools (Engstrom et al., 2019).

    The clean image is queried first, then a grid: `rotations` angles from -`max_rotation` to `max_rotation` degrees,
    and `translations` shifts in each axis up to `max_translation` times the side (0.1 is 3 pixels of 32), the largest
    first, because they fool most often. The defaults are the paper's, and cost 775 forward passes for a sample that is
    never fooled. The paper found first-order attacks on these three parameters weaker than this search. With `tries`
    that many random transformations of each sample are searched instead (10 are the paper's worst-of-10).

    A sample leaves with the first image that fools; one that is never fooled is returned as the image with the largest
    objective. Random transformations depend on (seed, index) alone; without them `seed` and `indices` have no effect.
    """
    _check(max_rotation, max_translation, rotations, translations, tries, padding)
    samples = Samples.of(images, labels, eps=None, norm=LINF, targeted=targeted, indices=indices)
    images = samples.images
    height, width = images.shape[-2:]
    reach = images.new_tensor([max_rotation, max_translation * height, max_translation * width])
    shares = _grid(rotations, translations).to(reach)
    last = tries or len(shares) - 1

    def begin(samples: Samples) -> _Search:
        count = torch.zeros_like(samples.rows)
        nothing = samples.images.new_zeros(len(samples), 3)
        return _Search(samples, count, nothing, torch.full_like(samples.eps, -torch.inf), count.bool())

    def amounts(samples: Samples, tried: Tensor) -> Tensor:
        """The transformation (N, 3) of number `tried` (N,); number 0 is the identity."""
        if not tries:
            return reach * shares[tried]
        drawn = 2 * random.uniform(seed, samples.indices, (3,), stream=tried, dtype=reach.dtype) - 1
        return reach * torch.where(tried[:, None] > 0, drawn, 0)

    def advance(state: _Search) -> _Search:
        samples = state.samples
        tried = amounts(samples, state.tried)
        logits = classifier.logits(_moved(samples.images, tried, padding), rows=samples.rows)
        value = torch.nan_to_num(samples.objective(logits), nan=-torch.inf)
        fooled = samples.fooled(logits) & ~state.done
        better = fooled | (~state.done & (value > state.value))
        return replace(
            state,
            tried=(state.tried + 1).clamp(max=last),
            amounts=torch.where(better[:, None], tried, state.amounts),
            value=torch.where(better, value, state.value),
            done=state.done | fooled | (state.tried == last),
        )

    result = samples.images.clone()
    with classifier.frozen():
        for found in drive(samples, begin=begin, advance=advance, batch_size=batch_size, compact=compact):
            result[found.samples.rows] = _moved(found.samples.images, found.amounts, padding)
    return result


def _moved(images: Tensor, amounts: Tensor, padding: Padding) -> Tensor:
    """Transform images; those with all amounts 0 are returned exactly."""
    degrees, down, right = amounts.unbind(dim=1)
    moved = warp(images, degrees=degrees, down=down, right=right, padding=padding).clamp(0, 1)
    return torch.where((amounts != 0).any(dim=1)[:, None, None, None], moved, images)


def _grid(rotations: int, translations: int) -> Tensor:
    """List the grid as (tries, 3) shares of the largest amounts: the identity, then from large to small."""
    angles, shifts = _evenly(rotations), _evenly(translations)
    shares = torch.cartesian_prod(angles, shifts, shifts)
    shares = shares[(shares != 0).any(dim=1)]
    order = shares.abs().sum(dim=1).argsort(descending=True, stable=True)
    return torch.cat([torch.zeros(1, 3, dtype=shares.dtype), shares[order]])


def _evenly(count: int) -> Tensor:
    """Space `count` numbers evenly from -1 to 1; a single one is 0."""
    return torch.linspace(-1, 1, count, dtype=torch.float64) if count > 1 else torch.zeros(1, dtype=torch.float64)


def _check(
    max_rotation: float, max_translation: float, rotations: int, translations: int, tries: int, padding: str
) -> None:
    if not 0 <= max_rotation <= 180:
        raise ValueError(f"max_rotation must be degrees from 0 to 180; got {max_rotation}")
    if not 0 <= max_translation < 1:
        raise ValueError(
            f"max_translation must be a share of the side, from 0 to below 1 (3 pixels of 32 are 0.1); "
            f"got {max_translation}"
        )
    if rotations < 1 or translations < 1:
        raise ValueError(
            f"rotations and translations must be 1 or more; got rotations={rotations}, translations={translations}"
        )
    if tries < 0:
        raise ValueError(f"tries must be 0 (the grid) or above; got {tries}")
    if padding not in PADDINGS:
        raise ValueError(f"unknown padding {padding!r}: choose from {', '.join(PADDINGS)}")
