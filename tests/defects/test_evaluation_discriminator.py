"""Defects of other tools in what they read from a discriminator, as regression tests here."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from advgan.config import GanNetworks, GanTraining
from advgan.data import ImageSet
from advgan.gan.training import start
from advgan.sampling.stored import TrainedGan
from attacks.random import uniform
from evaluation.game.discriminator_fit import judged_together
from evaluation.game.findings import game_findings
from evaluation.game.layer_spectra import layer_spectra
from evaluation.game.match import Match
from evaluation.game.player_gradients import player_gradients
from evaluation.game.rows import game_rows
from evaluation.game.wasserstein import slopes_between

NETWORKS = GanNetworks(family="mlp", width=2, latent_dim=4)
CALIBRATION = ("discriminator_calibration_error", "discriminator_brier_score")


class Critic(nn.Module):
    """The first pixel; where `squared`, half its square, whose slope is the pixel itself."""

    num_classes = 0

    def __init__(self, *, squared: bool = False) -> None:
        super().__init__()
        self.weight, self.squared = nn.Parameter(torch.ones(())), squared

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        pixels = images.flatten(1)[:, 0]
        return self.weight * (pixels.square() / 2 if self.squared else pixels)


def untrained(networks: GanNetworks = NETWORKS, **recipe: Any) -> TrainedGan:
    training = GanTraining(batch_size=16, **recipe)
    state = start(networks, training, size=8, channels=1, num_classes=2)
    return TrainedGan(
        generator=state.average,
        discriminator=state.discriminator.requires_grad_(False).eval(),
        networks=networks,
        training=training,
        data_name="noise",
        data_digest="0",
        classes=("a", "b"),
        size=8,
        channels=1,
        step=1,
        digest="0",
        path=Path("none"),
    )


def noise(seed: int) -> ImageSet:
    pixels = (255 * uniform(seed, torch.arange(64), (1, 8, 8))).to(torch.uint8)
    return ImageSet(pixels, torch.zeros(64, dtype=torch.int64), ("a", "b"))


def match(gan: TrainedGan) -> Match:
    return Match(gan=gan, train=noise(0), held_out=noise(1), fakes=noise(2).unit())


def values(gan: TrainedGan, *wanted: str) -> dict[str, float]:
    return {word: estimate.value for word, estimate, _, _ in game_rows(match(gan), wanted)}


def test_torchgan_gradient_norm_of_a_whole_batch_reads_one_over_root_n() -> None:
    """The Lipschitz constant of a critic of slope 1 is 1 whatever the batch, and not 1 / sqrt(n) of it."""
    real, fake = uniform(0, torch.arange(64), (1, 2, 2)), uniform(1, torch.arange(64), (1, 2, 2))
    for batch_size in (1, 7, 64):
        norms = slopes_between(Critic(), real, fake, None, seed=0, batch_size=batch_size)  # type: ignore[arg-type]
        assert norms.tolist() == [1.0] * 64


def test_torchgan_probes_all_pairs_of_a_batch_at_one_and_the_same_share() -> None:
    """Each pair of a real and a fake image is probed at a share of its own."""
    real, fake = torch.ones(64, 1, 2, 2), torch.zeros(64, 1, 2, 2)
    norms = slopes_between(Critic(squared=True), real, fake, None, seed=0)  # type: ignore[arg-type]
    assert len(norms.unique()) == 64


def test_stylegan3_logs_signs_of_real_logits_only_under_adaptive_augmentation() -> None:
    """r_t and r_v are rows of every GAN, augmented or not."""
    assert set(values(untrained(), "overfitting_signs", "overfitting_share")) == {
        "overfitting_signs",
        "overfitting_share",
    }


def test_stylegan3_nan_to_num_hides_gradients_that_are_no_numbers() -> None:
    """They are counted and named, and the norm is NaN rather than 0 or 1e5."""
    gan = untrained()
    with torch.no_grad():
        list(gan.generator.parameters())[-1].view(-1)[0] = torch.nan
    found = player_gradients(gan, noise(0), num_batches=2)
    assert found.broken > 0
    assert bool(found.generator.isnan().all())
    rows = game_rows(match(gan), ["generator_gradient", "broken_gradients"])
    assert [finding.code for finding in game_findings(rows, loss="non-saturating")] == ["broken-gradients"]


def test_torchgan_zeroes_the_gradients_that_it_logs() -> None:
    """Measuring both players' gradients leaves theirs as they were."""
    gan = untrained()
    kept = [torch.full_like(parameter, 3.0) for parameter in gan.game.discriminator.parameters()]
    for parameter, gradient in zip(gan.game.discriminator.parameters(), kept, strict=True):
        parameter.grad = gradient.clone()
    player_gradients(gan, noise(0), num_batches=2)
    assert all(
        parameter.grad is not None and torch.equal(parameter.grad, gradient)
        for parameter, gradient in zip(gan.game.discriminator.parameters(), kept, strict=True)
    )


def test_mimicry_takes_the_sigmoid_of_every_loss_for_a_probability() -> None:
    """Neither a critic nor a hinge discriminator is asked whether its probabilities are calibrated."""
    for loss in ("wasserstein", "hinge", "least-squares"):
        assert "discriminator_calibration_error" not in values(untrained(loss=loss), *CALIBRATION)
    assert set(values(untrained(loss="minimax"), *CALIBRATION)) == set(CALIBRATION)


def test_studiogan_spectra_move_what_they_measure() -> None:
    """Reading the spectra of both players by layer leaves the vectors of spectral norm where they are."""
    gan = untrained(GanNetworks(family="dcgan", width=2, latent_dim=4, discriminator_norm="spectral"))
    discriminator = gan.game.discriminator.train()
    before = {name: value.clone() for name, value in discriminator.state_dict().items()}
    found = layer_spectra(discriminator)
    assert len(found) >= 2
    assert discriminator.training
    assert all(torch.equal(before[name], value) for name, value in discriminator.state_dict().items())


def test_batches_of_one_kind_tell_a_discriminator_with_batch_statistics_the_kind() -> None:
    """One that answers with the brightness of its batch has a divergence bound near 0, not near ln 2."""

    class Together(Critic):
        def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
            return (self.weight * images.mean()).expand(len(images)) * 100

    bright, dark = 0.2 + torch.zeros(256, 1, 2, 2), torch.zeros(256, 1, 2, 2)
    logits = judged_together(Together(), bright, dark, None, lambda images: images)  # type: ignore[arg-type]
    assert abs(float(logits[0].mean() - logits[1].mean())) < 1
