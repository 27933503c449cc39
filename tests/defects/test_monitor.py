"""Defects of other tools in what is watched while a GAN trains, as regression tests here."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from advgan.gan.training import Step
from advgan.machine.processes import Processes
from attacks.random import normal
from evaluation.features.features import Extractor, extract
from evaluation.fidelity.inception_score import inception_score
from evaluation.game.discriminator import graded
from evaluation.game.spectra import largest_singular_values
from evaluation.jobs.train.loop import first_broken, mean_row
from evaluation.watching.alarms import alarms, exhausted


def steps(count: int, **wrong: Any) -> list[Step]:
    """Steps whose values are 1, the first of them with something wrong."""
    values: dict[str, Any] = {
        name: (torch.ones(()),) if name.endswith("gradients") else torch.ones(1 if name.endswith("logits") else ())
        for name in Step._fields
        if name not in ("step", "images_seen", "terms")
    }
    made = [Step(step=number, images_seen=8 * number, terms={}, **values) for number in range(1, count + 1)]
    made[0] = made[0]._replace(**wrong)
    return made


def look(
    number: int, *, discriminator_loss: float = 1.386, separation: float = 0.5, spread: float = 1.0
) -> dict[str, object]:
    return {
        "step": 100 * number,
        "images_seen": 6400 * number,
        "distance": 10.0,
        "discriminator_loss": discriminator_loss,
        "discriminator": {"real_fake_separation": separation, "logit_spread": spread},
    }


def test_stylegan3_nan_to_num_hides_a_gradient_that_is_no_number() -> None:
    """A gradient norm of NaN or infinity in one step of many ends training instead of becoming 0 or 1e5."""
    for value in (math.nan, math.inf, -math.inf):
        assert (
            first_broken(mean_row(steps(50, generator_gradients=(torch.tensor(value),)), Processes()))
            == "generator_gradient"
        )


def test_mimicry_stretches_the_fakes_to_the_full_range_before_it_scores_them() -> None:
    """A generator of faint images is seen as faint: nothing rescales by the smallest and largest of a set."""
    images = 0.4 + 0.2 * torch.rand(20, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    seen: list[Tensor] = []

    def remember(batch: Tensor) -> tuple[Tensor, Tensor]:
        seen.append(batch)
        return batch.flatten(1), torch.ones(len(batch), 1)

    extract(Extractor("plain", "0", remember), images)
    assert 0.39 < float(seen[0].min()) <= float(seen[0].max()) < 0.61


def test_torchgan_scores_one_image_at_a_time_so_that_every_inception_score_is_1() -> None:
    """The score of sure and evenly spread answers is the number of classes; sets too small for a score are refused."""
    sure = torch.eye(10, dtype=torch.float64).repeat(200, 1)
    assert inception_score(sure).value == pytest.approx(10, rel=0.05)
    with pytest.raises(ValueError, match="splits"):
        inception_score(sure[:1])


def test_torchgan_penalty_norm_over_the_whole_batch_reads_one_over_root_n() -> None:
    """The gradient norm of a critic with slope 1 is 1 for each of 64 samples."""

    class Critic(nn.Module):
        num_classes = 0

        def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
            return images.flatten(1)[:, 0]

    norms = graded(Critic(), torch.rand(64, 1, 2, 2), None).gradient_norms  # type: ignore[arg-type]
    assert norms.tolist() == [1.0] * 64


def test_studiogan_loss_stands_still_from_the_first_steps_without_an_alarm() -> None:
    """StudioGAN issue 112: logits that are the same for every image are an alarm at the second look."""
    finding = alarms([look(1, spread=0.0), look(2, spread=0.0)], loss="non-saturating")
    assert [one.code for one in finding] == ["dead-discriminator"]


def test_dcgan_example_discriminator_loss_falls_to_0_without_an_alarm() -> None:
    """pytorch/examples issue 822 (Loss_D to 0, Loss_G to 100) is an alarm after three looks; a warning, not a stop."""
    looks = [look(number, discriminator_loss=0.001, separation=1.0) for number in range(1, 4)]
    (finding,) = alarms(looks, loss="non-saturating")
    assert (finding.code, finding.level) == ("saturated-discriminator", "warning")


def test_studiogan_trains_on_for_most_of_its_time_after_the_best_distance() -> None:
    """Its DCGAN log goes from 49 at 42k to 137 at 200k steps: patience stops it at 62k, with nothing lost."""
    distances = [115 - 66 * (step - 2) / 40 if step <= 42 else 49 + 88 * (step - 42) / 158 for step in range(2, 202, 2)]
    stops = next(count for count in range(1, 101) if exhausted(distances[:count], 10))
    assert 2 * stops == 62
    assert min(distances[:stops]) == min(distances)


def test_studiogan_patience_of_five_looks_would_stop_a_run_that_still_improves() -> None:
    """SNGAN's plateaus between better distances are longer than five looks, and shorter than ten."""
    plateau = [14.46, *[15.0] * 7, 13.25]
    assert exhausted(plateau[:8], 5)
    assert not any(exhausted(plateau[:count], 10) for count in range(1, 10))


def test_studiogan_spectra_move_what_they_measure() -> None:
    """Reading singular values in train mode advances the power iteration of spectral norm: here it does not."""
    layer = nn.utils.parametrizations.spectral_norm(nn.Linear(9, 7)).train()
    before = {name: value.clone() for name, value in layer.state_dict().items()}
    largest_singular_values(layer)
    assert all(torch.equal(before[name], value) for name, value in layer.state_dict().items())


def test_torchgan_logs_gradients_and_so_zeroes_them() -> None:
    """Measuring the discriminator's slope leaves no gradient in its parameters, and none that was there is lost."""
    critic = nn.Sequential(nn.Flatten(), nn.Linear(4, 1), nn.Flatten(0))
    critic(normal(0, torch.arange(3), (1, 2, 2))).sum().backward()
    before = [parameter.grad.clone() for parameter in critic.parameters() if parameter.grad is not None]

    class Labelled(nn.Module):
        num_classes = 0

        def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
            logits: Tensor = critic(images)
            return logits

    graded(Labelled(), torch.rand(5, 1, 2, 2), None)  # type: ignore[arg-type]
    after = [parameter.grad for parameter in critic.parameters()]
    assert all(found is not None and torch.equal(found, kept) for found, kept in zip(after, before, strict=True))
