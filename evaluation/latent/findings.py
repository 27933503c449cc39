"""Findings on the latent space: ignored latents, and images that jump on the way between two latents."""

from collections.abc import Iterable

import torch

from advgan.sampling.stored import TrainedGan
from evaluation.features.features import as_double
from evaluation.features.seen import Row, Seen
from evaluation.latent.interpolation_smoothness import STEPS
from evaluation.latent.paths import draw_ends
from evaluation.record.findings import Finding
from evaluation.statistics.intervals import Estimate

IGNORED = 0.1
"""Mean distance of two generated images, in that of two real ones, below which latents are called ignored."""
JUMP = 3.0
"""Largest over mean step from which images are said to jump: one of 16 steps makes a fifth of the way. Trained
generators have 1.5, a mixture of Gaussians, which jumps and moves in between, 2."""
_PAIRS = 512


def latent_findings(rows: Iterable[Row], gan: TrainedGan, seen: Seen) -> list[Finding]:
    """Judge what `latent_rows` gave for this generator and these images."""
    values = {metric: estimate for metric, estimate, *_ in rows}
    found = []
    if "latent_sensitivity" in values:
        found.append(_ignored(values["latent_sensitivity"], gan, seen))
    if "interpolation_jump" in values:
        found.append(_jumps(values["interpolation_jump"]))
    return [finding for finding in found if finding is not None]


def _ignored(sensitivity: Estimate, gan: TrainedGan, seen: Seen) -> Finding | None:
    """Distances are compared with those of real images, whose scale is the extractor's."""
    ends = draw_ends(gan.generator, _PAIRS, seed=seen.seed)
    apart = float((ends.first - ends.last).norm(dim=1).mean())
    real = float(torch.pdist(as_double(seen.real.features.values[:_PAIRS])).mean())
    if not sensitivity.high * apart < IGNORED * real:
        return None
    return Finding(
        "warning",
        "The generator ignores its latents",
        f"Two images of one label are {sensitivity.value * apart / real:.1%} as far apart as two real images; the "
        f"latent sensitivity is {sensitivity.value:.3g} ({sensitivity.low:.3g} to {sensitivity.high:.3g}).",
        "It draws nearly one image, for each label where it has labels: it has collapsed. Lower the learning rates, "
        "use larger batches or another loss.",
        code="latents-ignored",
    )


def _jumps(jump: Estimate) -> Finding | None:
    if not jump.low > JUMP:
        return None
    return Finding(
        "warning",
        "Images jump between latents",
        f"On the way between two latents the largest of {STEPS} steps is {jump.value:.1f} times the mean one "
        f"({jump.low:.1f} to {jump.high:.1f}).",
        "The generator has separate modes and hardly anything between them: expected of a mixture and of points, else "
        "a sign of single images learnt by heart. Look at the grid of ways, and at the scores of memorisation.",
        code="latent-jumps",
    )
