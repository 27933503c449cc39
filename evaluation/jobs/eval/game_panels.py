"""Charts of a GAN for the report: reliability diagram of its discriminator, and spectral norms of its layers."""

import math

from torch import Tensor

from advgan.config.gan_training import CROSS_ENTROPY
from advgan.sampling.stored import TrainedGan
from evaluation.game.calibration import reliability
from evaluation.game.discriminator import Judgements
from evaluation.game.layer_spectra import layer_spectra
from evaluation.report.panels import BarPanel, Bars, CurvePanel, Panel, Series

MOST_LAYERS = 60
"""Layers that a chart can show."""


def game_panels(gan: TrainedGan, judged: Judgements | None, *, subject: str = "", section: str = "GAN") -> list[Panel]:
    """The reliability curve, where logits are odds and finite, and the largest singular value of each layer."""
    panels = spectrum_panels(gan, subject=subject, section=section)
    if judged is not None and judged.finite and gan.game.training.loss in CROSS_ENTROPY:
        panels.insert(0, reliability_panel(judged.held_out, judged.fake, subject=subject, section=section))
    return panels


def reliability_panel(
    real_logits: Tensor, fake_logits: Tensor, *, subject: str = "", section: str = "GAN"
) -> CurvePanel:
    """Reliability diagram: share of real images over the discriminator's probability, in bins; empty bins left out."""
    curve = reliability(real_logits, fake_logits)
    said, so, mass = (values[curve.mass > 0].tolist() for values in curve)
    return CurvePanel(
        title=_title("Calibration of the discriminator", subject),
        section=section,
        caption=(
            "Share of held-out real images among all with such a probability, both kinds weighted alike. On the "
            f"diagonal sigmoid(logit) is a probability; the fullest bin holds {max(mass):.0%} of the images."
        ),
        x_label="D(x)",
        y_label="share of real images",
        series=(
            Series(name="discriminator", x=tuple(said), y=tuple(so)),
            Series(name="calibrated", x=(0.0, 1.0), y=(0.0, 1.0), style="dotted"),
        ),
    )


def spectrum_panels(gan: TrainedGan, *, subject: str = "", section: str = "GAN") -> list[Panel]:
    """Bars of the largest singular values of both players; none for a player without weights, or with too many."""
    panels: list[Panel] = []
    for player, network in (("generator", gan.generator), ("discriminator", gan.game.discriminator)):
        found = layer_spectra(network)
        if not 0 < len(found) <= MOST_LAYERS or not all(math.isfinite(value) for value in found.values()):
            continue
        panels.append(
            BarPanel(
                title=_title(f"Largest singular values of the {player}", subject),
                section=section,
                caption="Of each layer, as its weight computes: about 1 under spectral normalisation. One that grows "
                "suddenly comes before collapse.",
                categories=tuple(found),
                series=(Bars(name=player, values=tuple(found.values())),),
                x_label="layer",
                y_label="largest singular value",
            )
        )
    return panels


def _title(what: str, subject: str) -> str:
    return f"{what}, {subject}" if subject else what
