import math
from collections.abc import Callable
from copy import deepcopy
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Bernoulli, Categorical, MixtureSameFamily, MultivariateNormal, Normal, kl_divergence

from advgan.config import Baseline, DataConfig
from advgan.data import ImageSet, load_data
from advgan.data.points import POINTS
from advgan.gan.baselines import MixtureStep, VaeState, fit_mixture, start_vae, train_vae
from advgan.models.gans.mixture import Mixture, MixtureGenerator
from advgan.models.gans.vae import Vae, divergence, normal_loss, squash
from advgan.sampling.drawing import sample
from advgan.sampling.stored import load_gan, load_state, load_vae_state, save_baseline
from attacks.random import normal

DATA: dict[str, Any] = {"name": "digits", "digest": "0123456789ab", "classes": ["a", "b"], "size": 8, "channels": 1}


def images(count: int = 40, *, size: int = 8, channels: int = 1) -> ImageSet:
    pixels = torch.randint(0, 256, (count, channels, size, size), generator=torch.Generator().manual_seed(0))
    return ImageSet(pixels.to(torch.uint8), torch.arange(count) % 2, ("a", "b"))


def settings(kind: str = "vae", **details: Any) -> Baseline:
    return Baseline.model_validate({"kind": kind, "width": 4, "latent_dim": 3, "steps": 6, "batch_size": 8, **details})


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def last(steps: Any) -> MixtureStep:
    return list(steps)[-1]


# Variational autoencoder


def test_the_divergence_is_that_of_torch() -> None:
    mean, log_variance = random(7, 5), random(7, 5, seed=1)
    there = kl_divergence(Normal(mean, (log_variance / 2).exp()), Normal(torch.zeros(5), torch.ones(5))).sum(1)
    assert torch.allclose(divergence(mean, log_variance), there, rtol=1e-5)
    assert divergence(torch.zeros(1, 5), torch.zeros(1, 5)).item() == 0


def test_the_normal_loss_is_that_of_torch() -> None:
    values, mean, log_deviation = random(4, 6), random(4, 6, seed=1), torch.tensor(-0.7)
    there = -Normal(mean, log_deviation.exp()).log_prob(values)
    assert torch.allclose(normal_loss(values, mean, log_deviation), there, rtol=1e-5)


@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
def test_the_bound_is_made_of_both_parts_at_the_sampled_code(likelihood: str) -> None:
    vae = Vae(settings(likelihood=likelihood), size=8, channels=1).eval()
    signed, noise = images(5).unit() * 2 - 1, random(5, 3)
    with torch.no_grad():
        vae.log_deviation.fill_(-0.4)
        lost, apart = vae.bound(signed, noise)
        mean, log_variance = vae.encoder(signed)
        code = Normal(mean, log_variance.exp().sqrt())
        drawn = vae.decoder(mean + code.scale * noise)
        if likelihood == "bernoulli":
            grey = (signed + 1) / 2
            pixels = Bernoulli(probs=(drawn + 1) / 2)
            there = -(grey * pixels.log_prob(torch.ones(())) + (1 - grey) * pixels.log_prob(torch.zeros(())))
        else:
            there = -Normal(drawn, math.exp(-0.4)).log_prob(signed)
    assert torch.allclose(lost, there.flatten(1).sum(1), rtol=1e-4)
    assert torch.allclose(apart, kl_divergence(code, Normal(torch.zeros(3), torch.ones(3))).sum(1), rtol=1e-4)
    assert lost.shape == apart.shape == (5,)


def test_the_decoder_draws_the_probabilities_of_its_logits() -> None:
    assert torch.allclose(squash(random(50) * 5), 2 * (random(50) * 5).sigmoid() - 1, atol=1e-6)


