"""What goes wrong elsewhere with path lengths and with what generated images teach, and does not here."""

import inspect

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch_fidelity import calculate_metrics, register_interpolation, register_sample_similarity
from torch_fidelity.generative_model_modulewrapper import GenerativeModelModuleWrapper
from torch_fidelity.noise import random_normal
from torch_fidelity.registry import SAMPLE_SIMILARITY_REGISTRY
from torch_fidelity.sample_similarity_base import SampleSimilarityBase

from advgan.config import NetworkConfig
from advgan.data import ImageSet
from advgan.models.latents import LatentSpace
from advgan.ranges import to_bytes, to_unit
from advgan.sampling.interpolation import slerp
from attacks import Classifier
from evaluation.features.features import Extractor, Features
from evaluation.features.seen import Sample
from evaluation.latent.path_length import path_length, path_lengths, trimmed_mean
from evaluation.latent.paths import Ends, draw_ends
from evaluation.use.rows import use_rows

PIXELS = Extractor("pixels", "", lambda images: (images.flatten(1), images.flatten(1).softmax(dim=1)))
BYTES = Extractor("bytes", "", lambda images: PIXELS.function(to_unit(to_bytes(images))))
"""Rounds as torch-fidelity's default does."""
DIM, COUNT, SEED = 8, 200, 2020


class Smooth(nn.Module):
    """Signed images (N, 3, 4, 4) of normal latents."""

    space, num_classes = LatentSpace(DIM), 0

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(48, DIM, generator=torch.Generator().manual_seed(0)) / 6)

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        return (latents @ self.weight.T).tanh().reshape(-1, 3, 4, 4)


class SquaredDistance(SampleSimilarityBase):  # type: ignore[misc]
    """Of images in [0, 1]."""

    def __init__(self, name: str, **options: object) -> None:
        super().__init__(name)

    def forward(self, first: Tensor, last: Tensor) -> Tensor:
        return (first - last).flatten(1).square().sum(dim=1)


class Unit(nn.Module):
    """The generator as torch-fidelity would have it: float images in [0, 1]."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = Smooth()

    def forward(self, z: Tensor) -> Tensor:
        return (self.inner(z) + 1) / 2


def great_circle(first: Tensor, last: Tensor, time: float) -> Tensor:
    """Our way between latents, as torch-fidelity calls one."""
    return slerp(first.double(), last.double(), torch.tensor([time], dtype=torch.float64))[:, 0].float()


def torch_fidelity_ppl(**options: object) -> dict[str, float]:
    """Its own path length of `Smooth` with a plain distance, which needs no weights."""
    if "squared-distance" not in SAMPLE_SIMILARITY_REGISTRY:
        register_sample_similarity("squared-distance", SquaredDistance)
        register_interpolation("great-circle", great_circle)
    return calculate_metrics(
        input1=GenerativeModelModuleWrapper(Unit().eval(), DIM, "normal", 0),
        input1_model_num_samples=COUNT,
        ppl=True,
        ppl_sample_similarity="squared-distance",
        ppl_sample_similarity_resize=None,
        rng_seed=SEED,
        cuda=False,
        verbose=False,
        **options,
    )


def test_torch_fidelity_path_length_needs_a_removed_argument_of_percentile() -> None:
    """With numpy 2.4 its trimming, on by default, raises TypeError; the same rule by `method` does not."""
    assert "interpolation" not in inspect.signature(np.percentile).parameters
    with pytest.raises(TypeError, match="interpolation"):
        torch_fidelity_ppl()
    assert trimmed_mean(np.arange(1000.0)) == pytest.approx(499.5)


def test_torch_fidelity_path_length_agrees_without_trimming() -> None:
    """Of its own latents, with our way between them: its slerp goes at another pace where lengths differ."""
    theirs = torch_fidelity_ppl(
        ppl_discard_percentile_lower=None,
        ppl_discard_percentile_higher=None,
        ppl_z_interp_mode="great-circle",
        ppl_epsilon=1e-2,
    )
    rng = np.random.RandomState(SEED)
    ends = Ends(random_normal(rng, (COUNT, DIM)), random_normal(rng, (COUNT, DIM)), None)
    ours = path_lengths(Smooth(), PIXELS, ends, sampling="end", step=1e-2)
    assert float(ours.mean()) == pytest.approx(theirs["perceptual_path_length_mean"], rel=1e-4)


def test_path_length_of_rounded_images_is_many_times_too_long() -> None:
    """At the paper's step a pixel moves by far less than a grey level, and rounding makes whole levels of it."""
    ends = draw_ends(Smooth(), COUNT)
    long_steps = path_length(path_lengths(Smooth(), PIXELS, ends, step=1e-2)).value
    assert path_length(path_lengths(Smooth(), PIXELS, ends)).value == pytest.approx(long_steps, rel=0.01)
    assert path_length(path_lengths(Smooth(), BYTES, ends)).value > 10 * long_steps


def test_path_length_through_an_extractor_that_rounds_is_of_floats() -> None:
    """`Extractor.rounds` is for images that could be in a file; along a path nothing is rounded whatever it says."""
    ends = draw_ends(Smooth(), 20)
    rounding, floating = (Extractor("pixels", "", PIXELS.function, rounds=rounds) for rounds in (True, False))
    assert torch.equal(path_lengths(Smooth(), rounding, ends), path_lengths(Smooth(), floating, ends))


def test_torch_fidelity_conditional_path_length_needs_a_removed_numpy_type() -> None:
    """Labels are drawn for every path, the same for both images, without `np.int`."""

    class Labelled(Smooth):
        num_classes = 4

        def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
            assert labels is not None
            return super().forward(latents) * (1 - labels.view(-1, 1, 1, 1) / 4)

    ends = draw_ends(Labelled(), 80)
    assert ends.labels is not None
    lengths = path_lengths(Labelled(), PIXELS, ends)
    means = torch.stack([lengths[ends.labels == kind].mean() for kind in range(4)])
    assert bool((means.diff() < 0).all()), means


def test_gan_train_by_generated_images_that_were_never_asked_for_a_class_names_who_labelled_them() -> None:
    """Elsewhere unconditional generators have no such score or a silent one; here the row says whose labels it has."""
    images = torch.zeros(40, 1, 8, 8, dtype=torch.uint8)
    labels = torch.arange(40) % 2
    images[labels == 1] = 200
    real = ImageSet(images, labels, ("dark", "bright"))
    fake = Sample(features=Features(torch.zeros(40, 1), torch.ones(40, 1), "none", ""), images=images)
    with pytest.raises(ValueError, match="no labels; give a classifier"):
        use_rows(fake, real, real, {"gan_train"}, network=NetworkConfig(name="mlp"), steps=1)
    judge = Classifier(nn.Sequential(nn.Flatten(), nn.Linear(64, 2)), name="judge")
    ((_, _, _, protocol),) = use_rows(
        fake, real, real, {"gan_train"}, classifier=judge, network=NetworkConfig(name="mlp"), steps=1
    )
    assert "the labels that judge sees" in protocol
