"""Panels of a GAN's training for the report: curves and sample grids from the rows of its log."""

import math
from collections.abc import Sequence
from typing import Any

from advgan.data import Data
from advgan.gan.losses import LOSSES
from advgan.storage.runs import Run
from evaluation.jobs.train.config import TrainConfig
from evaluation.jobs.train.loop import Row, looks
from evaluation.report.panels import Cell, CurvePanel, ImagePanel, Line, Panel, Picture, Series, TablePanel
from evaluation.report.text import format_rate
from evaluation.watching.critic_curve import critic_correlation
from evaluation.watching.followed_distance import FRECHET, followed_name

STRIP = 6  # sample grids of the report, spread evenly over training
SHOWN_LOOKS = 12  # rows of the table of classes
MOST_CLASSES = 20
SECTION = "Training"
STEPS = "generator steps"


def training_panels(run: Run, rows: Sequence[Row], config: TrainConfig, data: Data) -> list[Panel]:
    """Curves of losses, probabilities and distance, then of the diagnostics; last the samples of fixed latents."""
    evaluations = looks(rows)
    critic = config.training.loss == "wasserstein"  # whose scores have no zero, so no probability and no right side
    panels: list[Panel | None] = [
        _losses(rows, config),
        None if critic else _probabilities(rows),
        _distance(evaluations, followed_name(data)),
        None if critic else _accuracies(rows, evaluations),
        _memory(evaluations),
        _diversity(evaluations),
        _gradients(rows),
        _slopes(evaluations),
        _singular_values(evaluations),
        _terms(rows),
        _augmentation(rows, config),
        _classes(evaluations, data),
        _alarms(evaluations),
        _strip(run),
    ]
    return [panel for panel in panels if panel is not None]


def _losses(rows: Sequence[Row], config: TrainConfig) -> Panel:
    loss = LOSSES[config.training.loss]
    ends = {"D": loss.discriminator_equilibrium, "G": loss.generator_equilibrium}
    lines = [Line(f"{player} at equilibrium", value) for player, value in ends.items()]
    caption = "Dashed: the value of each loss where the discriminator cannot tell real from generated."
    if config.training.loss == "wasserstein":
        lines = [Line("no distance", 0.0)]
        caption = f"Dashed: where the critic tells nothing apart; G has no such value.{_promise(looks(rows), config)}"
    return CurvePanel(
        title="Losses",
        section=SECTION,
        caption=caption,
        x_label=STEPS,
        y_label="loss",
        series=(_series("discriminator", rows, "discriminator_loss"), _series("generator", rows, "generator_loss")),
        lines=tuple(lines),
    )


def _promise(evaluations: Sequence[Row], config: TrainConfig) -> str:
    """A caption on the rank correlation of a critic's loss with the distance."""
    known = [row for row in evaluations if math.isfinite(row["distance"])]
    losses, distances = ([row[name] for row in known] for name in ("discriminator_loss", "distance"))
    found = critic_correlation(losses, distances, seed=config.training.seed)
    if math.isnan(found.value):
        return ""
    return (
        f" Minus the critic's loss should fall with the distance: rank correlation over {found.looks} evaluations is "
        f"{found.value:.2f}, and {format_rate(found.p_value)} of permutations correlate as well."
    )


def _probabilities(rows: Sequence[Row]) -> Panel:
    return CurvePanel(
        title="D(x) and D(G(z))",
        section=SECTION,
        caption="Mean probability that the discriminator gives to real and to generated images.",
        x_label=STEPS,
        y_label="probability",
        series=(_series("D(x)", rows, "real_probability"), _series("D(G(z))", rows, "fake_probability")),
        lines=(Line("equilibrium", 0.5),),
    )


def _distance(evaluations: Sequence[Row], name: str) -> Panel:
    best = min(evaluations, key=lambda row: row["distance"])
    return CurvePanel(
        title="Distance to the real images",
        section=SECTION,
        caption=f"Of the averaged generator at each evaluation: {name}. The best checkpoint is that of step "
        f"{best['step']:,}.",
        x_label=STEPS,
        y_label=name if name == FRECHET else "share of misplaced points",
        series=(
            _series("to training images", evaluations, "distance"),
            *_known(_series("to held-out images", evaluations, "held_out_distance")),
            _series("best", [best], "distance"),
        ),
        log_y=True,
    )


def _accuracies(rows: Sequence[Row], evaluations: Sequence[Row]) -> Panel:
    return CurvePanel(
        title="What the discriminator gets right",
        section=SECTION,
        caption="Shares of images on the right side of 0; both at 100 % for long means that it has won.",
        x_label=STEPS,
        y_label="accuracy",
        series=(
            _series("real, training", rows, "real_accuracy"),
            _series("fake", rows, "fake_accuracy"),
            *_known(_series("real, held out", evaluations, "discriminator", "real_accuracy_held_out")),
        ),
        lines=(Line("chance", 0.5),),
        percent=True,
    )


def _memory(evaluations: Sequence[Row]) -> Panel:
    return CurvePanel(
        title="Whom the discriminator can tell apart",
        section=SECTION,
        caption="Area under the ROC: the share of pairs that it ranks rightly. Training above held-out images means "
        "that it knows its images by heart.",
        x_label=STEPS,
        y_label="area under the ROC",
        series=_known(
            _series("held-out real, fake", evaluations, "discriminator", "real_fake_separation"),
            _series("training, held-out", evaluations, "discriminator", "train_held_out_separation"),
        ),
        lines=(Line("cannot tell", 0.5),),
        percent=True,
    )


