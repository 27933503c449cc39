from copy import deepcopy

import pytest
import torch
from torch import Tensor

from advgan.config import GanNetworks
from advgan.gan.losses import LOSSES
from advgan.models.gans.families import build_discriminator, build_generator
from advgan.models.gans.lapgan import LapganDiscriminator, LapganGenerator
from advgan.models.interface import Practising
from advgan.models.layers.pyramid import decompose, enlarge, pyramid_sides, shrink
from attacks.random import normal, seeded, uniform

LABELS = torch.tensor([0, 1, 2, 1])


def networks(**settings: object) -> GanNetworks:
    return GanNetworks.model_validate({"family": "lapgan", "width": 2, "latent_dim": 11, **settings})


def gan(size: int = 28, channels: int = 1, **settings: object) -> tuple[LapganGenerator, LapganDiscriminator]:
    with seeded(0):
        generator = build_generator(networks(**settings), size=size, channels=channels, num_classes=3)
        discriminator = build_discriminator(networks(**settings), size=size, channels=channels, num_classes=3)
    assert isinstance(generator, LapganGenerator)
    assert isinstance(discriminator, LapganDiscriminator)
    return generator, discriminator


def real(size: int = 28, channels: int = 1, seed: int = 1) -> Tensor:
    return uniform(seed, torch.arange(4), (channels, size, size)) * 2 - 1


LATENTS = normal(2, torch.arange(4), (11,))


