"""Findings on realism: low precision, too little or too much fine detail, too far from reals of the same classes."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from attacks.random import permutation
from evaluation.features.features import as_double, metric_name
from evaluation.features.seen import Row, Sample, Seen
from evaluation.neighbourhoods.precision_recall import DENSITY_NEIGHBOURS, effects_of, estimates, neighbourhoods
from evaluation.record.findings import Finding
from evaluation.statistics.exchanges import EXCHANGES, exchanged
from evaluation.statistics.intervals import Estimate
from evaluation.statistics.welch import difference_of_means

LESS = 0.05
"""How far precision must be below that of held-out images; a set of the harder classes alone is a little below."""
FACTOR = 1.5
"""How far the share of fine detail must be off, either way; generators that are trained to their end stay within."""
FINE = 0.35
"""Cycles a pixel from which detail is fine: the corners of the spectrum, which resizing and blur empty."""
_SIZE = 4
"""Least side of images with a spectrum worth the name."""
_AT_ONCE = 1024
_MATCHED = (1 << 21) + 6
"""Streams of attacks.random for the images that are held against each other."""
_EXCHANGED = _MATCHED + 2
"""Streams for their exchanges."""
_MOST_PAIRS = 512
"""Pairs that are exchanged: enough to see what an eye sees, and done at once for features of any width."""


def realism_findings(seen: Seen, rows: Sequence[Row]) -> list[Finding]:
    """Judge precision by held-out images, and fine detail and all features by real images of the same classes.

    A failure is named where the whole interval shows it; what has no row, no control or no images is not asked.
    """
    values = {metric: estimate for metric, estimate, *_ in rows}
    found = [_unlike_any(seen, values), _detail(seen) if rows else None, _told(seen, values)]
    return [finding for finding in found if finding is not None]


def fine_share(images: Tensor) -> Tensor:
    """Share of each image's variance that is at FINE cycles a pixel and above: (N, C, H, W) to (N,) float64.

    0 for a flat image. Neither brightness nor contrast changes it.
    """
    return torch.cat([_fine_share(part) for part in images.split(_AT_ONCE)])


def alike_in_class(first: Tensor, second: Tensor, *, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Rows of two sets that have equally many of each class, as many as there are: from classes (N,) and (M,).

    Drawn without replacement, so that what the sets are compared by does not depend on which classes they have.
    """
    orders = [permutation(seed, len(classes), stream=_MATCHED + side) for side, classes in enumerate((first, second))]
    chosen: tuple[list[Tensor], list[Tensor]] = ([], [])
    for number in first.unique().tolist():
        rows = [order[classes[order] == number] for order, classes in zip(orders, (first, second), strict=True)]
        for side, some in zip(chosen, rows, strict=True):
            side.append(some[: min(map(len, rows))])
    return torch.cat(chosen[0]), torch.cat(chosen[1])


def _unlike_any(seen: Seen, values: Mapping[str, Estimate]) -> Finding | None:
    precision = values.get("precision")
    if precision is None or seen.held_out is None or not precision.high < 1 - LESS:
        return None
    held_out = seen.held_out.features.values
    some = permutation(seen.seed, len(held_out), stream=2)[: len(seen.fake)].to(held_out.device)
    if len(some) <= DENSITY_NEIGHBOURS:
        return None
    sets = seen.real.features.values, held_out[some]
    found = neighbourhoods(*sets)
    if not precision.high < float(found.fake_in_real.double().mean()) - LESS:
        return None  # and so is it not below the interval's lower end, which costs more
    control = estimates(found, effects_of(*sets, seed=seen.seed))["precision"]
    if not precision.high < control.low - LESS:
        return None
    return Finding(
        "warning",
        "Generated images are unlike any real ones",
        f"{precision.value:.1%} ({precision.low:.1%} to {precision.high:.1%}) of them lie near a real image, of "
        f"held-out images {control.value:.1%} ({control.low:.1%} to {control.high:.1%}).",
        "The rest look like nothing in the data: look at them, train longer, or draw with truncation.",
        code="unrealistic-images",
    )


