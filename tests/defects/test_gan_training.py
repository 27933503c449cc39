"""Defects of other GAN libraries that training here must not have."""

from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from advgan.config import GanNetworks, GanTraining
from advgan.data import ImageSet
from advgan.gan.game import DISCRIMINATOR_TERMS, generator_turn
from advgan.gan.losses import LOSSES
from advgan.gan.penalties import gradient_penalty
from advgan.gan.rounds import Round, make, rounds, see
from advgan.gan.state import State, start
from advgan.gan.training import Step, train
from advgan.machine.processes import Processes
from advgan.models.gans.families import build_discriminator, build_generator
from advgan.sampling.stored import load_state, save_gan

DATA = {"name": "toy", "digest": "0" * 12, "classes": ["a", "b", "c"], "size": 8, "channels": 1}


def images(count: int = 40) -> ImageSet:
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (count, 1, 8, 8), dtype=torch.uint8, generator=generator)
    return ImageSet(pixels, torch.arange(count) % 3, ("a", "b", "c"), "toy")


def plan(**options: Any) -> tuple[GanNetworks, GanTraining]:
    chosen = {key: options.pop(key) for key in list(options) if key in GanNetworks.model_fields}
    networks = GanNetworks.model_validate({"family": "dcgan", "width": 4, "latent_dim": 6, **chosen})
    return networks, GanTraining.model_validate({"steps": 6, "batch_size": 8, "seed": 5, **options})


def begin(**options: Any) -> tuple[State, GanTraining]:
    networks, training = plan(**options)
    return start(networks, training, size=8, channels=1, num_classes=3), training


def first_parts(state: State, training: GanTraining, count: int) -> list[Round]:
    return [parts[0] for parts in islice(rounds(state, images(), training, Processes()), count)]


def test_torchgan_takes_the_penalty_of_the_gradient_norm_of_the_whole_batch() -> None:
    """There the norm is taken over the batch tensor, so the penalty of a critic with slope 1 grows with the batch."""
    weight = torch.full((1, 8, 8), 1 / 8)
    real, fake = torch.zeros(32, 1, 8, 8), torch.ones(32, 1, 8, 8)
    penalty = gradient_penalty(
        lambda pictures, labels: (pictures * weight).flatten(1).sum(1), real, fake, None, mixing=torch.rand(32)
    )
    assert float(penalty) == pytest.approx(0, abs=1e-10)


def test_torchgan_draws_one_interpolation_point_for_the_whole_batch() -> None:
    """There one scalar places all pairs at the same share between real and fake."""
    state, training = begin(loss="wasserstein", family="mlp")
    (part,) = first_parts(state, training, 1)
    seen: list[Tensor] = []
    handle = state.discriminator.register_forward_hook(  # type: ignore[attr-defined]
        lambda module, given, out: seen.append(given[0].detach())
    )
    sight = see(state, training, part, torch.full_like(part.real, 3.0), generator=False)
    DISCRIMINATOR_TERMS["gradient_penalty"](sight)
    handle.remove()
    shares = ((seen[0] - 3) / (part.real - 3)).flatten(1).mean(1)
    assert len(set(shares.mul(1000).round().tolist())) == 8


def test_pytorch_gan_runs_the_generator_backward_in_every_critic_step() -> None:
    """There the critic's loss is not detached from the generator, whose whole backward pass is wasted."""
    state, training = begin(loss="wasserstein", discriminator_steps=3)
    calls: list[bool] = []
    state.generator.register_forward_hook(  # type: ignore[attr-defined]
        lambda module, given, out: calls.append(out.requires_grad)
    )
    next(train(state, images(), training))
    assert calls == [False, False, True]


def test_mimicry_gathers_the_discriminators_gradients_in_the_generators_step() -> None:
    """There D's weights get gradients in the generator's step that are thrown away."""
    state, training = begin()
    gathered: list[int] = []
    for parameter in state.discriminator.parameters():
        parameter.register_post_accumulate_grad_hook(lambda tensor: gathered.append(1))
    next(train(state, images(), training))
    assert len(gathered) == len(list(state.discriminator.parameters()))


def test_torch_fidelity_example_feeds_one_real_batch_to_all_critic_steps() -> None:
    """There a single real batch serves all five critic steps."""
    state, training = begin(loss="wasserstein", discriminator_steps=3)
    parts = first_parts(state, training, 3)
    assert not any(torch.equal(parts[0].real, other.real) for other in parts[1:])
    step = next(train(state, images(), training))
    assert step.images_seen == 24


def test_mimicry_calls_the_non_saturating_loss_minimax() -> None:
    """There `minimax_loss_gen` asks for target 1, so its gradient is largest where the minimax one vanishes."""
    fake = torch.tensor([-20.0], requires_grad=True)
    LOSSES["minimax"].generator(fake, fake.detach()).backward()
    assert fake.grad is not None
    assert -1e-8 < float(fake.grad) < 0


def test_torchgan_information_term_has_no_gradient() -> None:
    """There the term wraps tensors of the graph into a new one, and nothing reaches the generator."""
    state, training = begin(categorical=3, continuous=2, adversarial=0, feature_matching=1e-9)
    (part,) = first_parts(state, training, 1)
    sight = see(state, training, part, make(state, part), generator=True)
    generator_turn(sight, LOSSES["non-saturating"], {"information": 1.0}).terms["information"].backward()
    assert all(parameter.grad is not None for parameter in state.generator.parameters())
    assert any(float(parameter.grad.abs().max()) > 0 for parameter in state.generator.parameters())  # type: ignore[union-attr]


