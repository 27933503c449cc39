"""Distances of generated from real features as rows of a table: Fréchet's and its relatives."""

from collections.abc import Collection, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from advgan.sampling.classes import draw_classes
from attacks.random import permutation
from evaluation.features.features import Features, metric_name
from evaluation.features.seen import Row, Sample, Seen
from evaluation.fidelity.class_noise import INDEPENDENT, ClassNoise, class_noise
from evaluation.fidelity.cmmd import cmmd
from evaluation.fidelity.frechet_floor import frechet_floor_estimate
from evaluation.fidelity.frechet_infinity import frechet_infinity, infinity_findings
from evaluation.fidelity.frechet_interval import frechet_estimate
from evaluation.fidelity.mind import NUM_DIRECTIONS, mind_estimate
from evaluation.record.findings import Finding

FIDELITY_METRICS = {
    "fid": "Fréchet Inception distance; fd[NAME] with the features of a classifier NAME; lower is better",
    "fid_floor": "what a perfect generator would score at these sample sizes; fd_floor[NAME]",
    "fid_infinity": "the distance extrapolated to infinitely many images, 0 for a perfect generator; fd_infinity[NAME]",
    "fid_real": "the same distance of held-out real images: what can be reached; fd_real[NAME]",
    "fid_unseen": "distance to held-out real images, which no generator of the data has learnt; fd_unseen[NAME]",
    "fid_unseen_floor": "what a perfect generator would score there; fd_unseen_floor[NAME]",
    "mind": "Monge Inception distance: sliced Wasserstein distance of the features; mind[NAME]; lower is better",
    "cmmd": "kernel distance of CLIP embeddings, 0 for a perfect generator; with CLIP only",
}
_HERE = "95 % interval about the expectation at these sample sizes"
_DISTANCE = f"Fréchet distance in float64, covariances over N - 1, no offset; {_HERE}, from the pull of each image"
_FLOOR = (
    "expected Fréchet distance of a perfect generator, for Gaussian features; 95 % interval by the real ones' number"
)
_MIND = f"3 D times the squared Wasserstein distance over {NUM_DIRECTIONS} directions or more, seeded; {_HERE}"


def fidelity_rows(seen: Seen, wanted: Collection[str]) -> list[Row]:
    """Rows of the words of FIDELITY_METRICS that these images allow.

    Without held-out images there is no `fid_real` and no `fid_unseen`, without CLIP no `cmmd`. Raises ValueError where
    one cannot be made.
    """
    real, fake, rows = seen.real.features, seen.fake.features, list[Row]()
    noise = _noise(seen) if {"fid_floor", "fid_infinity"} & {*wanted} else INDEPENDENT
    if "fid" in wanted:
        distance = frechet_estimate(real.values, fake.values, seed=seen.seed)
        rows.append((metric_name("fid", real), distance, len(fake), _DISTANCE))
    if "fid_floor" in wanted:
        floor = frechet_floor_estimate(real.values, len(fake), noise)
        rows.append((metric_name("fid_floor", real), floor, len(fake), f"{_FLOOR}{_told(noise)}"))
    if "fid_infinity" in wanted:
        rows.append(_infinity(seen, noise))
    if "fid_real" in wanted and seen.held_out is not None:
        rows.append(_reached(seen, seen.held_out))
    if seen.held_out is not None:
        rows += _unseen(seen, seen.held_out, wanted)
    if "mind" in wanted:
        estimate = mind_estimate(real.values, fake.values, seed=seen.seed)
        rows.append((metric_name("mind", real), estimate, len(fake), _MIND))
    if "cmmd" in wanted and is_clip(real):
        rows.append(_cmmd(real.values, fake.values))
    return rows


def fidelity_findings(seen: Seen, rows: Sequence[Row]) -> list[Finding]:
    """What is to be known about the rows of `fidelity_rows` before they are quoted."""
    real, fake = seen.real.features, seen.fake.features
    name = metric_name("fid_infinity", real)
    limits = [estimate for metric, estimate, _, _ in rows if metric == name]
    return [
        finding
        for limit in limits
        for finding in infinity_findings(limit, num_real=len(real), num_fake=len(fake), columns=real.values.shape[1])
    ]


def is_clip(features: Features) -> bool:
    """Whether an encoder of CLIP saw them, under whatever protocol."""
    return features.extractor.startswith("clip-")