def _diversity(evaluations: Sequence[Row]) -> Panel:
    return CurvePanel(
        title="Diversity",
        section=SECTION,
        caption="Mean distance of two generated images over that of two real ones, in features; 1 is as varied as the "
        "data. Copies: share of fakes nearer to a training image than 99 % of held-out images are.",
        x_label=STEPS,
        y_label="ratio to real images",
        series=_known(
            _series("all images", evaluations, "generator", "diversity"),
            _series("within a class", evaluations, "generator", "class_diversity"),
            _series("copies", evaluations, "generator", "copied_share"),
        ),
        lines=(Line("as real images", 1.0),),
    )


def _gradients(rows: Sequence[Row]) -> Panel:
    return CurvePanel(
        title="Gradient norms",
        section=SECTION,
        caption="Euclidean norm over all parameters of a player; a fall to 0 or a rise without end is the end.",
        x_label=STEPS,
        y_label="gradient norm",
        series=(
            _series("discriminator", rows, "discriminator_gradient"),
            _series("generator", rows, "generator_gradient"),
        ),
        log_y=True,
    )


def _slopes(evaluations: Sequence[Row]) -> Panel | None:
    series = _known(
        _series("mean", evaluations, "discriminator", "between_gradient_mean"),
        _series("95 % below", evaluations, "discriminator", "between_gradient_p95"),
    )
    if not series:
        return None
    return CurvePanel(
        title="Slope of the discriminator between real and generated images",
        section=SECTION,
        caption="Norm of the gradient with respect to one image; near 1 it makes a Wasserstein estimate valid.",
        x_label=STEPS,
        y_label="gradient norm",
        series=series,
        lines=(Line("1-Lipschitz", 1.0),),
        log_y=True,
    )


def _singular_values(evaluations: Sequence[Row]) -> Panel:
    def largest(name: str) -> Series:
        values = tuple(max(row["singular_values"][name], default=math.nan) for row in evaluations)
        return Series(name=name, x=_steps(evaluations), y=values)

    return CurvePanel(
        title="Largest singular value of any weight",
        section=SECTION,
        caption="Sudden growth in the generator comes before a collapse.",
        x_label=STEPS,
        y_label="largest singular value",
        series=(largest("discriminator"), largest("generator")),
        log_y=True,
    )


def _terms(rows: Sequence[Row]) -> Panel | None:
    names = rows[-1]["terms"]
    if not names:
        return None
    return CurvePanel(
        title="Further terms of the losses",
        section=SECTION,
        caption="Before their weights.",
        x_label=STEPS,
        y_label="term",
        series=tuple(_series(name.replace("_", " "), rows, "terms", name) for name in names),
    )


def _augmentation(rows: Sequence[Row], config: TrainConfig) -> Panel | None:
    if config.training.augmentation_target is None:
        return None
    return CurvePanel(
        title="Augmented images",
        section=SECTION,
        caption="Share of the images that the discriminator sees augmented, adapted to how well it knows them.",
        x_label=STEPS,
        y_label="share",
        series=(_series("augmented", rows, "augmentation"),),
        percent=True,
    )


def _classes(evaluations: Sequence[Row], data: Data) -> Panel | None:
    counts = [row["mode_counts"] for row in evaluations]
    if not counts[0] or len(counts[0]) > MOST_CLASSES:
        return None
    names = data.classes if len(data.classes) == len(counts[0]) else map(str, range(len(counts[0])))
    rows: list[tuple[Cell, ...]] = []
    for row in _spread_out(evaluations, SHOWN_LOOKS):
        total = max(1, sum(row["mode_counts"]))
        moved = row.get("mode_variation")
        shares = (format_rate(count / total) for count in row["mode_counts"])
        rows.append((row["step"], *shares, "–" if moved is None else format_rate(moved)))
    return TablePanel(
        title="Classes through training",
        section=SECTION,
        caption="Share of each class among the generated images, and how many of the same latents' images would have "
        "to change class to give the evaluation before.",
        columns=("step", *names, "changed"),
        rows=tuple(rows),
    )


def _alarms(evaluations: Sequence[Row]) -> Panel | None:
    raised: list[tuple[Cell, ...]] = [
        (row["step"], code, evidence) for row in evaluations for code, evidence in row.get("alarms", {}).items()
    ]
    if not raised:
        return None
    return TablePanel(title="Alarms", section=SECTION, columns=("step", "alarm", "evidence"), rows=tuple(raised))


def _strip(run: Run) -> ImagePanel:
    """Images of the same latents at several steps of training."""
    chosen = _spread_out(sorted(run.samples.glob("step-*.png")), STRIP)
    items = tuple(Picture(f"samples/{file.name}", f"step {int(file.stem[5:]):,}") for file in chosen)
    return ImagePanel(title="The same latents through training", section=SECTION, items=items, layout="wide")


def _spread_out(items: Sequence[Any], most: int) -> list[Any]:
    """At most so many, evenly, with the first and the last."""
    if len(items) <= most:
        return list(items)
    return [items[round(number * (len(items) - 1) / (most - 1))] for number in range(most)]


def _series(name: str, rows: Sequence[Row], *path: str) -> Series:
    return Series(name=name, x=_steps(rows), y=tuple(_number(row, path) for row in rows))


def _steps(rows: Sequence[Row]) -> tuple[float, ...]:
    return tuple(float(row["step"]) for row in rows)


def _number(row: Row, path: Sequence[str]) -> float:
    """A value of a row; NaN, which leaves a gap in the curve, where it has none."""
    found: Any = row
    for key in path:
        found = found.get(key)
    return float(found) if found is not None and math.isfinite(found) else math.nan


def _known(*series: Series) -> tuple[Series, ...]:
    """Those with at least one value."""
    return tuple(one for one in series if not all(math.isnan(value) for value in one.y))
