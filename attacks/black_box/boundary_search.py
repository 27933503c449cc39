"""Shared by decision-based attacks: queries within a budget, an adversarial start, bisection to the boundary.

Of the logits only the argmax is used. The number of a sample's query is the stream of the random draws made for it, so
that noise depends on (seed, index, query) alone.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from attacks import random
from attacks.arrays import as_tensor
from attacks.classifier import Classifier
from attacks.norms import Norm
from attacks.objectives import fooled
from attacks.samples import Samples, check_images

ROOM = 256
"""Bound on the images of a call where few samples send several probes each; many samples send one each."""
_TRIES = 100
_BISECTIONS = 60  # never reached: about fifty exhaust the precision of float64


@dataclass(frozen=True)
class Nearest:
    """The nearest image of each sample that was found to fool, and the queries spent."""

    samples: Samples
    image: Tensor
    """(N, C, H, W); the sample's own image where nothing has fooled yet."""
    size: Tensor
    """(N,) distances from the sample's own image; infinite where nothing has fooled yet."""
    spent: Tensor
    """(N,) queries."""

    @property
    def found(self) -> Tensor:
        """Whether anything has fooled: (N,) booleans."""
        return self.size < torch.inf

    @property
    def within(self) -> Tensor:
        """Whether the search is over: a fooling image within eps, or without eps at distance 0; (N,) booleans."""
        return self.size <= torch.where(self.samples.eps < torch.inf, self.samples.eps, 0)


class Search(Protocol):
    """The state of a decision-based attack."""

    @property
    def near(self) -> Nearest: ...


