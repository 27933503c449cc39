"""Known defects of other tools in FGSM and PGD, each of which is absent here."""

from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from attacks import L1, L2, Classifier, bim, fgsm, fooled, mifgsm, pgd
from attacks.objectives import dlr, margin
from attacks.random import normal, seeded, uniform


@pytest.fixture
def classifier() -> Classifier:
    """A small convolutional network on images (N, 3, 8, 8), float64."""
    with seeded(2):
        network = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.Tanh(), nn.Flatten(), nn.Linear(6 * 64, 4)).double()
    return Classifier(network, mean=(0.5,), std=(0.25,))


@pytest.fixture
def images() -> Tensor:
    return uniform(5, torch.arange(32), (3, 8, 8), dtype=torch.float64)


@pytest.fixture
def labels(classifier, images) -> Tensor:
    return classifier.logits(images).argmax(dim=1)


def test_foolbox_linf_momentum_sums_signs(classifier, images, labels) -> None:
    """foolbox takes the sign of each gradient before it adds it to the momentum, which is another algorithm."""
    current, sums, signs = images.clone(), torch.zeros_like(images), torch.zeros_like(images)
    for _ in range(6):
        leaf = current.clone().requires_grad_()
        (slope,) = torch.autograd.grad(F.cross_entropy(classifier(leaf), labels, reduction="sum"), leaf)
        sums = sums + slope / slope.abs().mean(dim=(1, 2, 3), keepdim=True)
        signs = signs + slope.sign()
        current = (current + 0.05 * sums.sign()).clamp(images - 0.3, images + 0.3).clamp(0, 1)
    assert (sums.sign() != signs.sign()).any()
    ours = mifgsm(classifier, images, labels, eps=0.3, steps=6)
    torch.testing.assert_close(ours, current, rtol=0, atol=1e-12)


class Window(nn.Module):
    """Logits (0, score) whose score rises with the brightness, and is above 0 between 0.55 and 0.65 only."""

    def forward(self, images: Tensor) -> Tensor:
        value = images.mean(dim=(1, 2, 3))
        score = value - 0.6 + ((value > 0.55) & (value < 0.65)) - (value > 0.65).to(value)
        return torch.stack([torch.zeros_like(score), score], dim=1)


def test_foolbox_torchattacks_and_art_return_the_last_iterate_and_lose_a_success_on_the_way() -> None:
    """Their PGD gives what the last step ended with, though an earlier one had fooled the network."""
    images, labels, classifier = torch.full((1, 1, 2, 2), 0.5), torch.tensor([0]), Classifier(Window())
    options = {"eps": 0.4, "steps": 4, "step_size": 0.1, "random_start": False}
    assert not fooled(classifier.logits(pgd(classifier, images, labels, keep="last", **options)), labels)
    assert fooled(classifier.logits(pgd(classifier, images, labels, **options)), labels)


def test_foolbox_adds_to_the_gradients_of_parameters(classifier, images, labels) -> None:
    """foolbox calls backward on the loss, so that each step adds to every parameter's `.grad`."""
    for attack in (fgsm, bim, mifgsm, pgd):
        attack(classifier, images, labels, eps=0.1)
    assert all(parameter.grad is None for parameter in classifier.network.parameters())


