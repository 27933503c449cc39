from copy import deepcopy

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import batch_norm, scaled_dot_product_attention
from torch.nn.utils.parametrize import is_parametrized

from advgan.config import GanNetworks
from advgan.models.gans.biggan import BigganDiscriminator, BigganGenerator, SelfAttention, attends, parts
from advgan.models.gans.families import build_discriminator, build_generator
from advgan.models.layers.residual import discriminator_stages
from advgan.models.layers.synchronised import SynchronisedBatchNorm2d
from attacks.random import seeded


def networks(**settings: object) -> GanNetworks:
    return GanNetworks.model_validate({"family": "biggan", "width": 2, "latent_dim": 9, **settings})


def pair(
    size: int, *, channels: int = 3, num_classes: int = 0, **settings: object
) -> tuple[BigganGenerator, BigganDiscriminator]:
    shape = {"size": size, "channels": channels, "num_classes": num_classes}
    with seeded(size):
        generator = build_generator(networks(**settings), **shape)
        discriminator = build_discriminator(networks(**settings), **shape)
    assert isinstance(generator, BigganGenerator)
    assert isinstance(discriminator, BigganDiscriminator)
    return generator, discriminator


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def attention_gains(network: nn.Module) -> list[Tensor]:
    return [module.gain for module in network.modules() if isinstance(module, SelfAttention)]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("conditional", [False, True])
@pytest.mark.parametrize("size", [8, 12, 16, 28, 32, 48, 64, 128])
def test_images_have_the_size_asked_for(size: int, channels: int, conditional: bool) -> None:
    labels = torch.tensor([0, 2])
    generator, discriminator = pair(size, channels=channels, num_classes=3, conditional=conditional)
    images = generator(noise(2, 9), labels)
    assert images.shape == (2, channels, size, size)
    assert 0 < images.abs().max() <= 1
    assert discriminator(images, labels).shape == (2,)
    assert len(attention_gains(generator)) == len(attention_gains(discriminator)) == attends(size) == (size > 14)


def test_blocks_are_those_of_the_paper_at_128_pixels() -> None:
    """Brock et al. (2019), table 4, with 96 channels in the paper: 16, 16, 8, 4, 2, 1 times as many."""
    generator, discriminator = pair(128)
    widths = [(block.conv1.in_channels, block.conv1.out_channels) for block in generator.blocks]  # type: ignore[union-attr]
    assert widths == [(32, 32), (32, 16), (16, 8), (8, 4), (4, 2)]
    assert [isinstance(layer, SelfAttention) for layer in generator.attentions] == [False, False, False, True, False]
    assert [stage.channels for stage in discriminator_stages(128, 96, small=4)] == [96, 192, 384, 768, 1536, 1536]
    maps = discriminator.trunk.blocks[0](noise(1, 3, 128, 128))
    assert maps.shape[2:] == (64, 64)
    assert isinstance(discriminator.trunk.blocks[1], SelfAttention)


