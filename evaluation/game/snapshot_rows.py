"""Rows that compare a GAN with its earlier snapshots, with train mode and with its generator before averaging."""

import math
from collections.abc import Callable, Collection

import torch
from torch import Tensor

from advgan.models.interface import Generator
from advgan.sampling.drawing import decode, draw, home_of
from advgan.sampling.stored import TrainedGan, load_gan, load_state
from evaluation.diversity.diversity import spread
from evaluation.features.features import extract
from evaluation.features.seen import Row
from evaluation.game.consistency import drawn_in_train_mode, has_running_statistics
from evaluation.game.layer_spectra import growth, layer_spectra
from evaluation.game.look_history import value_of
from evaluation.game.match import Match
from evaluation.game.mode_consistency import BATCH, gap, moved
from evaluation.modes.hopping import (
    ORDERS,
    hopping_of_counts,
    hopping_of_samples,
    mean_hopping,
    modes_changed,
    oscillation,
)
from evaluation.statistics.intervals import UNKNOWN, Estimate

HOPPING_METRICS = {
    "mode_hopping": "share of images that change class from snapshot to snapshot: total variation",
    "modes_changed": "classes gained and lost between neighbouring snapshots",
}
OSCILLATION_METRICS = {
    "oscillation": "how strongly D(x) - D(G(z)) repeats itself from look to look, in [-1, 1]",
    "oscillation_p_value": "share of shuffled orders of the looks that repeat themselves as strongly",
}
SPECTRUM_METRICS = {
    "largest_singular_value": "of the layers of [generator] and [discriminator]",
    "singular_value_growth": "largest factor over a layer's median in the looks before",
}
CONSISTENCY_METRICS = {
    "train_mode_shift": "distance of the same latents in eval and in train mode, in distances of two real images",
    "eval_mode_gap": "distance of the mean features in eval mode from the real ones, in the same units",
    "train_mode_gap": "the same in train mode",
    "live_shift": "distance of the same latents under the averaged and the live generator",
    "live_gap": "distance of the live generator's mean features from the real ones",
}
SNAPSHOT_METRICS = {**HOPPING_METRICS, **OSCILLATION_METRICS, **SPECTRUM_METRICS, **CONSISTENCY_METRICS}
RECENT = 10
"""Last looks of a training over which mode hopping is measured: earlier ones change because they learn."""
MOST_SHARES = 2000
"""Looks times classes, at most: the covariance has as many columns."""
MOST_SPREAD = 1000
"""Real images for the unit of distances."""
WEIGHTS = "a property of the weights, without sampling"


def snapshot_rows(match: Match, wanted: Collection[str]) -> list[Row]:
    """The wanted rows of SNAPSHOT_METRICS that can be computed for this GAN, and the others of their groups."""
    return [row for words, rows_of in GROUPS if words.keys() & set(wanted) for row in rows_of(match)]


