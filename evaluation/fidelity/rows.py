"""Distances of generated from real features as rows of a table: Fréchet's and its relatives."""

from collections.abc import Collection, Sequence

from torch import Tensor

from attacks.random import permutation
from evaluation.features.features import Features, metric_name
from evaluation.features.seen import Row, Seen
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

    Without held-out images there is no `fid_real`, without CLIP no `cmmd`. Raises ValueError where one cannot be made.
    """
    real, fake, rows = seen.real.features, seen.fake.features, list[Row]()
    if "fid" in wanted:
        distance = frechet_estimate(real.values, fake.values, seed=seen.seed)
        rows.append((metric_name("fid", real), distance, len(fake), _DISTANCE))
    if "fid_floor" in wanted:
        rows.append((metric_name("fid_floor", real), frechet_floor_estimate(real.values, len(fake)), len(fake), _FLOOR))
    if "fid_infinity" in wanted:
        rows.append(_infinity(real, fake, seen.seed))
    if "fid_real" in wanted and seen.held_out is not None:
        rows.append(_reached(real, seen.held_out.features, len(fake), seen.seed))
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


def _infinity(real: Features, fake: Features, seed: int) -> Row:
    found = frechet_infinity(real.values, fake.values, seed=seed)
    told = ", ".join(f"{distance:.4g}" for distance in found.distances)
    tested = len(found.distances) > 2
    text = (
        f"limit of infinitely many real and generated images: line through {told}, of the whole sets and of disjoint "
        f"halves{' and quarters' if tested else ''}, against the floors at these sizes; slope {found.slope:.3g}, "
        f"{f'farthest point {found.residual:.2g} off' if tested else 'fit not tested by a third point'}; "
        "95 % interval about the limit"
    )
    return metric_name("fid_infinity", real), found.limit, len(fake), text


def _reached(real: Features, held_out: Features, num_fake: int, seed: int) -> Row:
    some = permutation(seed, len(held_out), stream=2)[:num_fake].to(held_out.values.device)
    text = f"{len(some)} held-out real images in place of {num_fake} generated: {_DISTANCE}"
    reached = frechet_estimate(real.values, held_out.values[some], seed=seed)
    return metric_name("fid_real", real), reached, len(some), text


def _cmmd(real: Tensor, fake: Tensor) -> Row:
    found = cmmd(real, fake)
    text = (
        "1000 times the squared maximum mean discrepancy of embeddings of length 1, Gaussian kernel of sigma 10, "
        f"unbiased, over all pairs; the biased value of the paper is {found.biased:.4g}; 95 % interval about the limit"
    )
    return "cmmd", found.unbiased, len(fake), text