def test_torchattacks_momentum_is_nan_where_the_gradient_is_zero() -> None:
    """torchattacks divides by the mean gradient without a guard: a dead region makes the images NaN."""

    class Dead(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return F.relu(images.flatten(1)[:, :3] - 2)

    images, labels = torch.full((2, 1, 2, 2), 0.5), torch.tensor([0, 0])
    assert torch.equal(mifgsm(Classifier(Dead()), images, labels, eps=0.2), images)


def test_torchattacks_margin_depends_on_a_constant_added_to_the_logits() -> None:
    """Its CW and UPGD mask classes by multiplying with 0, which then exceeds all negative logits."""
    logits, labels = torch.tensor([[-1.0, -3.0, -4.0]]), torch.tensor([0])
    assert margin(logits, labels).item() == margin(logits + 50, labels).item() == -2
    assert margin(logits, labels + 1, targeted=True).item() == -2


@pytest.mark.parametrize("classes", [2, 3])
def test_autoattack_dlr_is_undefined_below_three_classes_and_targeted_below_four(classes) -> None:
    """AutoAttack indexes the third and fourth logit, whether there are so many or not."""
    logits = normal(0, torch.arange(20), (classes,), dtype=torch.float64).requires_grad_()
    for targeted in (False, True):
        labels = logits.argmin(dim=1) if targeted else logits.argmax(dim=1)
        values = dlr(logits, labels, targeted=targeted)
        (slope,) = torch.autograd.grad(values.sum(), logits)
        assert values.isfinite().all()
        assert (slope != 0).any(dim=1).all()


def test_torchattacks_reseeds_the_global_generator(classifier, images, labels) -> None:
    """Some of its attacks set torch's seed, so that whatever is drawn after them repeats."""
    before = torch.get_rng_state()
    first = pgd(classifier, images, labels, eps=0.1, steps=1, keep="last")
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(1)
    assert torch.equal(pgd(classifier, images, labels, eps=0.1, steps=1, keep="last"), first)


def test_foolbox_fgsm_refuses_targets(classifier, images, labels) -> None:
    """Its FGSM is untargeted only."""
    targets = (labels + 1) % 4
    near = classifier.logits(fgsm(classifier, images, targets, eps=0.02, targeted=True))
    gain = margin(near, targets, targeted=True) - margin(classifier.logits(images), targets, targeted=True)
    assert (gain > 0).all()


def test_art_restarts_keep_one_restart_for_all_samples(classifier, images, labels) -> None:
    """ART keeps the restart that fools most, and forgets who fell in the others."""
    options = {"eps": 0.12, "steps": 1, "step_size": 0.0}  # the starts alone
    fell = [
        fooled(classifier.logits(pgd(classifier, images, labels, seed=0, restarts=n, **options)), labels)
        for n in (1, 2, 4, 8)
    ]
    assert all((later >= earlier).all() for earlier, later in pairwise(fell))
    assert fell[-1].sum() > fell[0].sum() > 0


def test_foolbox_and_torchattacks_go_on_with_samples_that_are_fooled() -> None:
    """They pass every sample through all 40 steps, for every eps, where two passes an image are enough."""
    weight = torch.linspace(-1, 2, 16, dtype=torch.float64).reshape(1, 4, 4)
    images = 0.5 + 0.01 * uniform(0, torch.arange(20), (1, 4, 4), dtype=torch.float64)
    layer = nn.Linear(16, 2).double()
    with torch.no_grad():
        layer.weight.copy_(torch.stack([torch.zeros(16), weight.flatten()]))
        layer.bias.copy_(torch.stack([torch.tensor(0.0), -0.5 * weight.sum() - 0.5]))
    classifier = Classifier(nn.Sequential(nn.Flatten(), layer))
    labels = classifier.logits(images).argmax(dim=1)
    with classifier.tallied(20) as tally:
        for eps in (0.3, 0.4, 0.5):
            tally.forwards.zero_()
            found = pgd(classifier, images, labels, eps=eps, step_size=eps, steps=40, random_start=False)
            assert tally.forwards.max() <= 2
            assert (found != images).flatten(1).any(1).all()


def test_torchattacks_l2_starts_crowd_at_the_centre() -> None:
    """It draws the radius uniformly, so that half of the starts lie in 2^-d of the volume."""
    images = torch.full((200, 1, 4, 4), 0.5, dtype=torch.float64)
    starts = L2.random_start(images, 0.4, seed=0, indices=torch.arange(200))
    assert (L2.size(starts - images) > 0.2).all()


def test_art_and_foolbox_shrink_to_the_l1_ball_instead_of_projecting(images) -> None:
    """Dividing by the norm brings a point into the ball, but not to the nearest point of it."""
    candidate = (images + 0.3 * normal(1, torch.arange(32), (3, 8, 8), dtype=torch.float64)).clamp(0, 1)
    shrunk = images + (candidate - images) * (4 / L1.size(candidate - images))[:, None, None, None]
    nearest = L1.project(candidate, images, 4.0)
    assert (L2.size(nearest - candidate) < 0.99 * L2.size(shrunk - candidate)).all()


def test_torchattacks_moves_images_at_no_budget(classifier, images, labels) -> None:
    """Its results for eps = 0 differ from the images by the arithmetic of normalising there and back."""
    for attack in (fgsm, bim, mifgsm, pgd):
        assert torch.equal(attack(classifier, images, labels, eps=0.0), images)