def test_each_part_of_the_latents_reaches_its_own_block_only() -> None:
    """The gradient of the condition of block k is 0 but in part k + 1, and the seed sees part 0 alone."""
    generator, _ = pair(32, num_classes=3, conditional=True)
    assert generator.parts == [3, 2, 2, 2]
    latents, labels, seen = noise(4, 9).requires_grad_(), torch.tensor([0, 1, 2, 0]), []

    def remember(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        seen.append(inputs[-1])

    for module in (generator.seed, *(block.norm1 for block in generator.blocks)):
        module.register_forward_pre_hook(remember)  # type: ignore[union-attr, operator]
    generator(latents, labels)
    for index, (first, last) in enumerate([(0, 3), (3, 5), (5, 7), (7, 9)]):
        (gradient,) = torch.autograd.grad(seen[index].sum(), latents, retain_graph=True)
        assert (gradient[:, first:last] == 1).all()
        assert gradient.abs().sum() == 4 * (last - first)


def test_a_later_part_changes_nothing_before_its_block_and_all_parts_matter() -> None:
    generator, _ = pair(32)
    generator.eval()
    latents = noise(1, 9)
    maps: dict[int, Tensor] = {}
    for index, block in enumerate(generator.blocks):
        block.register_forward_hook(lambda _, __, output, index=index: maps.__setitem__(index, output))
    before = generator(latents)
    earlier = dict(maps)
    for part, column in enumerate([0, 3, 5, 7]):
        changed = latents.clone()
        changed[:, column] += 1
        assert (generator(changed) - before).abs().max() > 1e-6
        for index, untouched in earlier.items():
            assert torch.equal(maps[index], untouched) == (index < part - 1)


def test_latents_are_split_as_evenly_as_can_be() -> None:
    assert parts(9, 4) == [3, 2, 2, 2]
    assert parts(128, 6) == [22, 22, 21, 21, 21, 21]
    with pytest.raises(ValueError, match="latent_dim 3: family biggan splits the latents among 4 places"):
        pair(32, latent_dim=3)


def test_all_blocks_share_one_class_embedding_and_the_last_norm_knows_no_class() -> None:
    generator, _ = pair(16, num_classes=3, conditional=True)
    embeddings = [module for module in generator.modules() if isinstance(module, nn.Embedding)]
    assert [tuple(embedding.weight.shape) for embedding in embeddings] == [(3, 128)]
    assert not is_parametrized(embeddings[0])
    assert isinstance(generator.norm.norm, nn.BatchNorm2d)
    assert generator.norm.norm.affine
    unconditional, _ = pair(16)
    assert unconditional.embedding is None
    assert unconditional.blocks[0].norm1.scale.weight.shape == (8, 3)  # type: ignore[union-attr]


def test_conditional_batch_norm_is_plain_batch_norm_with_an_affine_map_for_each_class_and_part() -> None:
    generator, _ = pair(16, num_classes=3, conditional=True)
    norm, maps = generator.blocks[0].norm1, noise(4, 8, 5, 5)
    labels, part = torch.tensor([0, 1, 2, 1]), noise(4, 3, seed=1)
    assert generator.embedding is not None
    condition = torch.cat([generator.embedding(labels), part], dim=1)
    norm.eval().norm.train()  # type: ignore[union-attr, operator]
    found = norm(maps, condition)  # type: ignore[operator]
    plain = batch_norm(maps, None, None, training=True)
    for row in range(4):
        scale = 1 + norm.scale.weight @ condition[row]  # type: ignore[union-attr, operator]
        shift = norm.shift.weight @ condition[row]  # type: ignore[union-attr, operator]
        torch.testing.assert_close(found[row], plain[row] * scale[:, None, None] + shift[:, None, None])


def test_synchronised_reaches_every_batch_norm() -> None:
    generator, _ = pair(16, synchronised=True)
    norms = [module for module in generator.modules() if isinstance(module, nn.BatchNorm2d)]
    assert len(norms) == 2 * 2 + 1
    assert all(isinstance(norm, SynchronisedBatchNorm2d) for norm in norms)


def test_every_weight_of_both_networks_has_spectral_norm_1_after_some_passes() -> None:
    """All but the class embedding of the generator; from weights that are not orthogonal any more."""
    latents, labels = noise(4, 9), torch.tensor([0, 1, 2, 0])
    generator, discriminator = pair(16, num_classes=3, conditional=True)
    for network, count in ((generator, 1 + 2 * (3 + 4) + 4 + 1), (discriminator, 2 * 4 + 3 + 4 + 1)):
        constrained = [module for module in network.modules() if is_parametrized(module, "weight")]
        if network is discriminator:
            assert isinstance(discriminator.head.embedding, nn.Embedding)
            assert is_parametrized(discriminator.head.embedding)
        layers = [module for module in network.modules() if isinstance(module, (nn.Linear, nn.Conv2d))]
        assert all(is_parametrized(layer) for layer in layers)
        assert len(constrained) == count
        with seeded(1), torch.no_grad():
            for module in constrained:
                nn.init.normal_(module.parametrizations["weight"].original, 0, 0.5)  # type: ignore[union-attr, index]
            for _ in range(40):
                discriminator(generator(latents, labels), labels)
        network.eval()
        for module in constrained:
            assert torch.linalg.svdvals(module.weight.detach().flatten(1))[0].item() == pytest.approx(1, abs=0.03)


def test_weights_start_orthogonal_and_biases_at_0() -> None:
    for network in pair(16, num_classes=3, conditional=True):
        for name, parameter in network.named_parameters():
            if name.endswith(("original", "embedding.weight")):
                matrix = parameter.detach().flatten(1)
                gram = matrix @ matrix.T if matrix.shape[0] <= matrix.shape[1] else matrix.T @ matrix
                torch.testing.assert_close(gram, torch.eye(len(gram)), atol=1e-5, rtol=0)
            elif name.endswith("bias"):
                assert (parameter == 0).all()


def test_attention_is_the_identity_at_first_and_then_reads_by_the_softmax_of_products() -> None:
    with seeded(0):
        layer = SelfAttention(16)
    maps = noise(2, 16, 6, 4)
    assert torch.equal(layer(maps), maps)
    layer.gain.data.fill_(0.7)
    pooled = [nn.functional.max_pool2d(read(maps), 2).flatten(2).mT for read in (layer.keys, layer.values)]
    read = scaled_dot_product_attention(layer.queries(maps).flatten(2).mT, *pooled, scale=1.0)
    expected = maps + 0.7 * layer.last(read.mT.reshape(2, 8, 6, 4))
    torch.testing.assert_close(layer(maps), expected)


def test_attention_reaches_from_corner_to_corner() -> None:
    with seeded(0):
        layer = SelfAttention(8)
    layer.gain.data.fill_(1)
    maps = noise(1, 8, 8, 8).requires_grad_()
    (gradient,) = torch.autograd.grad(layer(maps)[0, :, 0, 0].sum(), maps)
    assert gradient[0, :, 6:, 6:].abs().sum() > 0


def test_the_discriminator_has_second_derivatives() -> None:
    with seeded(0):
        attention = SelfAttention(4).double()
    attention.gain.data.fill_(0.5)
    assert torch.autograd.gradgradcheck(attention, (noise(1, 4, 4, 4).double().requires_grad_(),), atol=1e-6)
    _, discriminator = pair(16, num_classes=3, conditional=True)
    attention_gains(discriminator)[0].data.fill_(0.5)
    images, labels = noise(2, 3, 16, 16).requires_grad_(), torch.tensor([0, 1])
    (gradient,) = torch.autograd.grad(discriminator(images, labels).sum(), images, create_graph=True)
    gradient.square().sum().backward()
    for name, parameter in discriminator.named_parameters():
        if name.endswith(("original", "gain")):
            assert parameter.grad is not None
            assert parameter.grad.isfinite().all()
            assert parameter.grad.abs().sum() > 0


@pytest.mark.parametrize("conditional", [False, True])
def test_in_eval_mode_each_image_depends_on_its_own_row_alone(conditional: bool) -> None:
    generator, _ = pair(16, num_classes=3, conditional=conditional)
    attention_gains(generator)[0].data.fill_(1)
    latents, labels = noise(4, 9), torch.tensor([0, 1, 2, 0])
    generator(latents, labels)
    generator.eval()
    whole = generator(latents, labels)
    for row in range(4):
        torch.testing.assert_close(generator(latents[row : row + 1], labels[row : row + 1]), whole[row : row + 1])
    generator.train()
    assert (generator(latents[:2], labels[:2]) - whole[:2]).abs().max() > 1e-3


def test_a_copy_and_a_loaded_network_go_on_alike() -> None:
    images, labels, latents = noise(2, 3, 16, 16), torch.tensor([0, 1]), noise(2, 9)
    generator, discriminator = pair(16, num_classes=3, conditional=True)
    for gain in (*attention_gains(generator), *attention_gains(discriminator)):
        gain.data.fill_(0.5)
    discriminator(images, labels)
    generator(latents, labels)
    copies = deepcopy(generator), deepcopy(discriminator)
    others = pair(16, num_classes=3, conditional=True)
    with torch.no_grad():
        for network in others:
            for parameter in network.parameters():
                parameter.add_(1)
    for other, network in zip(others, (generator, discriminator), strict=True):
        other.load_state_dict(network.state_dict())
    for _ in range(2):
        drawn, judged = generator(latents, labels), discriminator(images, labels)
        for other_generator, other_discriminator in (copies, others):
            assert torch.equal(other_generator(latents, labels), drawn)
            assert torch.equal(other_discriminator(images, labels), judged)


def test_codes_of_an_infogan_are_part_of_the_latents() -> None:
    generator, discriminator = pair(16, categorical=4, continuous=2)
    assert sum(generator.parts) == generator.space.dim == 15
    images = generator(generator.space.draw(0, torch.arange(3)))
    assert discriminator.head.guess(discriminator.features(images)).shape == (3, 6)