def test_stylegan3_replaces_nan_gradients_by_numbers() -> None:
    """There `nan_to_num` masks broken gradients, and training goes on as if nothing had happened."""
    state, training = begin(family="mlp")
    steps = train(state, images(), training)
    next(steps)
    with torch.no_grad():
        next(state.generator.parameters())[0, 0] = float("nan")
    broken = next(steps)
    assert broken.generator_gradient.isnan()


def test_stylegan3_resumes_from_the_start_of_its_schedule_without_its_optimisers(tmp_path: Path) -> None:
    """There only weights are saved, the count of images restarts and the optimisers are new."""
    state, training = begin(schedule="linear")
    networks, _ = plan(schedule="linear")
    list(islice(train(state, images(), training), 4))
    save_gan(tmp_path / "last.safetensors", state, networks, training, data=DATA)
    resumed = load_state(tmp_path / "last.safetensors")
    step = next(train(resumed, images(), training))
    assert (step.step, step.images_seen) == (5, 40)
    assert resumed.generator_optimizer.param_groups[0]["lr"] == pytest.approx(2e-4 * (1 - 4 / 6))
    moments = resumed.generator_optimizer.state_dict()["state"]
    assert {float(moment["step"]) for moment in moments.values()} == {5.0}


def test_torchgan_cannot_resume_what_it_keeps_in_lists(tmp_path: Path) -> None:
    """There a mistyped key makes every resumed run with list items crash; ours keeps historical averages in lists."""
    networks, training = plan(historical_averaging=0.1)
    state = start(networks, training, size=8, channels=1, num_classes=3)
    list(islice(train(state, images(), training), 2))
    save_gan(tmp_path / "last.safetensors", state, networks, training, data=DATA)
    resumed = load_state(tmp_path / "last.safetensors")
    assert len(resumed.generator_mean) > 0
    for found, expected in zip(resumed.generator_mean, state.generator_mean, strict=True):
        assert torch.equal(found, expected)


def test_mimicry_refuses_to_resume_with_more_steps() -> None:
    """There any changed setting, the number of steps too, is an error."""
    state, training = begin()
    list(train(state, images(), training))
    more = training.model_copy(update={"steps": 8})
    assert [step.step for step in train(state, images(), more)] == [7, 8]


def test_studiogan_takes_one_step_more_than_asked_for() -> None:
    """There the loop runs total_steps + 1 times."""
    state, training = begin()
    assert [step.step for step in train(state, images(), training)] == [1, 2, 3, 4, 5, 6]


def test_pytorch_gan_gives_batch_norm_an_epsilon_of_four_fifths() -> None:
    """There BatchNorm2d(channels, 0.8) sets eps, meant for the momentum."""
    state, _ = begin()
    norms = [module for module in state.generator.modules() if isinstance(module, nn.BatchNorm2d)]
    assert norms
    assert {norm.eps for norm in norms} == {1e-5}


@pytest.mark.parametrize("channels", [1, 3])
def test_studiogan_draws_three_channels_whatever_the_data(channels: int) -> None:
    """There 3 is written into the networks, so grey images need edits in several files."""
    shape = {"size": 8, "channels": channels, "num_classes": 0}
    networks, _ = plan()
    drawn = build_generator(networks, **shape)(torch.zeros(2, 6))
    assert drawn.shape == (2, channels, 8, 8)
    assert build_discriminator(networks, **shape)(drawn).shape == (2,)


def test_studiogan_has_switches_that_do_nothing() -> None:
    """There a comparison stands for an assignment, and the setting has no effect; here a family refuses it."""
    with pytest.raises(ValueError, match=r"networks\.sparse True: family mlp has no such setting"):
        begin(family="mlp", sparse=True)


def test_a_joined_batch_mixes_the_statistics_of_real_and_generated_images() -> None:
    """Loops that pass both in one batch hide from batch norm how they differ (ganhacks, number 4)."""
    networks, training = plan()
    state = start(networks, training, size=16, channels=1, num_classes=3)
    large = ImageSet(images().images.repeat(1, 1, 2, 2), images().labels, ("a", "b", "c"), "toy")
    part = next(rounds(state, large, training, Processes()))[0]
    fake = make(state, part).detach()
    sight = see(state, training, part, fake, generator=False)
    joined = state.discriminator(torch.cat([part.real, fake]))
    torch.testing.assert_close(sight.real_logits, state.discriminator(part.real))
    torch.testing.assert_close(sight.fake_logits, state.discriminator(fake))
    assert (sight.real_logits - joined[:8]).abs().max() > 1e-3


def test_mimicry_reads_the_device_in_every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """There sixteen values are read an iteration, each a wait for the GPU; here none is, whatever the terms."""
    state, training = begin(
        loss="relativistic",
        r1=1,
        lecam=0.1,
        augmentation=("colour",),
        augmentation_target=0.6,
        historical_averaging=0.1,
    )
    steps = train(state, images(), training)
    next(steps)

    def refuse(self: Tensor, *arguments: Any) -> None:
        raise AssertionError("a step read a value from the device")

    for name in ("item", "tolist", "numpy", "__bool__", "__int__", "__float__", "__index__"):
        monkeypatch.setattr(Tensor, name, refuse)
    assert isinstance(next(steps), Step)
