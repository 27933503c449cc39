import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from advgan.config import GanNetworks
from advgan.gan.orthogonal import off_diagonal
from advgan.models.gans.families import build_generator
from attacks.random import seeded


def linear(weight: Tensor) -> nn.Linear:
    layer = nn.Linear(weight.shape[1], weight.shape[0])
    layer.weight = nn.Parameter(weight)
    return layer


def test_the_closed_form_of_a_2x2() -> None:
    """Rows (a, b) and (c, d): twice the square of ac + bd, whose derivative is 4 (ac + bd) (c, d; a, b)."""
    layer = linear(torch.tensor([[2.0, 3.0], [5.0, 7.0]]))
    value = off_diagonal(layer)
    assert value.item() == 2 * 31**2
    value.backward()
    torch.testing.assert_close(layer.weight.grad, 4 * 31 * torch.tensor([[5.0, 7.0], [2.0, 3.0]]))


def test_orthogonal_filters_of_any_length_cost_nothing() -> None:
    with seeded(0):
        layers = [nn.Linear(6, 4), nn.Conv2d(2, 5, 3), nn.ConvTranspose2d(3, 4, 2)]
        for layer in layers[:2]:
            nn.init.orthogonal_(layer.weight)
        layers[2].weight.data = nn.init.orthogonal_(torch.empty(4, 3, 2, 2)).transpose(0, 1)
        lengths = torch.rand(4, 1) + 1
    layers[0].weight.data *= lengths
    for layer in layers:
        assert off_diagonal(layer).item() == pytest.approx(0, abs=1e-9)
        layer.weight.data += 0.1
        assert off_diagonal(layer).item() > 0.01


@pytest.mark.parametrize("kind", [nn.Conv2d, nn.ConvTranspose2d])
def test_the_filters_of_a_convolution_are_its_output_channels(kind: type[nn.Conv2d] | type[nn.ConvTranspose2d]) -> None:
    with seeded(0):
        layer = kind(3, 4, 2)
    along = 1 if kind is nn.ConvTranspose2d else 0
    filters = [layer.weight.select(along, output) for output in range(4)]
    products = [(filters[i] * filters[j]).sum() ** 2 for i in range(4) for j in range(4) if i != j]
    torch.testing.assert_close(off_diagonal(layer), torch.stack(products).sum())


def test_layers_add_up_and_embeddings_and_norms_have_no_part() -> None:
    with seeded(0):
        layers = [nn.Linear(3, 3), nn.Conv2d(2, 3, 3), nn.Embedding(4, 5), nn.BatchNorm2d(3)]
    torch.testing.assert_close(off_diagonal(nn.ModuleList(layers)), off_diagonal(layers[0]) + off_diagonal(layers[1]))


def test_under_spectral_norm_the_trained_weight_counts_and_no_vector_moves() -> None:
    with seeded(0):
        layer = nn.Linear(5, 5)
        expected = off_diagonal(layer)
        spectral_norm(layer)
    before = {name: value.clone() for name, value in layer.state_dict().items()}
    value = off_diagonal(layer)
    torch.testing.assert_close(value, expected)
    value.backward()
    assert layer.parametrizations["weight"].original.grad is not None
    assert all(torch.equal(value, before[name]) for name, value in layer.state_dict().items())


def test_descent_makes_the_filters_of_a_biggan_orthogonal() -> None:
    """It reaches every matrix of the generator but the embedding."""
    networks = GanNetworks(family="biggan", width=2, latent_dim=6, conditional=True)
    with seeded(0):
        generator = build_generator(networks, size=16, channels=3, num_classes=3)
        for parameter in generator.parameters():
            if parameter.dim() > 1:
                nn.init.normal_(parameter, 0, 0.2)
    off_diagonal(generator).backward()
    named = generator.named_parameters()  # type: ignore[attr-defined]
    assert [name for name, value in named if value.dim() > 1 and value.grad is None] == ["embedding.weight"]
    optimizer = torch.optim.SGD(generator.parameters(), lr=0.02)
    start = off_diagonal(generator).item()
    for _ in range(40):
        optimizer.zero_grad()
        off_diagonal(generator).backward()
        optimizer.step()
    assert off_diagonal(generator).item() < 0.2 * start
