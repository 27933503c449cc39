"""Panels of the report of `advgan eval`."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from advgan.ranges import to_unit
from attacks.random import permutation
from evaluation.comparing import Difference
from evaluation.features.seen import Seen
from evaluation.jobs.afterwards import Part
from evaluation.jobs.eval.game_panels import game_panels
from evaluation.memorisation.copying import nearest_training
from evaluation.modes.modes import modes
from evaluation.report.panels import BarPanel, Bars, Panel, TablePanel
from evaluation.report.pictures import SHOWN, grid_columns, grids_panel
from evaluation.scoring import Scored
from evaluation.seeing.reference import Reference

MOST_BARS = 100
"""Classes that a chart of their shares can show."""
PAIRS = 20
"""Generated images that are shown beside the training image nearest to them."""
SECTION = "Generator"


def scored_parts(folder: Path, scored: Scored, reference: Reference) -> dict[str, Part]:
    """Panels by name: real and generated images, shares of classes, nearest neighbours, and what the scores hide."""
    seen = scored.seen[0]
    return {
        f"Real beside generated, {scored.subject}": lambda: _known(_grids(folder, scored, seen)),
        f"Classes, {scored.subject}": lambda: _known(_classes(scored, seen)),
        f"Nearest training images, {scored.subject}": lambda: _known(_neighbours(folder, scored, seen)),
        f"The game of {scored.subject}": lambda: _games(scored),
    }


def set_apart(parts: Mapping[str, Part], subject: str) -> dict[str, Part]:
    """The same parts under headings of their own, where a page shows several subjects."""

    def under(make: Part) -> Part:
        return lambda: [replace(panel, section=f"{panel.section}, {subject}") for panel in make()]

    return {name: under(make) for name, make in parts.items()}


def _known(panel: Panel | None) -> list[Panel]:
    return [] if panel is None else [panel]


def _games(scored: Scored) -> list[Panel]:
    gan, match = scored.source.gan, scored.match
    return game_panels(gan, match.judgements, subject=scored.subject) if gan is not None and match is not None else []


def comparison_panel(found: Sequence[Difference]) -> Panel:
    """Which differences are significant, as a table."""
    return TablePanel(
        title="Which differences are significant",
        section="Comparison",
        caption="First minus second; a number of images is what it would take of each to tell. The p-value is Holm's "
        "over all pairs of a metric; the two are taken for independent, which is on the safe side, since both were "
        "held against the same real images.",
        columns=("metric", "difference", "95 % interval", "p", "verdict", "first", "second", "setting"),
        rows=tuple(
            (
                one.metric,
                f"{one.value:+.4g}",
                f"[{one.low:.4g}, {one.high:.4g}]",
                f"{one.p_value:.2g}",
                _verdict(one),
                one.first.subject,
                one.second.subject,
                one.setting,
            )
            for one in found
        ),
    )


def _verdict(one: Difference) -> str:
    if one.is_significant:
        return "significant"
    needed = one.samples_needed
    return f"may be chance; {needed:,} images" if needed else "no difference"


def _grids(folder: Path, scored: Scored, seen: Seen) -> Panel | None:
    real, fake = seen.real.images, seen.fake.images
    if real is None or fake is None:
        return None
    columns = grid_columns(len(seen.classes))
    shown = _unit(fake[: columns * max(1, SHOWN // columns)])
    some = permutation(0, len(real))[: len(shown)]
    return grids_panel(
        folder,
        {"real": _unit(real[some]), "generated": shown},
        title=f"Real beside generated, {scored.subject}",
        name=f"grid-{scored.subject.replace(' ', '-')}",
        section=SECTION,
        columns=columns,
    )


def _classes(scored: Scored, seen: Seen) -> Panel | None:
    real, fake = seen.real.features, seen.fake.features
    if real.is_inception or len(seen.classes) != real.probabilities.shape[1] or not 2 <= len(seen.classes) <= MOST_BARS:
        return None
    found = modes(real, fake)
    counts = {"real": found.real_counts, "generated": found.fake_counts}
    return BarPanel(
        title=f"Classes, {scored.subject}",
        section=SECTION,
        caption=f"Share of images that {real.extractor} assigns to each class.",
        categories=seen.classes,
        series=tuple(Bars(name=name, values=_shares(count)) for name, count in counts.items()),
        x_label="class",
        y_label="share of images",
        percent=True,
    )


def _neighbours(folder: Path, scored: Scored, seen: Seen) -> Panel | None:
    """The fakes nearest to a training image, above those neighbours, to check for copies by eye."""
    real, fake = seen.real.images, seen.fake.images
    if real is None or fake is None or scored.source.points or seen.held_out is None:
        return None
    fakes, reals, held_out = (each.features.values for each in (seen.fake, seen.real, seen.held_out))
    found = nearest_training(fakes, reals, PAIRS, held_out=held_out)
    rows = {"generated": _unit(fake[found.fakes]), "nearest training image": _unit(real[found.neighbours])}
    return grids_panel(
        folder,
        rows,
        title=f"Nearest training images, {scored.subject}",
        name=f"neighbours-{scored.subject.replace(' ', '-')}",
        caption="The generated images that are nearest to a training image, in the features, beside that one. Copies "
        f"would be the same picture. Their distances are {float(found.ratios[0]):.2f} to {float(found.ratios[-1]):.2f} "
        "times the median one of held-out images.",
        section=SECTION,
        columns=10,
    )


def _unit(images: Tensor) -> Tensor:
    return to_unit(images) if images.dtype == torch.uint8 else images


def _shares(counts: Tensor) -> tuple[float, ...]:
    return tuple((counts.double() / counts.sum().clamp(min=1)).tolist())