@pytest.mark.parametrize(("size", "channels"), [(8, 1), (28, 1), (12, 3), (9, 1), (32, 3)])
def test_the_decoder_is_a_generator_of_every_size(size: int, channels: int) -> None:
    vae = Vae(settings(), size=size, channels=channels)
    drawn = sample(vae.decoder, 5)
    assert drawn.shape == (5, channels, size, size)
    assert torch.allclose(sample(vae.decoder, torch.tensor([3])), drawn[3:4], atol=1e-6)
    assert vae.bound(drawn * 2 - 1, random(5, 3))[0].shape == (5,)


def test_a_vae_of_tiny_images_is_refused() -> None:
    with pytest.raises(ValueError, match="a vae draws images from 8 pixels up, these have 1: choose kind gaussian-mix"):
        start_vae(settings(), size=1, channels=2)


def test_training_lowers_the_bound_on_digits() -> None:
    data = load_data(DataConfig()).train
    baseline = settings(steps=60, latent_dim=8, batch_size=32, likelihood="gaussian", learning_rate=1e-2)
    steps = list(train_vae(start_vae(baseline, size=8, channels=1), data, baseline))
    first, late = (float(torch.stack([step.bound for step in part]).mean()) for part in (steps[:5], steps[-20:]))
    assert late < first - 20
    assert all(torch.allclose(step.bound, step.reconstruction + step.divergence) for step in steps[:3])
    assert [step.images_seen for step in steps[:3]] == [32, 64, 96]


def weights(state: VaeState) -> dict[str, Tensor]:
    return deepcopy(state.network.state_dict())


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def trained(baseline: Baseline, steps: int | None = None) -> VaeState:
    state = start_vae(baseline, size=8, channels=1)
    for _ in islice(train_vae(state, images(), baseline), steps):
        pass
    return state


def test_a_vae_is_a_function_of_its_seed() -> None:
    torch.manual_seed(5)
    one = weights(trained(settings()))
    torch.manual_seed(6)
    assert same(one, weights(trained(settings())))
    assert not same(one, weights(trained(settings(seed=1))))


@pytest.mark.parametrize("stop", [1, 4, 5])
def test_a_resumed_vae_equals_an_uninterrupted_one(tmp_path: Path, stop: int) -> None:
    path = tmp_path / "vae.safetensors"
    save_baseline(path, trained(settings(), stop), settings(), step=stop, data=DATA)
    resumed = load_vae_state(path)
    assert resumed.step == stop
    assert [step.step for step in train_vae(resumed, images(), settings())] == list(range(stop + 1, 7))
    whole = trained(settings())
    assert same(weights(resumed), weights(whole))
    for index, held in whole.optimizer.state_dict()["state"].items():
        for name, value in held.items():
            assert torch.equal(resumed.optimizer.state_dict()["state"][index][name], value)


def test_using_the_network_between_steps_changes_nothing() -> None:
    state = start_vae(settings(), size=8, channels=1)
    for _ in train_vae(state, images(), settings()):
        sample(state.network.decoder.eval(), 3)
    assert same(weights(state), weights(trained(settings())))


# Gaussian mixture


def made(components: int = 3, coordinates: int = 2) -> Mixture:
    factors = torch.tril(random(components, coordinates, coordinates, seed=2))
    factors.diagonal(dim1=1, dim2=2).abs_().add_(0.3)
    return Mixture(
        torch.tensor([0.2, 0.5, 0.3])[:components],
        4 * random(components, coordinates),
        factors,
        torch.tensor([0.5, -1.0]).view(2, 1, 1),
        torch.tensor([[0.6, 0.8], [-0.8, 0.6]]).view(2, 2, 1, 1),
    )


