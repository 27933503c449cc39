"""Boundary attack: a random walk along the decision boundary towards the clean image, from decisions alone."""

from dataclasses import dataclass

import torch
from torch import Tensor

from attacks import random
from attacks.black_box.boundary_search import Nearest, Oracle, checked_starts, nearest
from attacks.classifier import Classifier
from attacks.norms import L2, Budget, Norm, named_norm, per_sample
from attacks.queue import drive
from attacks.samples import Samples

_GAUGE = 10  # every so many steps the sideways move alone is queried, to adapt its length
_CONVERGED = 1e-6


@dataclass(frozen=True)
class _Walk:
    near: Nearest
    step: Tensor
    """(N,) from 0."""
    sideways: Tensor
    """(N,) length of the orthogonal move on the sphere, as a share of the distance (the paper's delta)."""
    inwards: Tensor
    """(N,) length of the move towards the clean image, as a share of the distance (the paper's epsilon)."""
    done: Tensor

    @property
    def samples(self) -> Samples:
        return self.near.samples


def boundary(
    classifier: Classifier,
    images: Tensor,
    labels: Tensor,
    *,
    eps: Budget | None = None,
    norm: Norm | str = L2,
    queries: int = 5000,
    starts: Tensor | None = None,
    targeted: bool = False,
    seed: int = 0,
    batch_size: int | None = None,
    compact: bool = True,
    indices: Tensor | None = None,
) -> Tensor:
    """Propose a random move at the same distance, then one nearer, and keep what fools (Brendel et al., 2018); l2.

    The lengths of both moves adapt to each sample, so that half of the sideways and a quarter of the inward proposals
    fool. A sample leaves when an image within `eps` fools, when it has spent `queries` forward passes, the one on the
    clean image included, or when its inward moves have converged. Options and result otherwise as in `hopskipjump`,
    which needs fewer queries.
    """
    norm = named_norm(norm)
    if norm.name != "l2":
        raise ValueError(f"boundary has no form for {norm.name}: choose l2, or hopskipjump for linf")
    samples = Samples.of(images, labels, eps=eps, norm=norm, targeted=targeted, indices=indices)
    oracle, starts = Oracle(classifier, norm, queries), checked_starts(starts, samples.images)

    def begin(fresh: Samples) -> _Walk:
        near = oracle.start(fresh, starts=starts, seed=seed)
        point = near.image
        near, _ = oracle.bisect(
            near,
            lambda radius: norm.project(point, fresh.images, radius),
            near.size.nan_to_num(posinf=0),
            1e-2,
            near.found,
        )
        ones = torch.ones_like(fresh.eps)
        return _Walk(near, torch.zeros_like(fresh.labels), 0.1 * ones, 0.1 * ones, ~(oracle.open(near) & near.found))

    def advance(walk: _Walk) -> _Walk:
        near, images = walk.near, walk.samples.images
        distance = near.size.nan_to_num(posinf=0)
        offset = near.image - images

        # Propose: orthogonally on the sphere around the clean image, then towards it.
        noise = random.normal(seed, walk.samples.indices, images.shape[1:], stream=near.spent, dtype=images.dtype)
        inner = (noise * offset).sum(dim=(1, 2, 3)) / (offset**2).sum(dim=(1, 2, 3)).clamp(min=1e-30)
        across = norm.steepest(noise - per_sample(inner, images) * offset, images, walk.sideways * distance)
        aside = (images + (offset + across) / per_sample((1 + walk.sideways**2).sqrt(), images)).clamp(0, 1)
        ahead = norm.project(aside, images, (1 - walk.inwards) * distance)

        # Query; the sideways move alone only every `_GAUGE` steps, to adapt its length.
        gauging = walk.step % _GAUGE == 0
        asking = torch.stack([~walk.done, ~walk.done & gauging], dim=1)
        near, fools = oracle.ask_each(near, torch.stack([ahead, aside], dim=1), asking)

        # Adapt.
        inwards = walk.inwards * (0.2 * (fools[:, 0].to(distance) - 0.25)).exp()
        sideways = walk.sideways * torch.where(gauging, (fools[:, 1].to(distance) - 0.5).exp(), 1)
        done = ~oracle.open(near) | walk.done | (inwards < _CONVERGED)
        return _Walk(near, walk.step + 1, sideways, inwards.clamp(max=0.5), done)

    with classifier.frozen():
        walks = drive(samples, begin=begin, advance=advance, batch_size=batch_size, compact=compact)
        return nearest(samples, norm, walks)
