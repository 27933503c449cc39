"""Scores of a generator's latent space: whether latents matter, and how evenly images follow them."""

from collections.abc import Collection, Iterator

import torch
from torch import Tensor

from advgan.models.interface import Generator
from advgan.sampling.stored import TrainedGan
from attacks.random import permutation
from evaluation.diversity.diversity import latent_sensitivity
from evaluation.features.features import Extractor
from evaluation.features.seen import Row, Seen
from evaluation.latent.interpolation_smoothness import (
    STEPS,
    interpolation_jump,
    interpolation_precision,
    jumps,
    near_real,
    path_features,
)
from evaluation.latent.jacobian import conditions
from evaluation.latent.path_length import STEP, path_length, path_lengths
from evaluation.latent.paths import Ends, draw_ends, look_along, way_of
from evaluation.neighbourhoods.precision_recall import MANIFOLD_NEIGHBOURS
from evaluation.statistics.intervals import UNKNOWN, Estimate, jackknife, mean

LATENT_METRICS = {
    "path_length": "how much images change for a small step in latent space; lower is smoother",
    "interpolation_jump": "largest over mean step of the images on the way between two latents; 1 is even",
    "interpolation_precision": "share of the images on such ways that are near real ones",
    "latent_sensitivity": "distance of two images over that of their latents; 0: latents are ignored",
    "jacobian_condition": "how unevenly directions of the latent space change the image, in logarithms; 0 is even",
}
PATHS = 1000
"""Paths of the path length, two images each: enough for the trimming to leave out outliers on both sides."""
WAYS = 128
"""Ways that are followed from end to end, and pairs of the sensitivity."""
POINTS = 16
"""Latents at which the Jacobian is taken; each costs as many passes as twice the latents' dimension."""
MOST_REAL = 5000
"""Real images that the images on the ways are held against."""


def latent_rows(
    gan: TrainedGan,
    extractor: Extractor,
    seen: Seen,
    wanted: Collection[str],
    *,
    num_paths: int = PATHS,
    num_ways: int = WAYS,
    num_points: int = POINTS,
    batch_size: int = 128,
) -> list[Row]:
    """Score the latent space in those of LATENT_METRICS that are `wanted`; nothing is drawn for the others.

    `extractor` is the one that `seen` was seen by; of `seen` the features of the real images and the seed are used.
    The images of a way have one label and are looked at as floats. Every value has its limit in more paths as the true
    one. Raises ValueError for fewer than 2 paths, ways or points.
    """
    for name, count in (("num_paths", num_paths), ("num_ways", num_ways), ("num_points", num_points)):
        if count < 2:
            raise ValueError(f"{name} is {count}: an interval needs 2 at least")
    generator, rows = gan.generator, []
    if "path_length" in wanted:
        rows.append(_path_length(generator, extractor, num_paths, seen.seed, batch_size))
    ends = draw_ends(generator, num_ways, seed=seen.seed)
    followed = {"interpolation_jump", "interpolation_precision"} & set(wanted)
    if followed:
        features = path_features(generator, extractor, ends, batch_size=batch_size)
        rows += _ways(features, generator, extractor, seen, followed)
    elif "latent_sensitivity" in wanted:
        latents = torch.stack([ends.first, ends.last], dim=1)
        features = look_along(generator, extractor, latents, ends.labels, batch_size=batch_size)
    if "latent_sensitivity" in wanted:
        rows.append(_sensitivity(features[:, [0, -1]], ends, extractor, seen.seed))
    if "jacobian_condition" in wanted:
        rows.append(_condition(generator, num_points, seen.seed))
    return rows


def _path_length(generator: Generator, extractor: Extractor, num_paths: int, seed: int, batch_size: int) -> Row:
    ends = draw_ends(generator, num_paths, seed=seed)
    lengths = path_lengths(generator, extractor, ends, seed=seed, batch_size=batch_size)
    protocol = (
        f"squared distance of features per squared step of {STEP:g} of the {way_of(generator.space)} "
        f"between two latents, anywhere on it, of {num_paths} paths; float images; mean from the 1st to the 99th "
        "percentile (lower, higher), bootstrap interval over paths, none where all are alike, about its expectation at "
        f"this number; {extractor.words}"
    )
    return "path_length", path_length(lengths, seed=seed), num_paths, protocol


def _ways(
    features: Tensor, generator: Generator, extractor: Extractor, seen: Seen, wanted: Collection[str]
) -> Iterator[Row]:
    count = len(features)
    ways = f"{STEPS} equal steps of the {way_of(generator.space)} between two latents"
    if "interpolation_jump" in wanted:
        still = count - len(jumps(features))
        moving = f"; {still} of {count} ways, on which nothing moves, left out" if still else ""
        protocol = (
            f"largest over mean of {ways}; mean over ways{moving}; bootstrap interval over ways; {extractor.words}"
        )
        yield "interpolation_jump", interpolation_jump(features, seed=seen.seed), count - still, protocol
    if "interpolation_precision" in wanted:
        real = seen.real.features.values
        real = real[permutation(seen.seed, len(real))[:MOST_REAL].to(real.device)]
        near = near_real(real, features)
        protocol = (
            f"share of images between {ways}, within neighbour {MANIFOLD_NEIGHBOURS} of one of {len(real)} real images "
            f"({float(near[:, [0, -1]].double().mean()):.4f} at the ends, which are samples); Wilson interval at the "
            f"effective number of independent images, {count} ways, given the real ones; {extractor.words}"
        )
        yield "interpolation_precision", interpolation_precision(near), count * (STEPS - 1), protocol


def _sensitivity(features: Tensor, ends: Ends, extractor: Extractor, seed: int) -> Row:
    """From features (N, 2, D) of the two ends."""
    latents = torch.stack([ends.first, ends.last], dim=1).to(features.device)

    def statistic(pairs: Tensor) -> float:
        chosen = pairs.to(features.device)
        images, codes = (rows[chosen].transpose(0, 1).flatten(0, 1) for rows in (features, latents))
        return latent_sensitivity(images, codes, apart=len(chosen))

    protocol = (
        f"distance of features over that of the latents, mean over {len(ends)} independent pairs of "
        f"one label; jackknife interval over pairs; {extractor.words}"
    )
    return "latent_sensitivity", jackknife(statistic, torch.arange(len(ends)), seed=seed), len(ends), protocol


def _condition(generator: Generator, num_points: int, seed: int) -> Row:
    ends = draw_ends(generator, num_points, seed=seed)
    logs, singular = conditions(generator, ends.first, ends.labels)
    count, estimate = int(singular.sum()), mean(logs)
    lower_bound = f", {count} of them singular in float32: the mean is a lower bound, without interval" * (count > 0)
    if count:
        estimate = Estimate(estimate.value, *UNKNOWN)
    protocol = (
        "mean natural logarithm of the largest over the smallest eigenvalue of J^T J, J being the derivative of the "
        f"pixels by the latents, at {num_points} latents{lower_bound or '; t interval'}"
    )
    return "jacobian_condition", estimate, num_points, protocol
