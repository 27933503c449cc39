"""One-pixel attack: differential evolution of the places and colours of a few pixels."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from attacks import random
from attacks.black_box.first_look import first_look
from attacks.classifier import Classifier
from attacks.norms import L0, Budget, Norm, named_norm
from attacks.objectives import wide
from attacks.queue import drive
from attacks.samples import Samples

_WEIGHT = 0.5  # differential evolution's F, the weight of a difference in a mutation


@dataclass(frozen=True)
class _Evolution:
    samples: Samples
    population: Tensor
    """(N, members, pixels, 2 + C) in [0, 1]: row, column and colour of each pixel."""
    values: Tensor
    """(N, members): their scores; minus infinity for those not queried yet."""
    best: Tensor
    """(N, C, H, W): the best image of all queries."""
    spent: Tensor
    """(N,) queries."""
    done: Tensor


def one_pixel(
    classifier: Classifier,
    images: Tensor,
    labels: Tensor,
    *,
    eps: Budget | None = None,
    norm: Norm | str = L0,
    pixels: int | None = None,
    queries: int = 5000,
    population: int = 100,
    targeted: bool = False,
    seed: int = 0,
    batch_size: int | None = None,
    compact: bool = True,
    indices: Tensor | None = None,
) -> Tensor:
    """Change the colours of a few pixels, found by differential evolution (Su et al., 2019).

    At most `pixels` are changed (default: as many as `eps` allows, or one without eps) and at most `eps` values, of
    which a pixel has one per channel: on colour images eps=3 is one pixel. The norm is l0.

    Each query evaluates one candidate: first every member of the population in turn, then for every member in turn a
    child, which replaces it if it scores higher. A child is one random member plus half the difference of two others,
    without crossover, as in the paper, which has a population of 400 and 40000 queries. Each sample spends at most
    `queries` forward passes, the one on the clean image included, and leaves when fooled; one that is never fooled is
    returned as the candidate with the highest score.

    Draws depend on (seed, index, query) alone.
    """
    if named_norm(norm) is not L0:
        raise ValueError(f"one_pixel has no form for {named_norm(norm).name}: it counts values (l0)")
    if queries < 1 or (pixels is not None and pixels < 1):
        raise ValueError(f"pixels and queries must be 1 or more; got pixels={pixels}, queries={queries}")
    if population < 4:
        raise ValueError(f"population must be 4 or more, so that a child has three parents; got {population}")
    samples = Samples.of(images, labels, eps=eps, norm=L0, targeted=targeted, indices=indices)
    images = samples.images
    samples = _in_pixels(samples, pixels)
    most = int(samples.eps.max()) if len(samples) else 0
    genes = (most, 2 + images.shape[1])

    def begin(fresh: Samples) -> _Evolution:
        # A quarter of the colour values starts at 0 and a quarter at 1.
        draws = random.uniform(seed, fresh.indices, (most, population, genes[1]), dtype=images.dtype).transpose(1, 2)
        draws[..., 2:] = (2 * draws[..., 2:] - 0.5).clamp(0, 1)
        values = wide(draws.new_full((len(fresh), population), -torch.inf))
        none = torch.zeros_like(fresh.labels)
        return _Evolution(fresh, draws, values, fresh.images, none + 1, none > 0)

    def advance(evolution: _Evolution) -> _Evolution:
        samples, everyone = evolution.samples, evolution.population
        rows, place = torch.arange(len(samples), device=everyone.device), (evolution.spent - 1) % population
        first = evolution.spent <= population
        draws = random.uniform(
            seed, samples.indices, (3 + most * genes[1],), stream=evolution.spent, dtype=everyone.dtype
        )
        child = _child(everyone, *_three(draws[:, :3], population), draws[:, 3:].reshape(-1, *genes))
        child = torch.where(first[:, None, None], everyone[rows, place], child)
        candidate = _painted(samples, child)

        logits = classifier.logits(candidate, rows=samples.rows)
        value, fooled = samples.score(logits), samples.fooled(logits)
        best = fooled | (value > evolution.values.amax(dim=1))
        best, better = best & ~evolution.done, value > evolution.values[rows, place]
        taken = better[:, None] & (place[:, None] == torch.arange(population, device=place.device))
        spent = evolution.spent + 1
        return replace(
            evolution,
            population=torch.where(taken[:, :, None, None], child[:, None], everyone),
            values=torch.where(taken, value[:, None], evolution.values),
            best=torch.where(best[:, None, None, None], candidate, evolution.best),
            spent=spent,
            done=evolution.done | fooled | (spent >= queries),
        )

    result = samples.images.clone()
    with classifier.frozen():
        left = first_look(classifier, samples, batch_size=batch_size)
        if queries > 1:
            for ended in drive(left, begin=begin, advance=advance, batch_size=batch_size, compact=compact):
                result[ended.samples.rows] = ended.best
    return result


def _in_pixels(samples: Samples, pixels: int | None) -> Samples:
    """The samples with budgets counted in whole pixels instead of values."""
    channels, height, width = samples.images.shape[1:]
    room = (samples.eps / channels).floor().clamp(max=height * width)
    wanted = 1 if pixels is None else pixels
    return replace(samples, eps=torch.where(samples.eps.isinf() | (pixels is not None), room.clamp(max=wanted), room))


def _three(draws: Tensor, population: int) -> tuple[Tensor, Tensor, Tensor]:
    """Choose three different members: (N, 3) uniform draws to three index tensors (N,)."""
    most = torch.tensor([population, population - 1, population - 2], device=draws.device)
    one, step, third = (draws * most).long().minimum(most - 1).unbind(dim=1)
    other = (one + 1 + step) % population
    low, high = torch.minimum(one, other), torch.maximum(one, other)
    third = third + (third >= low)
    return one, other, third + (third >= high)


def _child(population: Tensor, one: Tensor, other: Tensor, third: Tensor, fresh: Tensor) -> Tensor:
    """Mutate: (N, pixels, 2 + C). A place outside the image is taken from `fresh`; colours are clipped to [0, 1]."""
    rows = torch.arange(len(population), device=population.device)
    child = population[rows, one] + _WEIGHT * (population[rows, other] - population[rows, third])
    inside = (child >= 0) & (child <= 1)
    inside[..., 2:] = True
    return torch.where(inside, child, fresh).clamp(0, 1)


def _painted(samples: Samples, painting: Tensor) -> Tensor:
    """Write the pixels (N, pixels, 2 + C) into the images in order; of two in one place the last counts."""
    count, channels, height, width = samples.images.shape
    row = (painting[..., 0] * height).long().clamp(max=height - 1)
    column = (painting[..., 1] * width).long().clamp(max=width - 1)
    places = (row * width + column)[:, None].expand(count, channels, -1)
    painted = samples.images.flatten(2).clone()
    for number, place in enumerate(places.split(1, dim=2)):
        within = (number < samples.eps)[:, None, None]
        colour = torch.where(within, painting[:, number, 2:, None], painted.gather(2, place))
        painted.scatter_(2, place, colour)
    return painted.reshape(samples.images.shape)
