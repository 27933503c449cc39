import pytest
import torch
from torch import nn

from advgan.config import GanNetworks
from advgan.models.gans.dcgan import depths, sides
from advgan.models.gans.families import GANS, build_discriminator, build_generator
from attacks.random import seeded

EVERY_SIZE = range(8, 65)
every_family = pytest.mark.parametrize("family", GANS)


def sizes_of(family: str) -> list[int]:
    """Sizes to test: all that a family of strided convolutions has to fit, a few of each deeper one."""
    if family == "points":
        return [1]
    tried = EVERY_SIZE if family in ("mlp", "dcgan") else (8, 12, 16, 20, 28, 32)
    return [size for size in tried if GANS[family].sizes(size)]


def networks(family: str, *, conditional: bool = False, width: int = 2) -> GanNetworks:
    return GanNetworks.model_validate(
        {"family": family, "width": width, "latent_dim": 6, "conditional": conditional, "latent_kind": "normal"}
    )


def test_the_table_holds_exactly_the_families_of_the_configuration() -> None:
    assert set(GanNetworks.model_fields["family"].annotation.__args__) == set(GANS)


@every_family
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("conditional", [False, True])
def test_every_size_comes_out_exactly_and_goes_in(family: str, channels: int, conditional: bool) -> None:
    labels = torch.tensor([0, 2])
    for size in sizes_of(family):
        shape = {"size": size, "channels": channels, "num_classes": 3}
        generator = build_generator(networks(family, conditional=conditional), **shape)
        discriminator = build_discriminator(networks(family, conditional=conditional), **shape)
        images = generator(torch.randn(2, 6, generator=torch.Generator().manual_seed(size)), labels)
        assert images.shape == (2, channels, size, size)
        assert family == "points" or images.abs().max() <= 1
        assert discriminator(images, labels).shape == (2,)
        assert generator.num_classes == discriminator.num_classes == (3 if conditional else 0)


@pytest.mark.parametrize(
    ("size", "expected"),
    [(64, [64, 32, 16, 8, 4]), (28, [28, 14, 7, 4]), (12, [12, 6, 3]), (8, [8, 4]), (33, [33, 17, 9, 5, 3])],
)
def test_the_sides_halve_down_to_three_or_four(size: int, expected: list[int]) -> None:
    assert sides(size) == expected
    assert all(sides(size)[-1] in (3, 4) for size in EVERY_SIZE)


def test_the_maps_of_a_dcgan_of_64_pixels_are_those_of_the_paper() -> None:
    assert depths(64, 128) == [128, 256, 512, 1024]
    assert depths(128, 128) == [128, 256, 512, 1024, 1024]
    generator = build_generator(networks("dcgan", width=8), size=64, channels=3, num_classes=0)
    ups = [layer for layer in generator.modules() if isinstance(layer, nn.ConvTranspose2d)]
    assert [(layer.in_channels, layer.out_channels) for layer in ups] == [(64, 32), (32, 16), (16, 8), (8, 3)]
    assert {layer.kernel_size for layer in ups} == {(4, 4)}


@every_family
def test_every_pixel_of_the_image_reaches_the_discriminator_and_is_reached_by_the_generator(family: str) -> None:
    for size in sizes_of(family)[:3]:
        shape = {"size": size, "channels": 1, "num_classes": 3}
        discriminator = build_discriminator(networks(family, width=8), **shape, penalised=True)
        images = torch.zeros(1, 1, size, size).uniform_(-1, 1, generator=torch.Generator().manual_seed(0))
        images.requires_grad_()
        discriminator(images).sum().backward()
        assert images.grad is not None
        assert (images.grad != 0).all()
        generator = build_generator(networks(family, width=8), **shape)
        first, second = generator(torch.randn(2, 6, generator=torch.Generator().manual_seed(1)))
        assert (first != second).all()


def test_weights_of_a_dcgan_start_as_in_the_paper() -> None:
    with seeded(0):
        both = nn.ModuleList(
            [
                build_generator(networks("dcgan", width=32), size=32, channels=3, num_classes=0),
                build_discriminator(networks("dcgan", width=32), size=32, channels=3, num_classes=0),
            ]
        )
    layers = [module for module in both.modules() if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear))]
    assert len(layers) == 8
    for layer in layers:
        scale = 0.02 * (1 + 4 / layer.weight.numel() ** 0.5)
        assert 0.04 - scale < float(layer.weight.detach().std()) < scale
        assert layer.bias is None or (layer.bias == 0).all() or layer is both[1].head.linear
    norms = [module for module in both.modules() if isinstance(module, nn.BatchNorm2d)]
    assert len(norms) == 5
    for norm in norms:
        assert float(norm.weight.detach().mean()) == pytest.approx(1, abs=0.02)
        assert (norm.bias == 0).all()