def _hopping(match: Match) -> list[Row]:
    """From the log where it counts classes, else from the checkpoints beside this one."""
    counts = [row["mode_counts"] for row in match.looks if len(row.get("mode_counts") or ()) > 1]
    if len(counts) >= 2:
        counts = counts[-min(RECENT, max(2, MOST_SHARES // len(counts[-1]))) :]
        found, size = hopping_of_counts(counts, seed=match.seed), sum(counts[-1])
        text = (
            f"{len(counts)} looks of the log, {size} images each; about {found.floor:.2g} by chance where a look is a "
        )
        text += "new draw, less with common latents, for which the interval is too wide"
        text += f"; classes by {match.looks[-1]['judge']}" if "judge" in match.looks[-1] else ""
    else:
        classes, num_classes, steps = _snapshot_classes(match)
        if len(steps) < 2:
            return []
        found, size = hopping_of_samples(classes, num_classes=num_classes, seed=match.seed), classes.shape[1]
        counts = [torch.bincount(one, minlength=num_classes).tolist() for one in classes]
        text = f"checkpoints of steps {', '.join(map(str, steps))}, {size} common latents{_seer(match)}"
    interval = "mean total variation of neighbours; parametric bootstrap interval about the expectation at these sizes"
    changed = float(modes_changed(counts))
    return [
        ("mode_hopping", mean_hopping(found), size, f"{text}; {interval}"),
        ("modes_changed", Estimate(changed, *UNKNOWN), size, f"{text}; a rare class may be missed, so no interval"),
    ]


def _seer(match: Match) -> str:
    return f"; classes by {match.extractor.title}" if match.extractor else ""


def _snapshot_classes(match: Match) -> tuple[Tensor, int, list[int]]:
    """Classes (T, N) that the snapshots draw from common latents, the number of classes, and the steps."""
    extractor, nothing = match.extractor, (torch.zeros(0, 0), 0, list[int]())
    if extractor is None or not (match.real is None or match.real.counts_classes) or len(match.snapshots) < 2:
        return nothing
    home = home_of(match.gan.generator)
    gans = {gan.step: gan for path in match.snapshots for gan in [load_gan(path, device=home)]}
    steps = sorted(step for step, gan in gans.items() if _same_run(gan, match.gan))
    seen = [extract(extractor, _drawn(match, gans[step].generator)) for step in steps]
    if not all(one.counts_classes for one in seen):
        return nothing
    classes = torch.stack([one.classes.cpu() for one in seen])
    return classes, seen[0].probabilities.shape[1], steps


def _same_run(one: TrainedGan, other: TrainedGan) -> bool:
    return (one.networks, one.training, one.data_digest) == (other.networks, other.training, other.data_digest)


def _oscillation(match: Match) -> list[Row]:
    pairs = [
        (
            value_of(row, ("discriminator", "real_probability_held_out")),
            value_of(row, ("discriminator", "fake_probability")),
        )
        for row in match.looks
    ]
    series = [real - fake for real, fake in pairs if real is not None and fake is not None]
    text = "D(x) - D(G(z))"
    if not series:
        estimates = [value_of(row, ("discriminator", "wasserstein_estimate")) for row in match.looks]
        series, text = [value for value in estimates if value is not None], "the Wasserstein estimate"
    found = oscillation(series, seed=match.seed)
    if math.isnan(found.strength):
        return []
    text = f"largest autocorrelation of {text} without its trend, at a period of {found.period} of {len(series)} looks"
    return [
        ("oscillation", Estimate(found.strength, *UNKNOWN), len(series), f"{text}; a largest value has no interval"),
        ("oscillation_p_value", found.p_value, len(series), f"{text}, in {ORDERS} shuffled orders; Wilson interval"),
    ]


def _spectra(match: Match) -> list[Row]:
    rows: list[Row] = []
    players = {"generator": match.gan.generator, "discriminator": match.gan.game.discriminator}
    for player, network in players.items():
        layers = layer_spectra(network)
        if layers:
            layer = max(layers, key=lambda name: layers[name])
            text = f"of {len(layers)} layers, in {layer}; as the weight computes, by the power method; {WEIGHTS}"
            rows.append((f"largest_singular_value[{player}]", _exact(layers[layer]), len(layers), text))
        known = [row["singular_values"][player] for row in match.looks if row.get("singular_values")]
        if len(known) >= 2 and all(len(values) == len(known[-1]) for values in known):
            text = f"last look over the median of the {len(known) - 1} before, layer by layer; {WEIGHTS}"
            rows.append((f"singular_value_growth[{player}]", _exact(growth(known)), len(known), text))
    return rows


def _consistency(match: Match) -> list[Row]:
    if match.extractor is None or match.real is None:
        return []
    generator, real = match.gan.generator, match.real
    chosen = real.values[:: max(1, len(real) // MOST_SPREAD)][:MOST_SPREAD]
    unit = spread(chosen, torch.zeros(len(chosen), dtype=torch.int64), num_classes=1).overall
    if not unit > 0:
        raise ValueError(f"the {len(chosen)} real images are all alike: distances have no unit")
    real_mean = real.values.double().mean(dim=0)
    own = _seen(match, _drawn(match, generator))
    text = f"{len(own)} latents, unit {unit:.4g} of the features; {match.extractor.words}"
    distances = f"{text}; t interval over batches of {BATCH}"
    means = f"{text}; jackknife interval about the expectation at this size"

    def gap_row(word: str, values: Tensor) -> Row:
        return word, gap(values, real_mean=real_mean, unit=unit, batch_size=BATCH, seed=match.seed), len(values), means

    rows = [gap_row("eval_mode_gap", own)]
    if len(own) >= 2 * BATCH and has_running_statistics(generator):
        indices = _indices(match)
        labels = _labels(match, generator)
        again = drawn_in_train_mode(generator, draw(generator, indices, seed=match.seed), labels, batch_size=BATCH)
        batch = _seen(match, again)
        rows.append(("train_mode_shift", moved(own, batch, unit=unit, batch_size=BATCH), len(own), distances))
        rows.append(gap_row("train_mode_gap", batch))
    if match.gan.path.is_file():
        live = _seen(match, _drawn(match, load_state(match.gan.path, device=home_of(generator)).generator))
        rows.append(("live_shift", moved(own, live, unit=unit), len(own), f"{text}; t interval"))
        rows.append(gap_row("live_gap", live))
    return rows


def _indices(match: Match) -> Tensor:
    return torch.arange(min(16 * BATCH, len(match.fakes)))


def _drawn(match: Match, generator: Generator) -> Tensor:
    indices = _indices(match).to(next(generator.parameters()).device)
    latents = draw(generator, indices, seed=match.seed)
    return decode(generator, latents, _labels(match, generator), batch_size=match.batch_size, device="cpu")


def _labels(match: Match, generator: Generator) -> Tensor | None:
    """(n,) labels of the images that are drawn again; None of an unconditional generator."""
    if match.labels is None or not generator.num_classes:
        return None
    return match.labels[_indices(match)].to(home_of(generator))


def _seen(match: Match, images: Tensor) -> Tensor:
    assert match.extractor is not None
    return extract(match.extractor, images, batch_size=match.batch_size).values


def _exact(value: float) -> Estimate:
    return Estimate(value, value, value)


GROUPS: tuple[tuple[dict[str, str], Callable[[Match], list[Row]]], ...] = (
    (HOPPING_METRICS, _hopping),
    (OSCILLATION_METRICS, _oscillation),
    (SPECTRUM_METRICS, _spectra),
    (CONSISTENCY_METRICS, _consistency),
)