def _infinity(seen: Seen, noise: ClassNoise) -> Row:
    real, fake = seen.real.features, seen.fake.features
    whole = noise != INDEPENDENT and noise.drawn_from == len(real)
    values = by_class(seen.real, whole), by_class(seen.fake, noise.even)
    found = frechet_infinity(*values, seed=seen.seed, noise=noise)
    told = ", ".join(f"{distance:.4g}" for distance in found.distances)
    tested = len(found.distances) > 2
    text = (
        f"limit of infinitely many real and generated images: line through {told}, of the whole sets and of disjoint "
        f"halves{' and quarters' if tested else ''}, against the floors at these sizes; slope {found.slope:.3g}, "
        f"{f'farthest point {found.residual:.2g} off' if tested else 'fit not tested by a third point'}; "
        "95 % interval about the limit"
    )
    return metric_name("fid_infinity", real), found.limit, len(fake), text


def by_class(sample: Sample, wanted: bool) -> Tensor:
    """The features, in the order of their classes where that is wanted."""
    values, labels = sample.features.values, sample.labels
    return values if labels is None or not wanted else values[labels.argsort(stable=True).to(values.device)]


def _noise(seen: Seen) -> ClassNoise:
    """What the classes make of the noise, where the real ones are known."""
    real, given = seen.real, None if seen.fake.asked else seen.fake.labels  # what we asked for were independent draws
    return class_noise(real.features.values, real.labels, drawn_from=real.drawn_from, fake_labels=given)


def _told(noise: ClassNoise) -> str:
    if noise == INDEPENDENT:
        return ""
    dealt = "dealt out" if noise.even else "drawn independently"
    return (
        f"; for a generator whose classes are {dealt} in the shares of the real images: times {noise.total:.3g} for "
        f"fourth moments, {noise.within:.3g} within classes"
    )


def _reached(seen: Seen, held_out: Sample) -> Row:
    real, seed, num_fake = seen.real.features, seen.seed, len(seen.fake)
    some = as_if_drawn(held_out, seen.real.labels, num_fake, seed).to(held_out.features.values.device)
    drawn = "" if seen.real.labels is None or held_out.labels is None else ", their classes drawn independently,"
    text = f"{len(some)} held-out real images{drawn} in place of {num_fake} generated: {_DISTANCE}"
    reached = frechet_estimate(real.values, held_out.features.values[some], seed=seed)
    return metric_name("fid_real", real), reached, len(some), text


def _unseen(seen: Seen, held_out: Sample, wanted: Collection[str]) -> list[Row]:
    """The distance to all held-out images, and its floor: a generator that fits its training images gains nothing."""
    real, fake, rows = held_out.features, seen.fake.features, list[Row]()
    against = f"against {len(real):,} held-out real images, which the generator was not trained on"
    if "fid_unseen" in wanted:
        distance = frechet_estimate(real.values, fake.values, seed=seen.seed)
        rows.append((metric_name("fid_unseen", real), distance, len(fake), f"{against}: {_DISTANCE}"))
    if "fid_unseen_floor" in wanted:
        noise = _noise(replace(seen, real=held_out))
        floor = frechet_floor_estimate(real.values, len(fake), noise)
        text = f"{against}: {_FLOOR}{_told(noise)}"
        rows.append((metric_name("fid_unseen_floor", real), floor, len(fake), text))
    return rows


def as_if_drawn(held_out: Sample, real_labels: Tensor | None, most: int, seed: int) -> Tensor:
    """Select held-out images in place of generated ones: `most` of them, or until a drawn class has none left.

    Their classes are drawn independently with the real frequencies, as a generator's are. The stratified split took the
    same share of every class, so a plain subset would be nearer to the training images than independent draws are.
    """
    order = permutation(seed, len(held_out), stream=2)
    if real_labels is None or held_out.labels is None:
        return order[:most]
    labels = held_out.labels.cpu()[order]
    classes = int(max(labels.max(), real_labels.max())) + 1
    left = [order[labels == kind].tolist() for kind in range(classes)]
    counts = real_labels.cpu().bincount(minlength=classes)
    there = [int(count) if rows else 0 for count, rows in zip(counts, left, strict=True)]
    if not sum(there):
        return order[:most]
    taken: list[int] = []
    for kind in draw_classes(there, torch.arange(most), seed=seed).tolist():
        if not left[kind]:
            break
        taken.append(left[kind].pop())
    return torch.tensor(taken)


def _cmmd(real: Tensor, fake: Tensor) -> Row:
    found = cmmd(real, fake)
    text = (
        "1000 times the squared maximum mean discrepancy of embeddings of length 1, Gaussian kernel of sigma 10, "
        f"unbiased, over all pairs; the biased value of the paper is {found.biased:.4g}; 95 % interval about the limit"
    )
    return "cmmd", found.unbiased, len(fake), text