@pytest.mark.parametrize("size", [8, 16, 28, 32, 33, 64])
def test_true_residuals_chain_to_the_image(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sampling itself, with generators that know the truth, gives the real images back."""
    generator, images = gan(size, 3)[0], real(size, 3)
    coarsest, levels = decompose(images)
    monkeypatch.setattr(generator.coarsest, "forward", lambda *_: coarsest)
    for draw, level in zip(generator.finer, levels, strict=True):
        monkeypatch.setattr(draw, "forward", lambda *_, level=level: level.residual)
    torch.testing.assert_close(generator(LATENTS), images, rtol=0, atol=1e-6)


def test_a_pyramid_on_show_holds_the_coarsest_image_and_pairs() -> None:
    generator, images = gan(28, 3)[0], real(28, 3)
    flat = generator.exhibit(images)
    half, quarter = shrink(images), shrink(shrink(images))
    parts = [quarter, enlarge(quarter, 14), half - enlarge(quarter, 14), enlarge(half, 28), images - enlarge(half, 28)]
    assert torch.equal(flat, torch.cat([part.flatten(1) for part in parts], dim=1))
    assert isinstance(generator, Practising)


def test_each_fake_residual_is_drawn_for_the_real_coarse_image() -> None:
    generator, images = gan(28, 3)[0].eval(), real(28, 3)
    fake, shown = generator.practise(LATENTS, None, images), generator.exhibit(images)
    pieces, truths = (rows.split([3 * side**2 for side in (7, 14, 14, 28, 28)], dim=1) for rows in (fake, shown))
    assert torch.equal(pieces[1], truths[1])
    assert torch.equal(pieces[3], truths[3])
    assert torch.equal(pieces[0], generator.coarsest(LATENTS[:, :5], None).flatten(1))
    for level, (columns, piece, side) in enumerate([((5, 8), 2, 14), ((8, 11), 4, 28)]):
        coarse = truths[piece - 1].view(4, 3, side, side)
        drawn = generator.finer[level](LATENTS[:, slice(*columns)], coarse, None)
        torch.testing.assert_close(pieces[piece], drawn.flatten(1))
    assert fake.shape == shown.shape


def test_sampling_chains_what_the_levels_draw() -> None:
    generator = gan()[0].eval()
    images = generator.coarsest(LATENTS[:, :5], None)
    for draw, columns, side in zip(generator.finer, (slice(5, 8), slice(8, 11)), (14, 28), strict=True):
        coarse = enlarge(images, side)
        images = (coarse + draw(LATENTS[:, columns], coarse, None)).clamp(-1, 1)
    torch.testing.assert_close(generator(LATENTS), images)


@pytest.mark.parametrize("labels", ["concat", "projection"])
@pytest.mark.parametrize("level", [0, 1, 2])
def test_a_levels_loss_teaches_no_other_level(labels: str, level: int) -> None:
    generator, discriminator = gan(conditional=True, discriminator_labels=labels)
    images = real()
    logits = discriminator(generator.practise(LATENTS, LABELS, images), LABELS).view(4, 3)
    logits[:, level].sum().backward()
    for player, first in ((generator, generator.coarsest), (discriminator, discriminator.coarsest)):
        for number, part in enumerate([first, *player.finer]):
            gradients = [parameter.grad for parameter in part.parameters() if parameter.grad is not None]
            assert any(bool((gradient != 0).any()) for gradient in gradients) == (number == level)


def test_the_loss_of_all_logits_is_the_mean_of_the_levels_losses() -> None:
    generator, discriminator = gan(conditional=True)
    images, loss = real(), LOSSES["non-saturating"]
    real_logits = discriminator(generator.exhibit(images), LABELS)
    fake_logits = discriminator(generator.practise(LATENTS, LABELS, images), LABELS)
    assert real_logits.shape == (4 * 3,)
    levels = [
        loss.discriminator(real_logits.view(4, 3)[:, level], fake_logits.view(4, 3)[:, level]) for level in range(3)
    ]
    torch.testing.assert_close(loss.discriminator(real_logits, fake_logits), torch.stack(levels).mean())


@pytest.mark.parametrize("labels", ["concat", "projection"])
def test_logits_of_a_flat_pyramid_are_each_levels_own_verdict(labels: str) -> None:
    generator, discriminator = gan(32, 3, conditional=True, discriminator_labels=labels)
    images = real(32, 3)
    coarsest, levels = decompose(images)
    seen = [coarsest, *(torch.cat([level.coarse + level.residual, level.residual], dim=1) for level in levels)]
    expected = torch.stack(
        [critic(part, LABELS) for critic, part in zip(discriminator.critics, seen, strict=True)], dim=1
    )
    shown = generator.exhibit(images)
    features = discriminator.features(shown, LABELS)
    torch.testing.assert_close(discriminator(shown, LABELS), expected.flatten())
    torch.testing.assert_close(discriminator.head(features, LABELS), expected.flatten())
    torch.testing.assert_close(discriminator.features(images, LABELS), features)
    torch.testing.assert_close(discriminator(images, LABELS), expected.mean(dim=1))


def test_a_label_changes_every_level() -> None:
    generator = gan(conditional=True)[0].eval()
    one, other = (generator.practise(LATENTS, LABELS * 0 + label, real()) for label in (0, 1))
    pieces = [(one - other)[:, start:end].abs().max() for start, end in ((0, 49), (245, 441), (1225, 2009))]
    assert min(pieces) > 1e-3


def test_noise_is_shared_out_and_moves_every_level() -> None:
    generator = gan()[0].eval()
    assert generator.parts == [5, 3, 3]
    images, pyramids = real(), []
    for columns in (slice(0, 5), slice(5, 8), slice(8, 11)):
        moved = LATENTS.clone()
        moved[:, columns] += 1
        pyramids.append(generator.practise(moved, None, images) - generator.practise(LATENTS, None, images))
    changed = [[bool(part.abs().max() > 1e-3) for part in pyramid.split([49, 392, 1568], 1)] for pyramid in pyramids]
    assert changed == [[True, False, False], [False, True, False], [False, False, True]]


def test_too_little_noise_for_the_levels_is_refused_with_the_way_out() -> None:
    with pytest.raises(ValueError, match=r"networks.latent_dim 3 leaves levels .* use 4 and more"):
        build_generator(networks(latent_dim=3), size=64, channels=1, num_classes=0)
    assert pyramid_sides(64) == [8, 16, 32, 64]


def test_samples_stay_in_range_and_rows_apart_in_eval_mode() -> None:
    generator = gan()[0].eval()
    with torch.no_grad():
        generator.finer[1].layers[-1].weight.mul_(100)
        images = generator(LATENTS)
        assert images.abs().max() == 1
        torch.testing.assert_close(generator(LATENTS[2:3]), images[2:3])


def test_gradients_of_a_flat_pyramid_can_be_penalised() -> None:
    generator, discriminator = gan(conditional=True)
    shown = generator.exhibit(real()).requires_grad_()
    (gradient,) = torch.autograd.grad(discriminator(shown, LABELS).sum(), shown, create_graph=True)
    gradient.square().sum().backward()
    assert all((critic.head.linear.weight.grad != 0).any() for critic in discriminator.critics)


def test_a_copy_and_a_loaded_state_are_the_same_and_name_each_weight_once() -> None:
    generator, discriminator = gan()
    images = real()
    assert torch.equal(deepcopy(generator).eval()(LATENTS), generator.eval()(LATENTS))
    assert torch.equal(deepcopy(discriminator)(images), discriminator(images))
    pointers = [value.data_ptr() for value in discriminator.state_dict().values()]
    assert len(set(pointers)) == len(pointers)
