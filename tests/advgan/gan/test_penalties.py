import pytest
import torch
from torch import Tensor, nn

from advgan.gan.penalties import dragan_penalty, gradient_norms, gradient_penalty, lecam_penalty, squared_gradient

SHAPE = (3, 4, 4)


class LinearCritic(nn.Module):
    """f(x) = w.x: the gradient norm is |w| everywhere."""

    def __init__(self, norm: float) -> None:
        super().__init__()
        weight = torch.linspace(-1, 1, 48).reshape(SHAPE)
        self.weight = nn.Parameter(weight * (norm / weight.norm()))

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        return (images * self.weight).flatten(1).sum(1)


def images(count: int, seed: int) -> Tensor:
    return torch.rand(count, *SHAPE, generator=torch.Generator().manual_seed(seed)) * 2 - 1


@pytest.mark.parametrize("count", [1, 5, 64])
@pytest.mark.parametrize("norm", [0.25, 1.0, 3.0])
def test_a_linear_critic_has_the_norm_of_its_weights_whatever_the_batch(norm: float, count: int) -> None:
    critic = LinearCritic(norm)
    torch.testing.assert_close(gradient_norms(critic, images(count, 0), None), torch.full((count,), norm))
    penalty = gradient_penalty(critic, images(count, 0), images(count, 1), None, mixing=torch.linspace(0, 1, count))
    assert penalty.item() == pytest.approx((norm - 1) ** 2, abs=1e-6)


def test_each_sample_has_its_own_norm() -> None:
    """A norm over the whole batch, (1 + 4 + 9)^(1/2), would give a single number and another penalty."""

    def critic(images: Tensor, labels: Tensor | None) -> Tensor:
        assert labels is not None
        return labels * images[:, 0, 0, 0]

    slopes = torch.tensor([1.0, -2.0, 3.0])
    assert gradient_norms(critic, images(3, 0), slopes).tolist() == [1, 2, 3]
    penalty = gradient_penalty(critic, images(3, 0), images(3, 1), slopes, mixing=torch.zeros(3))
    assert penalty.item() == pytest.approx((0 + 1 + 4) / 3)


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_the_penalty_probes_the_stated_share_of_the_real_image(share: float) -> None:
    """f(x) = |x|^2 / 2 has the gradient x, so the norm tells where it was taken."""

    def critic(images: Tensor, labels: Tensor | None) -> Tensor:
        return images.flatten(1).square().sum(1) / 2

    real, fake = torch.zeros(2, 1, 1, 1), torch.zeros(2, 1, 1, 1)
    real[:, 0, 0, 0], fake[:, 0, 0, 0] = torch.tensor([8.0, 6.0]), torch.tensor([4.0, 2.0])
    mixing = torch.tensor([share, 1.0])
    at_first, at_second = 8 * share + 4 * (1 - share), 6.0
    penalty = gradient_penalty(critic, real, fake, None, mixing=mixing)
    assert penalty.item() == pytest.approx(((at_first - 1) ** 2 + (at_second - 1) ** 2) / 2)


def test_the_penalty_moves_the_critic_and_neither_image() -> None:
    critic = LinearCritic(3.0)
    real, fake = images(4, 0).requires_grad_(), images(4, 1).requires_grad_()
    gradient_penalty(critic, real, fake, None, mixing=torch.linspace(0, 1, 4)).backward()
    assert real.grad is None
    assert fake.grad is None
    # d (|w| - 1)^2 / dw = 2 (|w| - 1) w / |w|
    expected = 2 * (3 - 1) * critic.weight.detach() / 3
    assert critic.weight.grad is not None
    torch.testing.assert_close(critic.weight.grad, expected)


def test_a_flat_critic_gets_a_penalty_of_one_and_no_nan() -> None:
    critic = LinearCritic(1.0)
    with torch.no_grad():
        critic.weight.zero_()
    penalty = gradient_penalty(critic, images(4, 0), images(4, 1), None, mixing=torch.linspace(0, 1, 4))
    penalty.backward()
    assert penalty.item() == 1
    assert critic.weight.grad is not None
    assert critic.weight.grad.isfinite().all()


@pytest.mark.parametrize("count", [1, 7])
def test_the_squared_gradient_of_a_linear_critic_is_half_its_squared_norm(count: int) -> None:
    assert squared_gradient(LinearCritic(3.0), images(count, 0), None).item() == pytest.approx(4.5, rel=1e-6)


def test_the_squared_gradient_of_a_quadratic_critic_is_half_the_mean_squared_norm_of_its_images() -> None:
    """f(x) = |x|^2 / 2 has the gradient x, and the penalty the gradient of half the mean of |a x|^2 in a."""
    factor = torch.tensor(2.0, requires_grad=True)

    def critic(images: Tensor, labels: Tensor | None) -> Tensor:
        return factor * images.flatten(1).square().sum(1) / 2

    pictures = images(6, 0)
    norms = pictures.flatten(1).square().sum(1).mean()
    penalty = squared_gradient(critic, pictures, None)
    penalty.backward()
    torch.testing.assert_close(penalty.detach(), 2 * norms)
    assert factor.grad is not None
    torch.testing.assert_close(factor.grad, 2 * norms)


@pytest.mark.parametrize("norm", [0.25, 1.0, 3.0])
def test_dragan_of_a_linear_critic_is_the_squared_distance_of_its_norm_from_one(norm: float) -> None:
    noise = torch.rand(5, *SHAPE, generator=torch.Generator().manual_seed(2))
    penalty = dragan_penalty(LinearCritic(norm), images(5, 0), None, noise=noise)
    assert penalty.item() == pytest.approx((norm - 1) ** 2, abs=1e-6)


def test_dragan_probes_half_a_deviation_from_real_images() -> None:
    seen = []

    def critic(images: Tensor, labels: Tensor | None) -> Tensor:
        seen.append(images.detach())
        return images.flatten(1).square().sum(1)

    real = images(4, 0)
    dragan_penalty(critic, real, None, noise=torch.ones_like(real))
    torch.testing.assert_close(seen[0], real + real.std() / 2)


def test_lecam_pulls_each_side_to_the_mean_of_the_other() -> None:
    real, fake = torch.tensor([1.0, 3.0], requires_grad=True), torch.tensor([-1.0, 0.0], requires_grad=True)
    penalty = lecam_penalty(real, fake, real_mean=torch.tensor(2.0), fake_mean=torch.tensor(-1.0))
    assert penalty.item() == (4 + 16) / 2 + (9 + 4) / 2
    penalty.backward()
    assert real.grad is not None
    assert fake.grad is not None
    assert real.grad.tolist() == [2, 4]
    assert fake.grad.tolist() == [-3, -2]