def _detail(seen: Seen) -> Finding | None:
    fake, real = seen.fake.images, seen.real.images
    if fake is None or real is None or fake.dtype != torch.uint8 or min(fake.shape[2:]) < _SIZE:
        return None
    found, control = (fine_share(images) for images in (fake, real))
    classes = [_classes(sample) for sample in (seen.fake, seen.real)]
    if classes[0] is not None and classes[1] is not None:
        rows = alike_in_class(classes[0], classes[1], seed=seen.seed)
        found, control = found[rows[0]], control[rows[1]]
    smooth = difference_of_means(FACTOR * found, control).high < 0
    if not smooth and not difference_of_means(found, FACTOR * control).low > 0:
        return None
    real_share, share = float(control.mean()), float(found.mean())
    return Finding(
        "warning",
        f"Generated images are {'smoother' if smooth else 'rougher'} than real ones",
        f"{share:.2%} of their variance is fine detail, {real_share:.2%} of that of real images of the same classes: "
        f"significantly {'less' if smooth else 'more'}, and by a factor of {FACTOR:g} at least.",
        "They are blurred: a loss of pixel means, or images that were enlarged on their way."
        if smooth
        else "They have noise or a grid in them: train longer, or see how the generator enlarges, and how images were "
        "stored.",
        code="too-smooth" if smooth else "too-rough",
    )


def _told(seen: Seen, values: Mapping[str, Estimate]) -> Finding | None:
    name = metric_name("fid", seen.real.features)
    if name not in values or seen.held_out is None:
        return None
    found = exchanged(*_pairs(seen, seen.held_out), seed=seen.seed, stream=_EXCHANGED)
    if not found.apart:
        return None
    return Finding(
        "info",
        "Generated images are told from real ones",
        f"{found.pairs} of them and as many held-out images of the same classes are {found.distance:.3g} apart (energy "
        f"distance, in mean distances of held-out images); in {EXCHANGES} random exchanges within pairs it was "
        f"{found.largest:.3g} at most. {name} is {values[name].value:.3g}.",
        "Precision and fine detail say whether images are bad, recall and the classes whether some are missing.",
        code="told-from-real",
    )


def _pairs(seen: Seen, held_out: Sample) -> tuple[Tensor, Tensor]:
    """Features of generated and of held-out images, of the same class in each row."""
    classes = [_classes(sample) for sample in (seen.fake, held_out)]
    alike = [
        torch.zeros(len(sample), dtype=torch.int64) if each is None else each
        for sample, each in zip((seen.fake, held_out), classes, strict=True)
    ]
    rows = alike_in_class(alike[0], alike[1], seed=seen.seed)
    some = permutation(seen.seed, len(rows[0]), stream=_EXCHANGED + 1)[:_MOST_PAIRS]
    values = (as_double(sample.features.values) for sample in (seen.fake, held_out))
    first, second = (each[chosen[some].to(each.device)] for each, chosen in zip(values, rows, strict=True))
    return first, second


def _fine_share(images: Tensor) -> Tensor:
    levels = images.double()
    power = torch.fft.fft2(levels - levels.mean(dim=(2, 3), keepdim=True)).abs().square().sum(dim=1)
    rows, columns = (torch.fft.fftfreq(side, device=images.device) for side in images.shape[2:])
    fine = (rows[:, None].square() + columns.square()).sqrt() > FINE
    return (power * fine).sum(dim=(1, 2)) / power.sum(dim=(1, 2)).clamp(min=torch.finfo(power.dtype).tiny)


def _classes(sample: Sample) -> Tensor | None:
    """As the extractor sorts them, if it sorts by the classes of the data."""
    features = sample.features
    return features.classes.cpu() if features.counts_classes else None
