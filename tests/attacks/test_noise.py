import pytest
import torch
from scipy.stats import kstest

from attacks import gaussian_noise, uniform_noise
from attacks.norms import L0, L1, L2, LINF

LABELS = torch.zeros(50, dtype=torch.int64)
both = pytest.mark.parametrize("attack", [uniform_noise, gaussian_noise])
every_length = pytest.mark.parametrize("norm", [LINF, L2, L1], ids=lambda norm: norm.name)


@both
@every_length
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_noise_has_norm_eps_wherever_the_image_has_room(attack, norm, dtype, rowwise, draw) -> None:
    images = draw(50).to(dtype)
    images[:10] = images[:10].round()  # black and white: half of the directions are cut
    eps = torch.linspace(0, {LINF: 0.5, L2: 1.0, L1: 2.5}[norm], 50, dtype=dtype)
    noisy = attack(rowwise, images, LABELS, eps=eps, norm=norm)
    torch.testing.assert_close(norm.size(noisy - images), eps, rtol=1e-6, atol=1e-6)
    assert ((noisy >= 0) & (noisy <= 1)).all()
    assert torch.equal(noisy[0], images[0])


@both
@every_length
def test_noise_without_room_ends_at_the_bounds(attack, norm, rowwise) -> None:
    images = torch.full((50, 1, 4, 4), 0.75, dtype=torch.float64)
    eps = {LINF: 1.0, L2: 4.0, L1: 16.0}[norm]
    noisy = attack(rowwise, images, LABELS, eps=eps, norm=norm)
    assert torch.minimum(noisy, 1 - noisy).max() < 1e-9


@both
def test_l0_noise_changes_eps_values(attack, rowwise, draw) -> None:
    images, eps = draw(50), torch.arange(50) % 17
    noisy = attack(rowwise, images, LABELS, eps=eps, norm="l0")
    saturated = (images == 0) | (images == 1)
    assert (L0.size(noisy - images) <= eps).all()
    assert (L0.size(noisy - images) >= torch.minimum(eps, 16 - saturated.flatten(1).sum(1))).all()
    assert (noisy - images).abs().flatten(1).amax(1)[eps > 0].min() > 0.1


@both
def test_noise_depends_on_seed_and_index_alone(attack, rowwise, draw) -> None:
    images, indices = draw(50), torch.arange(100, 150)
    whole = attack(rowwise, images, LABELS, eps=0.3, seed=1, indices=indices)
    order = torch.arange(50).flip(0)
    assert torch.equal(attack(rowwise, images[order], LABELS, eps=0.3, seed=1, indices=indices[order])[order], whole)
    assert not torch.equal(attack(rowwise, images, LABELS, eps=0.3, seed=2, indices=indices), whole)
    assert not torch.equal(attack(rowwise, images, LABELS, eps=0.3, seed=1), whole)
    assert rowwise.passes.forwards == 0


@pytest.mark.parametrize(("attack", "law"), [(uniform_noise, "uniform"), (gaussian_noise, "norm")])
def test_uncut_noise_has_the_shape_of_its_law(attack, law, rowwise) -> None:
    images = torch.full((20, 1, 60, 60), 0.5, dtype=torch.float64)
    delta = (attack(rowwise, images, LABELS[:20], eps=0.4) - images).flatten(1)
    values = delta / delta.std(dim=1, keepdim=True)
    values = (values / 12**0.5 + 0.5) if law == "uniform" else values
    assert kstest(values.flatten().numpy(), law).pvalue > 1e-3


@both
def test_a_bad_image_is_refused(attack, rowwise) -> None:
    with pytest.raises(ValueError, match=r"images must be in \[0, 1\]; got 3 to 3"):
        attack(rowwise, torch.full((2, 1, 4, 4), 3.0), LABELS[:2], eps=0.1)
