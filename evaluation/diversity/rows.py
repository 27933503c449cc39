"""The diversity of generated images as rows of a table."""

import math
from collections.abc import Collection

import torch
from torch import Tensor

from attacks.random import permutation
from evaluation.diversity.birthday import (
    MOST_PAIRED,
    NEARER,
    RANK,
    batch_of_half,
    duplicate_level,
    paired,
    support_size,
)
from evaluation.diversity.diversity import FEWEST_IN_CLASS, class_diversity_estimate
from evaluation.diversity.ms_ssim import MOST_PAIRS, class_pairs, ms_ssim, num_scales, pairs_mean
from evaluation.diversity.ndb import LEVEL, bins, bins_divergence, different_share, null_divergence
from evaluation.diversity.vendi import vendi_score
from evaluation.features.features import TooFewError
from evaluation.features.seen import Row, Seen

DIVERSITY_METRICS = {
    "ndb": f"share of bins of the features where fakes are too many or too few; {LEVEL:g} for a perfect generator",
    "ndb_js": "Jensen-Shannon divergence of the bins' histograms, in nats",
    "support_size": "number of different images that are drawn, by the birthday paradox",
    "support_size_real": "the same of the real images",
    "vendi": "number of different images that the fakes amount to, by their similarities; grows with their number",
    "vendi_real": "the same of as many real images",
    "ms_ssim": "structural similarity of two fakes of one class, 1 where a class is one image",
    "ms_ssim_real": "the same of two real images",
    "class_diversity": "distance of two fakes of one class over that of two reals; 0 where a class is one image",
}
_EXPECTED = "95 % interval about the expectation at these sizes"
_EQUAL = (1 << 21) + 4
"""Stream of attacks.random for the images of the larger set that are compared where equal numbers are needed."""


def diversity_rows(seen: Seen, wanted: Collection[str]) -> list[Row]:
    """Rows of the words of DIVERSITY_METRICS that these images allow.

    Measures within a class need labels on both sides, or an extractor that sorts by the classes of the data; structural
    similarity needs the images themselves, as bytes. Raises ValueError where one cannot be made.
    """
    groups = {
        ("ndb", "ndb_js"): _bins,
        ("support_size", "support_size_real"): _support,
        ("vendi", "vendi_real"): _vendi,
        ("ms_ssim", "ms_ssim_real"): _similarity,
        ("class_diversity",): _class_diversity,
    }
    rows = [row for words, group in groups.items() if not set(words).isdisjoint(wanted) for row in group(seen)]
    return [row for row in rows if row[0] in wanted]


def _bins(seen: Seen) -> list[Row]:
    real, fake = seen.real.features.values, seen.fake.features.values
    found = bins(real, fake, seed=seen.seed)
    num_bins = len(found.real)
    text = f"{num_bins} k-means bins of {len(real) // 2} reals, counted with the {len(real) - len(real) // 2} others"
    test = f"two-proportion z test or Fisher's at level {LEVEL:g}, which is the share for a perfect generator"
    null = null_divergence(found)
    return [
        ("ndb", different_share(found), len(fake), f"{text}; {test}; Wilson interval over the bins"),
        ("ndb_js", bins_divergence(found), len(fake), f"{text}; {null:.2g} for a perfect generator; {_EXPECTED}"),
    ]


def _support(seen: Seen) -> list[Row]:
    real, fake = (paired(sample.features.values, seed=seen.seed) for sample in (seen.real, seen.fake))
    level = duplicate_level(real)
    found, control = support_size(fake, level), support_size(real, level)
    low, high = batch_of_half(found.low), batch_of_half(found.high)
    text = f"near-duplicates are within {level:.3g}, {NEARER:g} of the distance of the {RANK}th nearest pair of "
    text += f"{len(real)} real images; at most {MOST_PAIRED} images; exact interval given that distance"
    half = f"in a batch of {low:.3g} to {high:.3g} images one is found with probability 1/2"
    return [
        ("support_size", found, len(fake), f"{half}; {text}"),
        ("support_size_real", control, len(real), text),
    ]


def _vendi(seen: Seen) -> list[Row]:
    count, rows = min(len(seen.fake), len(seen.real)), list[Row]()
    for word, sample in (("vendi", seen.fake), ("vendi_real", seen.real)):
        some = _some(sample.features.values, count, seen.seed)
        nothing = int((some == 0).all(dim=1).sum())
        alike = f"; {nothing} of them, whose features are all 0, count as one image" if nothing else ""
        text = f"order 1, cosine kernel, {count} images{alike}; infinitesimal jackknife, {_EXPECTED}"
        rows.append((word, vendi_score(some), count, text))
    return rows


def _similarity(seen: Seen) -> list[Row]:
    rows = []
    for word, sample, classes in zip(("ms_ssim", "ms_ssim_real"), (seen.fake, seen.real), _classes(seen), strict=True):
        if classes is None or sample.images is None or sample.images.dtype != torch.uint8:
            return []
        pairs = class_pairs(classes, seed=seen.seed)
        if not bool((pairs.classes.bincount() > 1).any()):
            raise TooFewError(f"no class has two pairs of {sample.name or 'these'} images to compare")
        estimate = pairs_mean(ms_ssim(sample.images[pairs.first], sample.images[pairs.second]), pairs.classes)
        scales = num_scales(min(sample.images.shape[2:]))
        text = f"{scales} of 5 scales, at most {MOST_PAIRS} pairs of a class, mean over classes; normal interval"
        rows.append((word, estimate, len(pairs.first), text))
    return rows


def _class_diversity(seen: Seen) -> list[Row]:
    fake_classes, real_classes = _classes(seen)
    if fake_classes is None or real_classes is None:
        return []
    real, fake = seen.real.features.values, seen.fake.features.values
    found = class_diversity_estimate(fake, fake_classes, real, real_classes)
    if math.isnan(found.value):
        raise TooFewError(f"no class has {FEWEST_IN_CLASS} images on both sides that are not all alike")
    text = f"mean over the classes with {FEWEST_IN_CLASS} images; normal interval of U-statistics"
    return [("class_diversity", found, len(fake), text)]


def _classes(seen: Seen) -> tuple[Tensor, Tensor] | tuple[None, None]:
    """Classes of fakes and of reals: as labelled where both are, else as the extractor sorts them, if it does."""
    fake, real = seen.fake, seen.real
    if fake.labels is not None and real.labels is not None:
        return fake.labels, real.labels
    if not fake.features.counts_classes:
        return None, None
    return fake.features.classes, real.features.classes


def _some(features: Tensor, count: int, seed: int) -> Tensor:
    return features[permutation(seed, len(features), stream=_EQUAL)[:count].to(features.device)]