@every_family
@pytest.mark.parametrize("conditional", [False, True])
def test_under_a_penalty_a_logit_depends_on_its_own_image_alone(family: str, conditional: bool) -> None:
    size = sizes_of(family)[-1]
    shape = {"size": size, "channels": 1, "num_classes": 3}
    critic = build_discriminator(networks(family, conditional=conditional), **shape, penalised=True).train()
    images = torch.randn(4, 1, size, size, generator=torch.Generator().manual_seed(0)).requires_grad_()
    critic(images, torch.tensor([0, 1, 2, 0]))[0].backward()
    assert images.grad is not None
    assert images.grad[0].abs().sum() > 0
    assert (images.grad[1:] == 0).all()


def test_batch_norm_in_training_would_couple_the_samples() -> None:
    """The control of the test above: it must be able to fail."""
    critic = build_discriminator(networks("dcgan"), size=28, channels=1, num_classes=3).train()
    images = torch.randn(4, 1, 28, 28, generator=torch.Generator().manual_seed(0)).requires_grad_()
    critic(images)[0].backward()
    assert images.grad is not None
    assert images.grad[1:].abs().sum() > 0


def test_the_discriminator_sees_a_batch_alike_in_training_and_in_eval_mode() -> None:
    """Running statistics would mix real and generated images, and eval mode would be another function."""
    with seeded(1):
        critic = build_discriminator(networks("dcgan"), size=28, channels=1, num_classes=3)
        real, fake = torch.rand(16, 1, 28, 28), -torch.rand(16, 1, 28, 28)
    trained = critic.train()(real), critic(fake)
    for found, expected in zip((critic.eval()(real), critic(fake)), trained, strict=True):
        assert torch.equal(found, expected)


@every_family
def test_a_conditional_generator_starts_out_drawing_classes_apart(family: str) -> None:
    shape = {"size": sizes_of(family)[0], "channels": 1, "num_classes": 3}
    with seeded(0):
        generator = build_generator(networks(family, conditional=True), **shape).eval()
    latents = torch.randn(1, 6, generator=torch.Generator().manual_seed(0)).expand(3, -1)
    images = generator(latents, torch.tensor([0, 1, 1]))
    assert (images[0] - images[1]).abs().max() > 1e-3 * images.abs().max()
    torch.testing.assert_close(images[1], images[2])


@pytest.mark.parametrize("family", ["mlp", "points", "dcgan", "progressive", "r3gan"])
def test_a_conditional_discriminator_learns_the_class_from_its_first_gradient_on(family: str) -> None:
    """The projection v_y.h: its gradient is h for the class of the image, and 0 for the others.

    Families with spectral norm have no weight whose gradient this is, a pyramid has a head a level.
    """
    size = sizes_of(family)[0]
    discriminator = build_discriminator(networks(family, conditional=True), size=size, channels=1, num_classes=3)
    images = torch.rand(2, 1, size, size, generator=torch.Generator().manual_seed(0))
    discriminator(images, torch.tensor([1, 1])).sum().backward()
    gradient = discriminator.head.embedding.weight.grad  # type: ignore[attr-defined]
    torch.testing.assert_close(gradient[1], discriminator.features(images).sum(0))
    assert (gradient[[0, 2]] == 0).all()


@every_family
def test_logits_are_read_from_the_features(family: str) -> None:
    size = sizes_of(family)[1 if family != "points" else 0]
    discriminator = build_discriminator(networks(family), size=size, channels=3, num_classes=0).eval()
    images = torch.rand(5, 3, size, size, generator=torch.Generator().manual_seed(0))
    features = discriminator.features(images)
    logits = discriminator.head(features, None)
    assert discriminator(images).shape == (5,)
    torch.testing.assert_close(discriminator(images), logits.view(5, -1).mean(dim=1))


@every_family
def test_a_conditional_network_without_labels_says_so(family: str) -> None:
    size = sizes_of(family)[0]
    shape = {"size": size, "channels": 1, "num_classes": 3}
    with pytest.raises(ValueError, match="conditional: give labels"):
        build_generator(networks(family, conditional=True), **shape)(torch.zeros(2, 6))
    with pytest.raises(ValueError, match="conditional: give labels"):
        build_discriminator(networks(family, conditional=True), **shape)(torch.zeros(2, 1, size, size))


def test_images_too_small_for_a_dcgan_are_refused_with_the_way_out() -> None:
    with pytest.raises(
        ValueError, match=r"from 8 pixels up, these have 7: resize them with --set data\.resize=N, or choose family mlp"
    ):
        build_generator(networks("dcgan"), size=7, channels=1, num_classes=0)
    assert build_generator(networks("mlp"), size=7, channels=1, num_classes=0)(torch.zeros(1, 6)).shape[-1] == 7


def test_a_conditional_gan_needs_classes() -> None:
    with pytest.raises(ValueError, match="set conditional false"):
        build_generator(networks("mlp", conditional=True), size=8, channels=1, num_classes=0)
