from copy import deepcopy

import pytest
import torch
from torch import Tensor

from advgan.config import GanNetworks
from advgan.models.gans.families import build_generator
from advgan.models.interface import Generator
from advgan.models.latents import LatentSpace
from advgan.models.layers.virtual_batch_norm import NUM_REFERENCE, ReferenceBatch, VirtualBatchNorm2d
from attacks.random import normal, seeded

both_modes = pytest.mark.parametrize("training", [True, False])


def maps(rows: int, seed: int = 0) -> Tensor:
    """Maps of three channels with means and scales of their own, float64."""
    noise = normal(seed, torch.arange(rows), (3, 4, 4), dtype=torch.float64)
    return noise * torch.tensor([0.5, 1, 2])[:, None, None] + torch.tensor([-1, 0, 3])[:, None, None]


def layer() -> VirtualBatchNorm2d:
    made = VirtualBatchNorm2d(3).double()
    with torch.no_grad():
        made.weight.copy_(torch.tensor([1.0, 2, 3]))
        made.bias.copy_(torch.tensor([0.0, 1, -1]))
    return made


def generator(labels: str = "concat", *, num_classes: int = 0) -> Generator:
    networks = GanNetworks.model_validate(
        {
            "width": 4,
            "latent_dim": 5,
            "generator_norm": "virtual",
            "generator_labels": labels,
            "conditional": num_classes > 0,
        }
    )
    with seeded(0):
        return build_generator(networks, size=8, channels=1, num_classes=num_classes)


@both_modes
def test_an_example_is_normalised_by_the_reference_and_itself(training: bool) -> None:
    """By hand: each example's pixels weigh 1 / (n + 1), as if it were one more image of the reference batch."""
    everything, norm = maps(NUM_REFERENCE + 5), layer().train(training)
    reference, found = everything[:NUM_REFERENCE], norm(everything)
    for example, result in zip(everything[NUM_REFERENCE:], found[NUM_REFERENCE:], strict=True):
        joined = torch.cat([reference, example[None]])
        for channel in range(3):
            values = joined[:, channel]
            standard = (example[channel] - values.mean()) / (values.var(correction=0) + norm.eps).sqrt()
            expected = standard * norm.weight[channel] + norm.bias[channel]
            torch.testing.assert_close(result[channel], expected, rtol=0, atol=1e-12)


@both_modes
def test_the_reference_is_normalised_by_itself_as_by_batch_norm(training: bool) -> None:
    reference, norm = maps(NUM_REFERENCE), layer().train(training)
    plain = torch.nn.BatchNorm2d(3).double()
    plain.load_state_dict({"weight": norm.weight, "bias": norm.bias}, strict=False)
    torch.testing.assert_close(norm(torch.cat([reference, maps(2, 1)]))[:NUM_REFERENCE], plain(reference))


def test_the_moments_do_not_cancel_far_from_zero() -> None:
    everything = maps(NUM_REFERENCE + 3)
    expected = layer()(everything)
    found = layer().float()((everything + 4096).float())
    torch.testing.assert_close(found.double(), expected, rtol=0, atol=5e-3)


def test_maps_in_half_precision_have_their_statistics_in_full() -> None:
    everything = (maps(NUM_REFERENCE + 3) + 8).bfloat16()
    found = layer().float()(everything)
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found, layer()(everything.double()).bfloat16(), rtol=0.01, atol=0.01)


@both_modes
@pytest.mark.parametrize(("labels", "num_classes"), [("concat", 0), ("concat", 3), ("batch-norm", 3)])
def test_an_image_depends_on_its_own_latents_alone(training: bool, labels: str, num_classes: int) -> None:
    network = generator(labels, num_classes=num_classes).train(training)
    latents = normal(3, torch.arange(6), (5,))
    classes = torch.arange(6) % 3 if num_classes else None
    images = network(latents, classes)
    assert images.shape == (6, 1, 8, 8)
    for row in range(6):
        alone = network(latents[row : row + 1], None if classes is None else classes[row : row + 1])
        torch.testing.assert_close(images[row : row + 1], alone, rtol=0, atol=1e-6)
    other = latents.clone()
    other[1:] *= 7
    torch.testing.assert_close(network(other, classes)[0], images[0], rtol=0, atol=1e-6)


def test_batch_norm_would_couple_the_images() -> None:
    """The control of the test above: it must be able to fail."""
    with seeded(0):
        network = build_generator(GanNetworks(width=4, latent_dim=5), size=8, channels=1, num_classes=0).train()
    latents = normal(3, torch.arange(6), (5,))
    other = latents.clone()
    other[1:] *= 7
    assert (network(other)[0] - network(latents)[0]).abs().max() > 1e-3


def test_the_reference_moves_with_the_weights_and_gradients_flow_through_it() -> None:
    """Scaling the layer before a norm leaves the images as they are, since the reference is scaled with it."""
    network = generator().double()
    latents = normal(3, torch.arange(4), (5,), dtype=torch.float64)
    before = network(latents)
    with torch.no_grad():
        network.seed[0].weight.mul_(100)  # type: ignore[attr-defined]
    norms = [module for module in network.modules() if isinstance(module, VirtualBatchNorm2d)]
    norms[0].eps *= 100**2
    torch.testing.assert_close(network(latents), before)
    # By Euler's theorem a function that no scale changes has a gradient at right angles to the weights.
    norms[0].eps = 0
    weight = network.seed[0].weight  # type: ignore[attr-defined]
    (gradient,) = torch.autograd.grad(network(latents)[:, :, 3, 3].sum(), weight)
    assert gradient.norm() * weight.norm() > 1e-3
    assert (gradient * weight).sum().abs() < 1e-9


def test_a_reference_is_the_same_for_ever_and_has_every_class() -> None:
    space = LatentSpace(5)
    first, second = ReferenceBatch(space, num_classes=3), ReferenceBatch(space, num_classes=3)
    assert torch.equal(first.latents, second.latents)
    assert first.latents.shape == (NUM_REFERENCE, 5)
    assert set(first.labels.tolist()) == {0, 1, 2}
    assert set(first.state_dict()) == {"latents", "labels"}


def test_a_copy_made_between_passes_and_a_loaded_state_draw_the_same() -> None:
    network = generator("batch-norm", num_classes=3)
    latents, classes = normal(3, torch.arange(4), (5,)), torch.tensor([0, 1, 2, 0])
    images = network(latents, classes)
    images.sum().backward()
    assert torch.equal(deepcopy(network)(latents, classes), images)
    loaded = generator("batch-norm", num_classes=3)
    with torch.no_grad():
        for parameter in loaded.parameters():
            parameter.zero_()
    loaded.load_state_dict(network.state_dict())
    assert torch.equal(loaded(latents, classes), images)
