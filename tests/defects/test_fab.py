"""What other implementations of FAB get wrong or waste."""

import pytest
import torch
from torch import Tensor, nn

from attacks import L1, LINF, NORMS, Classifier, fooled
from attacks.minimal.fab import fab, fab_t
from attacks.minimal.hyperplanes import HYPERPLANE_NORMS, move_onto
from attacks.random import normal, seeded, uniform


class Scaled(nn.Module):
    """A small network whose logits are multiplied by a factor."""

    def __init__(self, factor: float, classes: int = 4) -> None:
        super().__init__()
        with seeded(3):
            self.layers = nn.Sequential(nn.Flatten(), nn.Linear(16, 12), nn.Tanh(), nn.Linear(12, classes))
        self.factor = factor

    def forward(self, images: Tensor) -> Tensor:
        return self.factor * self.layers(images)


@pytest.fixture
def images() -> Tensor:
    return uniform(2, torch.arange(16), (1, 4, 4))


def test_torchattacks_fab_ignores_its_targeted_flag(images) -> None:
    """There the flag chooses how boundaries are found, and the labels are left either way, never reached."""
    classifier = Classifier(Scaled(1))
    targets = (classifier.logits(images).argmax(dim=1) + 1) % 4
    for norm in HYPERPLANE_NORMS:
        reached = fab(classifier, images, targets, norm=norm, steps=20, targeted=True)
        assert fooled(classifier.logits(reached), targets, targeted=True).double().mean() > 0.8


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_torchattacks_fab_overflows_in_half_precision(dtype, images) -> None:
    """There 1e10 stands for the distance of the label to itself, which float16 cannot hold."""
    classifier = Classifier(Scaled(1).to(dtype))
    labels = classifier.logits(images).argmax(dim=1)
    for attack in (fab, fab_t):
        for norm in HYPERPLANE_NORMS:
            adversarial = attack(classifier, images, labels, norm=norm, steps=10)
            assert adversarial.isfinite().all()
            assert fooled(classifier.logits(adversarial), labels).double().mean() > 0.9  # equal logits may hold one


@pytest.mark.parametrize("norm", HYPERPLANE_NORMS)
def test_autoattack_fab_takes_small_gradients_for_none(norm, images) -> None:
    """There pixels with a gradient below 1e-8 stay where they are, so that a factor on the logits stops the attack."""
    plain, tiny = Classifier(Scaled(1).double()), Classifier(Scaled(2.0**-40).double())
    labels = plain.logits(images).argmax(dim=1)
    for attack in (fab, fab_t):
        expected = attack(plain, images.double(), labels, norm=norm, steps=10)
        assert fooled(plain.logits(expected), labels).all()
        torch.testing.assert_close(attack(tiny, images.double(), labels, norm=norm, steps=10), expected)


def test_autoattack_projections_reach_past_the_hyperplane_where_slopes_are_tiny() -> None:
    """There the cut at 1e-8 leaves out pixels, and those that are left cannot reach the hyperplane alone."""
    normals = torch.tensor([1e-9, 2e-9, 3e-9]).reshape(1, 3, 1, 1)
    points, values = torch.full((1, 3, 1, 1), 0.5), torch.tensor([1e-9])
    for norm in HYPERPLANE_NORMS:
        moves = move_onto(NORMS[norm], points, normals, values)
        torch.testing.assert_close((normals * moves).sum(), torch.tensor(-1e-9), rtol=1e-6, atol=0)


def test_autoattack_fab_looks_twice_at_every_iterate(images) -> None:
    """There an iterate is passed forwards to see whether it fools, and once more to step on from it."""
    classifier = Classifier(Scaled(1))
    labels = classifier.logits(images).argmax(dim=1)
    with classifier.tallied(16) as tally:
        fab_t(classifier, images, labels, steps=10, search_steps=0)
    assert torch.equal(tally.forwards, tally.backwards + 1)  # the image itself, once
    assert tally.backwards.tolist() == [3 * (10 + 1)] * 16


def test_autoattack_fab_computes_gradients_of_parameters(images) -> None:
    """There a plain backward pass fills the gradients of all parameters, and leaves them there."""
    network = Scaled(1)
    seen = []
    for parameter in network.parameters():
        parameter.register_hook(seen.append)
    for attack in (fab, fab_t):
        attack(Classifier(network), images, torch.zeros(16, dtype=torch.int64), steps=3)
    assert seen == []
    assert all(parameter.grad is None for parameter in network.parameters())


