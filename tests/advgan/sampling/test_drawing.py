import pytest
import torch
from torch import Tensor

from advgan.config import GanNetworks
from advgan.models.gans.families import GANS, build_generator
from advgan.models.interface import Generator
from advgan.models.latents import LatentSpace, latents
from advgan.sampling.classes import sample_labels, with_class_counts
from advgan.sampling.drawing import decode, sample
from advgan.sampling.truncation import truncate
from attacks.random import seeded

FAMILIES = [name for name, family in GANS.items() if family.sizes(12)]


def generator_of(family: str, *, conditional: bool = False, kind: str = "normal") -> Generator:
    """A generator whose running statistics and weights are not those of the start."""
    networks = GanNetworks.model_validate(
        {"family": family, "width": 8, "latent_dim": 5, "conditional": conditional, "latent_kind": kind}
    )
    with seeded(3):
        generator = build_generator(networks, size=12, channels=3, num_classes=4)
        for _ in range(3):
            generator(torch.randn(16, 5), torch.arange(16) % 4)
    return generator


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("conditional", [False, True])
@pytest.mark.parametrize("batch_size", [1, 7, 64])
def test_a_sample_is_the_same_at_any_batch_size_and_in_any_company(
    family: str, conditional: bool, batch_size: int
) -> None:
    generator = generator_of(family, conditional=conditional)
    whole = sample(generator, 20, seed=5)
    torch.testing.assert_close(sample(generator, 20, seed=5, batch_size=batch_size), whole, atol=1e-5, rtol=0)
    chosen = torch.tensor([13, 2, 13, 7])
    picked = sample(generator, chosen, seed=5, batch_size=batch_size)
    torch.testing.assert_close(picked, whole[chosen], atol=1e-5, rtol=0)


def test_other_indices_and_other_seeds_give_other_samples() -> None:
    generator = generator_of("mlp")
    images = sample(generator, 6, seed=0)
    assert torch.cdist(images.flatten(1), images.flatten(1)).add(torch.eye(6)).min() > 1e-3
    assert (images - sample(generator, 6, seed=1)).flatten(1).norm(dim=1).min() > 1e-3


def test_samples_are_unit_images_on_the_asked_device_without_a_graph() -> None:
    images = sample(generator_of("dcgan"), 9, device="cpu")
    assert images.shape == (9, 3, 12, 12)
    assert images.dtype == torch.float32
    assert 0 <= float(images.min()) < float(images.max()) <= 1
    assert not images.requires_grad


class Echo(torch.nn.Module):
    """Draws its latents, then its label, as pixels: what `sample` fed it can be read off."""

    space, num_classes = LatentSpace(noise_dim=3, kind="uniform"), 4

    def __init__(self) -> None:
        super().__init__()
        self.anchor = torch.nn.Parameter(torch.zeros(()))

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        assert not self.training
        assert labels is not None
        return torch.cat([latents, labels[:, None] / 4], dim=1)[:, None, None, :] + self.anchor


def test_the_default_classes_are_those_of_sample_labels() -> None:
    generator = with_class_counts(Echo(), (0, 1, 3, 0))
    images, labels = (
        sample(generator, torch.tensor([0, 1, 5, 11]), seed=2),
        sample_labels(generator, torch.arange(12), seed=2),
    )
    assert labels is not None
    assert (images[:, 0, 0, 3] * 2 - 1).mul(4).tolist() == labels[[0, 1, 5, 11]].tolist()
    assert set(labels.tolist()) == {1, 2}
    expected = latents(2, torch.tensor([0, 1, 5, 11]), dim=3, kind="uniform")
    torch.testing.assert_close(images[:, 0, 0, :3] * 2 - 1, expected)


def test_chosen_classes_are_drawn_and_leave_the_latents_alone() -> None:
    images = sample(Echo(), 4, labels=torch.tensor([3, 3, 0, 2]), batch_size=3)
    assert (images[:, 0, 0, 3] * 2 - 1).mul(4).tolist() == [3, 3, 0, 2]
    assert torch.equal(images[:, 0, 0, :3], sample(Echo(), 4)[:, 0, 0, :3])


@pytest.mark.parametrize("training", [True, False])
def test_sampling_uses_eval_mode_and_leaves_no_trace(training: bool) -> None:
    generator = generator_of("dcgan").train(training)
    before = {name: value.clone() for name, value in generator.state_dict().items()}
    sample(generator, 10, batch_size=4)
    assert generator.training is training
    assert all(torch.equal(value, before[name]) for name, value in generator.state_dict().items())


def test_truncation_cuts_the_noise_of_each_sample_alone() -> None:
    generator = generator_of("mlp")
    whole = sample(generator, 20, truncation=0.5)
    latents = truncate(generator.space.draw(0, torch.arange(20)), 0.5)
    torch.testing.assert_close(whole, decode(generator, latents), atol=1e-5, rtol=0)
    some = torch.tensor([11, 3])
    torch.testing.assert_close(sample(generator, some, truncation=0.5), whole[some], atol=1e-5, rtol=0)
    with pytest.raises(ValueError, match="uniform latents have no tails"):
        sample(Echo(), 3, truncation=0.5)


def test_an_unconditional_generator_has_no_classes_to_sample() -> None:
    assert sample_labels(generator_of("mlp"), torch.arange(3)) is None
    with pytest.raises(ValueError, match="unconditional: it draws no chosen class"):
        sample(generator_of("mlp"), 3, labels=torch.zeros(3, dtype=torch.int64))


def test_labels_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="2 labels were given for 3 samples"):
        sample(Echo(), 3, labels=torch.zeros(2, dtype=torch.int64))
    with pytest.raises(ValueError, match="labels span 0 to 4, this generator knows the classes 0 to 3"):
        sample(Echo(), 3, labels=torch.tensor([0, 4, 1]))


@pytest.mark.parametrize(("kind", "deviation"), [("normal", 1.0), ("uniform", 3**-0.5)])
def test_latents_have_the_stated_law_and_streams_are_independent(kind: str, deviation: float) -> None:
    codes = latents(0, torch.arange(4000), dim=8, kind=kind)
    assert codes.shape == (4000, 8)
    assert float(codes.mean()) == pytest.approx(0, abs=0.02)
    assert float(codes.std()) == pytest.approx(deviation, abs=0.02)
    assert (float(codes.abs().max()) <= 1) == (kind == "uniform")
    other = latents(0, torch.arange(4000), dim=8, kind=kind, stream=1)
    assert abs(float(torch.corrcoef(torch.stack([codes.flatten(), other.flatten()]))[0, 1])) < 0.03


def test_an_unknown_kind_of_latents_is_refused() -> None:
    with pytest.raises(ValueError, match="latent_kind is 'cauchy'"):
        latents(0, torch.arange(2), dim=3, kind="cauchy")
