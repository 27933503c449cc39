"""`advgan sample --reject`: discriminator rejection sampling (Azadi et al., 2019)."""

import torch
from torch import Tensor

from advgan.config.gan_training import CROSS_ENTROPY
from advgan.models.interface import Practising
from advgan.sampling.drawing import decode, draw
from advgan.sampling.rejection import Rejection, fit_rejection, reject
from advgan.sampling.stored import TrainedGan
from evaluation.game.discriminator import judge
from evaluation.jobs.sample.config import SampleConfig
from evaluation.jobs.sample.files import Drawing, sample_names
from evaluation.jobs.sample.labels import chosen_labels
from evaluation.jobs.setup import log, progress
from evaluation.record.findings import Finding
from evaluation.record.scores import score_rows
from evaluation.report.pictures import grid_columns
from evaluation.statistics.intervals import Estimate, wilson

IMAGES = 64
BURN_IN = 1 << 40
"""First index of the burn-in, far from every sample's."""
DRAWS = 1000
"""Rejection gives up once so many times the wanted number has been drawn."""


def rejections(config: SampleConfig, gan: TrainedGan) -> Drawing:
    """Draw until enough images are kept; each keeps its index.

    The discriminator sees whole batches, as in training, always the same: batch k holds the samples k * b to
    (k + 1) * b - 1. So its logit of a sample is a function of (seed, index), even where batch norm or minibatch
    features make it depend on the other images of the batch.
    """
    check_rejection(gan)
    block, wanted = gan.game.training.batch_size, config.num_samples or IMAGES

    def logits(indices: Tensor) -> Tensor:
        return _logits(config, gan, indices, block)

    burnt = torch.arange(BURN_IN, BURN_IN + -(-config.burn_in // block) * block)
    rejection = fit_rejection(logits(burnt), percentile=config.reject_percentile)
    with progress(wanted, "keep") as bar:
        kept = reject(
            logits,
            rejection,
            wanted=wanted,
            seed=config.seed,
            block=block,
            most=wanted * DRAWS + block,
            seen=lambda accepted: bar.update(min(accepted, wanted) - bar.n),
        )
    labels = chosen_labels(config, gan, kept.indices)
    latents = draw(gan.generator, kept.indices, seed=config.seed, truncation=config.truncation)
    low, high = wilson(kept.accepted, kept.drawn)
    rate = Estimate(kept.accepted / kept.drawn, low, high)
    return Drawing(
        images=decode(gan.generator, latents, labels, batch_size=config.batch_size, device="cpu"),
        names=sample_names(kept.indices, labels, gan.classes),
        labels=labels,
        columns=grid_columns(len(gan.classes)),
        verdict=f"{wanted:,} of the first {int(kept.indices[-1]) + 1:,} samples of seed {config.seed} kept",
        header=(("rejection", _says(config, rejection, len(burnt))),),
        scores=tuple(
            score_rows(
                [("acceptance_rate", rate, kept.drawn, "share of samples kept, 95 % Wilson interval")],
                subject=f"{gan.networks.family} {gan.digest}",
                data=f"{gan.data_name} {gan.data_digest}",
                setting="drs",
                seed=config.seed,
            )
        ),
        findings=tuple(_findings(gan)),
    )


def check_rejection(gan: TrainedGan) -> None:
    """Raise ValueError for GANs whose discriminator gives no logit for whole single images."""
    if gan.game.networks.packing > 1:
        raise ValueError(
            f"--reject needs a verdict on each image, this discriminator judges {gan.game.networks.packing} together "
            "(networks.packing): leave it out"
        )
    if isinstance(gan.generator, Practising):
        raise ValueError(
            f"--reject needs a discriminator of images, that of family {gan.networks.family} sees parts: leave it out"
        )


def _logits(config: SampleConfig, gan: TrainedGan, indices: Tensor, block: int) -> Tensor:
    labels = chosen_labels(config, gan, indices)
    latents = draw(gan.generator, indices, seed=config.seed, truncation=config.truncation)
    images = decode(gan.generator, latents, labels, batch_size=block)
    return judge(gan.game.discriminator, images, labels, batch_size=block)


def _says(config: SampleConfig, rejection: Rejection, burnt: int) -> str:
    shift = "no shift" if config.reject_percentile is None else f"shift {rejection.shift:.3g}"
    return f"largest logit {rejection.largest:.3g} of {burnt:,} samples of the burn-in, {shift}"


def _findings(gan: TrainedGan) -> list[Finding]:
    """Warn where the discriminator's odds are no density ratio, on which rejection sampling relies."""
    loss, smoothing = gan.game.training.loss, gan.game.training.label_smoothing
    if loss in CROSS_ENTROPY and not smoothing:
        return []
    what = f"label smoothing {smoothing:g}" if loss in CROSS_ENTROPY else f"the {loss} loss"
    finding = Finding(
        "warning",
        "The discriminator's logits are no log-odds",
        f"It was trained with {what}, under which a logit is not log(p_real / p_generated).",
        "The kept images are those that it likes, not those of the real distribution; for that train with "
        f"--loss {CROSS_ENTROPY[1]} and without label smoothing.",
        code="uncalibrated-rejection",
    )
    log.warning("%s: %s", finding.title, finding.evidence)
    return [finding]