def test_autoattack_fab_counts_a_sample_at_eps_as_robust() -> None:
    """There `distance > eps` in float32 decides, which 0.1 + eps - 0.1 exceeds by rounding."""

    class Brightness(nn.Module):
        def __init__(self, most: float) -> None:
            super().__init__()
            self.most = most

        def forward(self, inputs: Tensor) -> Tensor:
            total = inputs.flatten(1).sum(dim=1)
            return torch.stack([torch.full_like(total, self.most), total], dim=1)

    images = 0.1 + 0.01 * uniform(5, torch.arange(64), (1, 4, 4))
    eps = torch.tensor(8 / 255)
    ends = images + eps
    assert (LINF.size(ends - images) > eps).any()
    for row in range(0, 64, 8):
        # The boundary just before the corner of the ball: nothing inside is beyond it but by rounding.
        image = images[row : row + 1]
        reach = (image + eps).sum().item() - 2e-6
        classifier = Classifier(Brightness(reach))
        labels = torch.zeros(1, dtype=torch.int64)
        assert not fooled(classifier.logits(image), labels).any()
        adversarial = fab_t(classifier, image, labels, eps=8 / 255, steps=10)
        assert fooled(classifier.logits(adversarial), labels).all()
        assert LINF.size(adversarial - image) <= 8 / 255 + 1e-6


def test_autoattack_fab_draws_restarts_for_the_batch(images) -> None:
    """There a restart draws one tensor for whatever batch it is given, so that results depend on its size."""
    classifier = Classifier(Scaled(1).double())
    images = images.double()
    labels = classifier.logits(images).argmax(dim=1)

    starts: list[Tensor] = []
    handle = classifier.register_forward_pre_hook(lambda module, inputs: starts.append(inputs[0].detach()))
    fab(classifier, images, labels, steps=1, restarts=3, search_steps=0)
    whole = starts[3]  # after the image, the first start and its step
    assert not torch.allclose(starts[5], whole)  # and another for each restart
    starts.clear()
    fab(classifier, images[5:6], labels[5:6], steps=1, restarts=2, search_steps=0, indices=torch.tensor([5]))
    handle.remove()
    assert not torch.equal(whole, images)
    torch.testing.assert_close(starts[3][0], whole[5], rtol=0, atol=1e-12)


@pytest.mark.parametrize("classes", [2, 3, 4, 8])
def test_autoattack_fab_fails_below_ten_classes(classes, images) -> None:
    """There nine targets are taken whatever the number of classes, and the tenth likeliest is looked for in vain."""
    classifier = Classifier(Scaled(1, classes))
    labels = classifier.logits(images).argmax(dim=1)
    adversarial = fab_t(classifier, images, labels, norm="l2", steps=20)
    assert fooled(classifier.logits(adversarial), labels).double().mean() > 0.9


def test_fab_divides_by_a_gradient_of_zero(images) -> None:
    """Where no pixel matters, a distance is 0 / 0 in plain code; the others of the batch must not suffer."""

    class Half(nn.Module):
        def forward(self, inputs: Tensor) -> Tensor:
            bright = (inputs.flatten(1).mean(dim=1) > 0.5)[:, None]
            weights = normal(9, torch.arange(3), (16,)).to(inputs)
            return torch.where(bright, inputs.flatten(1) @ weights.T, inputs.flatten(1)[:, :3] * 0)

    classifier = Classifier(Half())
    labels = classifier.logits(images).argmax(dim=1)
    bright = images.flatten(1).mean(dim=1) > 0.5
    assert bright.any()
    assert not bright.all()
    for attack in (fab, fab_t):
        for norm in HYPERPLANE_NORMS:
            adversarial = attack(classifier, images, labels, norm=norm, steps=10)
            assert adversarial.isfinite().all()
            assert torch.equal(adversarial[~bright], images[~bright])
            assert fooled(classifier.logits(adversarial), labels)[bright].all()


def test_torchattacks_fab_in_l1_finds_a_twentieth(images) -> None:
    """There l1 succeeds on 5 % of the samples on which the authors' code succeeds on 94 % (AttackBench)."""
    classifier = Classifier(Scaled(1))
    labels = classifier.logits(images).argmax(dim=1)
    sizes = L1.size(fab_t(classifier, images, labels, norm="l1", steps=20) - images)
    adversarial = fab_t(classifier, images, labels, norm="l1", steps=20, eps=1.01 * sizes)
    assert fooled(classifier.logits(adversarial), labels).all()