def test_samples_follow_the_mixture() -> None:
    """Each Gaussian's share, mean and covariance, from a hundred thousand samples sorted by their first latent."""
    mixture, count = made(), 100_000
    generator = MixtureGenerator(mixture)
    latents = generator.space.draw(0, torch.arange(count))
    assert latents.shape == (count, 3)
    points = generator(latents).flatten(1)
    chosen = torch.bucketize(torch.special.ndtr(latents[:, 0]), mixture.weights.cumsum(0)[:-1])
    turn = mixture.basis.flatten(1)
    for number in range(3):
        part = points[chosen == number]
        share = float(mixture.weights[number])
        assert abs(len(part) / count - share) < 4 * (share * (1 - share) / count) ** 0.5
        covariance = turn.T @ mixture.factors[number] @ mixture.factors[number].T @ turn
        mean = mixture.means[number] @ turn + mixture.centre.flatten()
        assert torch.allclose(part.mean(0), mean, atol=4 * float(covariance.diagonal().max() / len(part)) ** 0.5)
        assert torch.allclose(torch.cov(part.T), covariance, atol=0.04 * float(covariance.diagonal().max()))


def test_the_density_of_the_samples_is_that_of_torch() -> None:
    """The entropy by both: mean log-density of our samples and of samples that torch draws from the same mixture."""
    mixture = made()
    centred = mixture._replace(centre=torch.zeros(2, 1, 1), basis=torch.eye(2).view(2, 2, 1, 1))
    ours = MixtureGenerator(centred)(MixtureGenerator(centred).space.draw(1, torch.arange(50_000))).flatten(1)
    there = MixtureSameFamily(
        Categorical(mixture.weights), MultivariateNormal(mixture.means, scale_tril=mixture.factors)
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        theirs = there.sample((50_000,))
    assert there.log_prob(ours).mean().item() == pytest.approx(there.log_prob(theirs).mean().item(), abs=0.03)


def test_one_component_is_a_gaussian() -> None:
    """The fit is the sample's own mean and covariance, and a latent maps to the mean plus a root of it."""
    data = load_data(DataConfig(source="digits")).train
    fitted = last(fit_mixture(data, settings("gaussian-mixture", components=1, latent_dim=64)))
    pixels = data.unit().flatten(1).double() * 2 - 1
    basis = fitted.generator.get_parameter("basis").flatten(1).double()
    factor = fitted.generator.get_parameter("factors")[0].double()
    mean = (
        fitted.generator.get_parameter("means")[0].double() @ basis + fitted.generator.get_parameter("centre").flatten()
    )
    assert torch.allclose(mean, pixels.mean(0), atol=1e-5)
    assert torch.allclose(basis.T @ factor @ factor.T @ basis, torch.cov(pixels.T, correction=0), atol=1e-5)
    assert fitted.is_last


def test_the_first_latent_chooses_and_nothing_else() -> None:
    mixture = made()
    generator = MixtureGenerator(mixture)
    edges = torch.special.ndtri(torch.tensor([1e-7, 0.199, 0.201, 0.699, 0.701, 1 - 1e-7]))
    latents = torch.cat([edges[:, None], torch.zeros(6, 2)], dim=1)
    expected = mixture.means[[0, 0, 1, 1, 2, 2]] @ mixture.basis.flatten(1) + mixture.centre.flatten()
    assert torch.allclose(generator(latents).flatten(1), expected, atol=1e-6)
    assert torch.isfinite(generator(torch.tensor([[40.0, 0, 0], [-40.0, 0, 0]]))).all()


def test_images_are_clipped_and_points_are_not() -> None:
    wide = Mixture(
        torch.ones(1), torch.zeros(1, 1), torch.full((1, 1, 1), 9.0), torch.zeros(1, 2, 2), torch.ones(1, 1, 2, 2)
    )
    assert MixtureGenerator(wide)(torch.tensor([[0.0, 1.0]])).max() == 1
    point = wide._replace(centre=torch.zeros(1, 1, 1), basis=torch.ones(1, 1, 1, 1))
    assert MixtureGenerator(point)(torch.tensor([[0.0, 1.0]])).max() == 9


def test_the_fit_finds_the_modes_of_the_ring() -> None:
    data = load_data(DataConfig(source="ring", count=4000)).train
    steps = list(fit_mixture(data, settings("gaussian-mixture", components=8, latent_dim=5, steps=50)))
    assert [step.step for step in steps] == list(range(1, len(steps) + 1))
    assert [step.is_last for step in steps] == [False] * (len(steps) - 1) + [True]
    points = POINTS["ring"].points(sample(steps[-1].generator, 2000))
    near = POINTS["ring"].distances(points).min(1)
    assert (near.values < 3).float().mean() > 0.97
    assert len(near.indices.unique()) == 8


def test_the_likelihood_never_falls() -> None:
    data = load_data(DataConfig()).train
    steps = list(fit_mixture(data, settings("gaussian-mixture", components=6, steps=20, latent_dim=10)))
    rises = torch.tensor([step.log_likelihood for step in steps]).diff()
    assert len(steps) > 2
    assert (rises > -1e-6).all()


def test_a_mixture_is_a_function_of_its_seed() -> None:
    def drawn(seed: int) -> Tensor:
        data = load_data(DataConfig()).train
        return sample(last(fit_mixture(data, settings("gaussian-mixture", components=5, seed=seed))).generator, 4)

    assert torch.equal(drawn(0), drawn(0))
    assert not torch.equal(drawn(0), drawn(1))


def test_more_components_than_images_are_refused() -> None:
    with pytest.raises(ValueError, match=r"baseline.components 50 exceeds the 40 images .*: use 40 or fewer"):
        next(iter(fit_mixture(images(), settings("gaussian-mixture", components=50))))


# Files


def saved(path: Path, kind: str) -> tuple[Baseline, Callable[[], Tensor]]:
    baseline = settings(kind, components=2)
    if kind == "vae":
        state = trained(baseline)
        save_baseline(path, state, baseline, step=6, data=DATA)
        return baseline, lambda: sample(state.network.decoder, 5, seed=2)
    fitted = last(fit_mixture(images(), baseline))
    save_baseline(path, fitted.generator, baseline, step=fitted.step, data=DATA)
    return baseline, lambda: sample(fitted.generator, 5, seed=2)


@pytest.mark.parametrize("kind", ["vae", "gaussian-mixture"])
def test_a_loaded_baseline_draws_the_same_bits(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "checkpoints" / "best.safetensors"
    baseline, drawn = saved(path, kind)
    found = load_gan(tmp_path)
    assert torch.equal(sample(found.generator, 5, seed=2), drawn())
    assert (found.networks, found.training, found.discriminator) == (baseline, None, None)
    assert (found.networks.family, found.size, found.channels, found.classes) == (kind, 8, 1, ("a", "b"))
    assert isinstance(found.generator, nn.Module)
    assert not any(parameter.requires_grad for parameter in found.generator.parameters())
    assert not found.generator.training
    assert len(found.digest) == 12
    with pytest.raises(ValueError, match=f"is a {kind}, which has no discriminator: give the run of a GAN"):
        _ = found.game


@pytest.mark.parametrize("kind", ["vae", "gaussian-mixture"])
def test_a_baseline_is_no_gan_to_train_on(tmp_path: Path, kind: str) -> None:
    saved(tmp_path / "baseline.safetensors", kind)
    with pytest.raises(ValueError, match="lacks the configuration of a GAN"):
        load_state(tmp_path / "baseline.safetensors")


def test_the_noise_of_codes_is_not_that_of_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the decoder would be scored on the very codes that it was trained on."""
    drawn = list[Tensor]()

    def recorded(*args: Any, **options: Any) -> Tensor:
        drawn.append(normal(*args, **options))
        return drawn[-1]

    monkeypatch.setattr("advgan.gan.baselines.normal", recorded)
    state = trained(settings(), 2)
    sampled = state.network.decoder.space.draw(0, torch.arange(16))
    assert torch.cat(drawn).shape == sampled.shape
    assert (torch.cdist(torch.cat(drawn), sampled) > 0).all()