@dataclass(frozen=True)
class Oracle:
    """The classifier as a decision-based attack sees it: whether images fool, for at most `queries` of each sample."""

    classifier: Classifier
    norm: Norm
    queries: int

    def __post_init__(self) -> None:
        if self.queries < 1:
            raise ValueError(f"queries must be 1 or more; got {self.queries}")

    def open(self, near: Nearest) -> Tensor:
        """Whether a sample can still improve and has queries left: (N,) booleans."""
        return ~near.within & (near.samples.eps > 0) & (near.spent < self.queries)

    def left(self, near: Nearest) -> Tensor:
        """The queries that each sample has left: (N,)."""
        return self.queries - near.spent

    def ask(self, near: Nearest, candidates: Tensor, asking: Tensor) -> tuple[Nearest, Tensor]:
        """Query one candidate (N, C, H, W) of each sample where `asking` (N,): whether it fools, False for others."""
        near, fools = self.ask_each(near, candidates[:, None], asking[:, None])
        return near, fools.squeeze(1)

    def ask_each(self, near: Nearest, candidates: Tensor, asking: Tensor) -> tuple[Nearest, Tensor]:
        """Query candidates (N, K, C, H, W) in [0, 1] where `asking` (N, K): whether they fool, (N, K) booleans.

        Candidates of samples that are not open, or beyond their budget, are not sent, cost nothing and give False. The
        nearest fooling image is updated by those that fool. Waits for the device once, to send only what is asked.
        """
        samples, several = near.samples, asking.shape[1]
        asking = asking & self.open(near)[:, None] & (asking.cumsum(dim=1) <= self.left(near)[:, None])
        sent = asking.flatten().nonzero().squeeze(1)
        fools = torch.zeros_like(asking)
        if len(sent) == 0:
            return near, fools
        owners = sent // several
        images = candidates.flatten(0, 1)[sent]
        logits = self.classifier.logits(images, rows=samples.rows[owners])
        fools.view(-1)[sent] = fooled(logits, samples.labels[owners], targeted=samples.targeted)

        # Keep the nearest of those that fool.
        sizes = torch.full_like(asking, torch.inf, dtype=near.size.dtype)
        sizes.view(-1)[sent] = self.norm.size(images - samples.images[owners])
        size, best = torch.where(fools, sizes, torch.inf).min(dim=1)
        nearer = size < near.size
        image = torch.where(
            nearer[:, None, None, None], candidates[torch.arange(len(best), device=best.device), best], near.image
        )
        spent = near.spent + asking.sum(dim=1)
        return replace(near, image=image, size=torch.where(nearer, size, near.size), spent=spent), fools

    def start(self, samples: Samples, *, starts: Tensor | None, seed: int) -> Nearest:
        """Query the clean image, then its start, then noise of growing cell size, until something fools.

        Networks often assign all fine noise to one class, and coarse noise to several. Noise takes at most half of the
        queries, and at most 100.
        """
        near = Nearest(
            samples, samples.images, torch.full_like(samples.eps, torch.inf), torch.zeros_like(samples.labels)
        )
        near, _ = self.ask(near, samples.images, torch.ones_like(samples.eps, dtype=torch.bool))
        if starts is not None:
            near, _ = self.ask(near, starts[samples.rows], ~near.found)
        for number in range(min(_TRIES, max(self.queries // 2, 1))):
            if bool((near.found | ~self.open(near)).all()):
                break
            near, _ = self.ask(near, _noise(seed, samples, near.spent, coarseness=number), ~near.found)
        return near

    def bisect(
        self, near: Nearest, along: Callable[[Tensor], Tensor], far: Tensor, tolerance: float, active: Tensor
    ) -> tuple[Nearest, Tensor]:
        """Find by bisection the smallest radius (N,) on a path that fools, within the relative `tolerance`.

        `along` maps radii (N,) to images; the image at radius `far` fools. Once an attack has come close, the boundary
        is mostly near `far`: so the first query is 5 % nearer, and the share grows fourfold with every success.
        """
        low, high, drop = torch.zeros_like(far), far, torch.full_like(far, 0.05)
        for _ in range(_BISECTIONS):
            asking = active & self.open(near) & (high - low > tolerance * high)
            if not bool(asking.any()):
                break
            middle = torch.maximum((low + high) / 2, high * (1 - drop))
            near, fools = self.ask(near, along(middle), asking)
            high = torch.where(fools, middle, high)
            low = torch.where(asking & ~fools, middle, low)
            drop = torch.where(fools, 4 * drop, drop)
        return near, high

    def climb(
        self, near: Nearest, place: Callable[[Tensor], tuple[Tensor, Tensor]], wanted: Tensor, *, seed: int
    ) -> tuple[Nearest, Tensor]:
        """Estimate the normal of the boundary, pointing to where it fools, from `wanted` (N,) probes of each sample.

        `place` turns random unit vectors (N, K, C, H, W) into candidates and the vectors after clipping. The estimate
        is their sum weighted by sign minus mean sign, +1 for a probe that fools and -1 for one that does not (Chen et
        al., 2020, with the mean as baseline). It is computed for each sample alone and added up probe by probe, so that
        neither the batch nor the number of probes in a call changes it.
        """
        samples, first = near.samples, near.spent
        total = torch.zeros_like(samples.images)
        drift, balance = torch.zeros_like(total), torch.zeros_like(samples.eps)
        several = max(1, ROOM // len(samples))
        most = int(wanted.max())
        for begun in range(0, most, several):
            numbers = torch.arange(begun, min(begun + several, most), device=wanted.device)
            candidates, vectors = place(self._vectors(seed, samples, first[:, None] + numbers))
            asking = numbers < wanted[:, None]
            near, fools = self.ask_each(near, candidates, asking)
            for vector, sign, asked in zip(
                vectors.unbind(1), (2 * fools.to(total) - 1).unbind(1), asking.unbind(1), strict=True
            ):
                vector = vector * asked[:, None, None, None]
                total = total + vector * sign[:, None, None, None]
                drift, balance = drift + vector, balance + sign * asked
        mean = balance / wanted.clamp(min=1)
        return near, torch.where(
            (mean.abs() < 1)[:, None, None, None], total - mean[:, None, None, None] * drift, total
        )

    def _vectors(self, seed: int, samples: Samples, streams: Tensor) -> Tensor:
        """Draw unit vectors in l2, (N, K, C, H, W) for streams (N, K): normalised normal (linf: uniform) noise."""
        shape, dtype = samples.images.shape[1:], samples.images.dtype
        indices = samples.indices[:, None].expand_as(streams).flatten()
        if self.norm.name == "linf":
            vectors = 2 * random.uniform(seed, indices, shape, stream=streams.flatten(), dtype=dtype) - 1
        else:
            vectors = random.normal(seed, indices, shape, stream=streams.flatten(), dtype=dtype)
        return F.normalize(vectors.flatten(1), dim=1).reshape(*streams.shape, *shape)


def checked_starts(starts: Tensor | None, images: Tensor) -> Tensor | None:
    """Check that starts are one image in [0, 1] for each sample, and move them to the images' device and dtype."""
    if starts is None:
        return None
    starts = as_tensor(starts, "starts")
    if starts.shape != images.shape:
        raise ValueError(f"starts must be one image a sample, {tuple(images.shape)}; got {tuple(starts.shape)}")
    check_images(starts)
    return starts.detach().to(images)


def nearest(samples: Samples, norm: Norm, states: Iterable[Search]) -> Tensor:
    """Collect the results: the nearest fooling image, projected onto the eps-ball where it lies outside.

    Within eps it is exactly the image that was queried; where nothing fooled it is the clean image.
    """
    result = samples.images.clone()
    for near in (state.near for state in states):
        inside = near.size <= near.samples.eps
        projected = norm.project(near.image, near.samples.images, near.samples.eps)
        result[near.samples.rows] = torch.where(
            (inside | ~near.found)[:, None, None, None], near.image, projected.nan_to_num()
        )
    return result


def _noise(seed: int, samples: Samples, streams: Tensor, *, coarseness: int) -> Tensor:
    """Uniform noise whose cells are 1, 2, 4, ... pixels wide until one covers the image, and then 1 again."""
    channels, height, width = samples.images.shape[1:]
    cell = 2 ** (coarseness % ((max(height, width) - 1).bit_length() + 1))
    shape = (channels, -(-height // cell), -(-width // cell))
    values = random.uniform(seed, samples.indices, shape, stream=streams, dtype=samples.images.dtype)
    return values.repeat_interleave(cell, 2).repeat_interleave(cell, 3)[:, :, :height, :width]
