"""The scores of a generator's classes as rows: which, how often, how surely, and whether as asked for."""

import math
from collections.abc import Callable, Collection

from evaluation.features.seen import Row, Sample, Seen
from evaluation.modes.modes import (
    HIGH_QUALITY,
    Modes,
    covered_estimate,
    forward_mode_divergence,
    high_quality_share,
    label_agreement,
    mode_variation,
    modes,
    reverse_mode_divergence,
    shuffled_agreement,
)
from evaluation.statistics.histograms import SMOOTHING, Divergence
from evaluation.statistics.intervals import Estimate, wilson

MODE_ROWS = {
    "modes_covered": "classes of the real images that are generated at all",
    "mode_kl": "divergence of the generated classes' histogram from the real one: what there is too much of",
    "mode_kl_forward": "divergence of the real classes' histogram from the generated one: what there is too little of",
    "mode_variation": "share of images that would have to change class for the real histogram",
    "high_quality": f"share of images sure of a class: probability {HIGH_QUALITY:g}; of points: near a mode",
    "label_agreement": "share of fakes that are of the class they were drawn for",
    "label_agreement_shuffled": "of conditional generators: the control, labels in another order",
}
_INTERVAL = "95 % interval about the expectation at these sizes"


def mode_rows(seen: Seen, wanted: Collection[str]) -> list[Row]:
    """Rows of the words of MODE_ROWS that these images allow.

    None with Inception, whose classes are not those of the data, or with an extractor that knows none; agreement only
    where the generated images have labels; high quality not where the extractor has a rule of its own, as for points.
    """
    real, fake = seen.real.features, seen.fake.features
    if not fake.counts_classes:
        return []
    found = modes(real, fake)
    rows = [_covered(found, len(fake))] if "modes_covered" in wanted else []
    rows += [
        (word, *_divergence(make(found, seed=seen.seed), text, len(fake)))
        for word, (make, text) in _DIVERGENCES.items()
        if word in wanted
    ]
    if "high_quality" in wanted and not fake.confidence:
        control = high_quality_share(real).value
        text = f"probability {HIGH_QUALITY:g} at least, {control:.3f} of real images; Wilson interval"
        rows.append(("high_quality", high_quality_share(fake), len(fake), text))
    return rows + _agreement(seen.fake, wanted, seen.seed)


_DIVERGENCES: dict[str, tuple[Callable[..., Divergence], str]] = {
    "mode_kl": (reverse_mode_divergence, "KL(fake || real) of class histograms in nats"),
    "mode_kl_forward": (
        forward_mode_divergence,
        f"KL(real || fake) of class histograms in nats, {SMOOTHING:g} added to each count",
    ),
    "mode_variation": (mode_variation, "half the absolute difference of class shares"),
}


def _covered(found: Modes, count: int) -> Row:
    text = f"of {found.wanted} classes, those that at least 1 fake is assigned to; a class missed has a share below "
    text += f"{wilson(0, count).high:.2g} (Wilson, 95 %); {_INTERVAL} from the classes hit up to 4 times"
    return "modes_covered", covered_estimate(found), count, text


def _divergence(found: Divergence, text: str, count: int) -> tuple[Estimate, int, str]:
    interval = (
        _INTERVAL
        if math.isfinite(found.estimate.low)
        else "no interval: infinite where no real image has a class, as here or often by chance"
    )
    return found.estimate, count, f"{text}, {found.null:.2g} for a perfect generator; {interval}"


def _agreement(fake: Sample, wanted: Collection[str], seed: int) -> list[Row]:
    if fake.labels is None:
        return []
    features, rows = fake.features, list[Row]()
    if "label_agreement" in wanted:
        text = f"share that {features.extractor} assigns as wanted; Wilson interval"
        rows.append(("label_agreement", label_agreement(features, fake.labels), len(fake), text))
    if "label_agreement_shuffled" in wanted:
        text = f"share that {features.extractor} assigns to the label of another image; Wilson interval"
        shuffled = shuffled_agreement(features, fake.labels, seed=seed)
        rows.append(("label_agreement_shuffled", shuffled, len(fake), text))
    return rows
