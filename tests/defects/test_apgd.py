"""What other implementations of APGD get wrong, each as a test that fails on the defect."""

import inspect
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from attacks import L1, LINF, Classifier, fooled
from attacks.clock import Ages
from attacks.gradient.apgd import apgd_ce, apgd_dlr, apgd_t
from attacks.gradient.apgd_pace import Halving, Seen, Sparsity
from attacks.objectives import dlr
from attacks.random import seeded, uniform
from attacks.samples import Samples

ATTACKS = [apgd_ce, apgd_dlr, apgd_t]


class Rowwise(nn.Module):
    """Sums run within a row, so that logits do not depend on the batch; images are (N, 1, 4, 4), float64."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        with seeded(classes):
            self.first = nn.Parameter(torch.randn(12, 16, dtype=torch.float64))
            self.second = nn.Parameter(torch.randn(classes, 12, dtype=torch.float64))

    def forward(self, images: Tensor) -> Tensor:
        hidden = ((images.flatten(1)[:, None] - 0.5) * self.first).sum(dim=2).tanh()
        return (hidden[:, None] * self.second).sum(dim=2)


class Scripted(nn.Module):
    """Remembers what it sees, and answers class 1 in the given passes only; brighter is more like class 1."""

    def __init__(self, *wrong: int) -> None:
        super().__init__()
        self.wrong = wrong
        self.seen: list[Tensor] = []

    def forward(self, images: Tensor) -> Tensor:
        self.seen.append(images.detach().clone())
        score = images.mean(dim=(1, 2, 3)) + (10 if len(self.seen) in self.wrong else -10)
        return torch.stack([torch.zeros_like(score), score], dim=1)


def at(step: int) -> Ages:
    """One sample after so many steps."""
    return Ages(frozenset({step}), torch.zeros(1, dtype=torch.int64), step)


@pytest.fixture
def samples() -> Callable[..., tuple[Classifier, Tensor, Tensor]]:
    """(count, classes) to a classifier, images and the classes that it gives them."""

    def build(count: int, classes: int) -> tuple[Classifier, Tensor, Tensor]:
        classifier = Classifier(Rowwise(classes))
        images = uniform(0, torch.arange(count), (1, 4, 4), dtype=torch.float64)
        return classifier, images, classifier.logits(images).argmax(dim=1)

    return build


def one(image: Tensor) -> Samples:
    return Samples.of(image, torch.tensor([0]), eps=0.5, norm=LINF, targeted=False, indices=None)


@pytest.mark.parametrize("classes", [2, 3, 4, 8])
def test_autoattack_fails_for_fewer_than_ten_classes(classes, samples) -> None:
    """AutoAttack's `standard` takes nine targets and four logits, so it raises IndexError for 2, 3, 4 and 8 classes."""
    classifier, images, labels = samples(20, classes)
    for attack in (apgd_dlr, apgd_t):
        success = fooled(classifier.logits(attack(classifier, images, labels, eps=0.3, steps=10)), labels)
        assert success.sum() > 4


def test_torchattacks_apgdt_fails_for_three_classes(samples) -> None:
    """torchattacks' APGDT takes the fourth largest logit, so it raises IndexError for three classes."""
    classifier, images, labels = samples(20, 3)
    found = apgd_t(classifier, images, labels, eps=1.0, steps=10)
    assert (classifier.logits(found).argmax(dim=1) != labels).double().mean() > 0.8


def test_autoattack_apgd_never_drops_fooled_points() -> None:
    """AutoAttack takes all 100 steps with samples that fell at once: 102 forward passes an image where 2 are enough."""
    network = nn.Sequential(nn.Flatten(), nn.Linear(16, 2, dtype=torch.float64))
    with torch.no_grad():
        network[1].weight.copy_(torch.stack([torch.zeros(16), torch.linspace(-1, 1.2, 16)]))
        network[1].bias.copy_(torch.tensor([0.0, -2.5]))
    classifier, images = Classifier(network), torch.full((30, 1, 4, 4), 0.5, dtype=torch.float64)
    with classifier.tallied(30) as tally:
        adversarial = apgd_ce(classifier, images, torch.zeros(30).long(), eps=0.2)
    assert classifier.logits(adversarial).argmax(dim=1).all()
    assert tally.forwards.max() == 2
    assert tally.backwards.max() == 2


def test_autoattack_apgd_looks_at_images_and_last_gradients_for_nothing(samples) -> None:
    """AutoAttack spends 102 forward and 101 backward passes on an image that holds out; 101 and 100 are used."""
    classifier, images, labels = samples(5, 4)
    with classifier.tallied(5) as tally:
        apgd_ce(classifier, images, labels, eps=0.0)
    assert (tally.forwards.tolist(), tally.backwards.tolist()) == ([101] * 5, [100] * 5)


@pytest.mark.parametrize("attack", ATTACKS)
def test_autoattack_apgd_depends_on_the_batch_split(attack, samples) -> None:
    """AutoAttack seeds the global generator in each batch, so every batch starts with the same noise in its rows."""
    classifier, images, labels = samples(24, 5)
    options = {"eps": 0.05, "steps": 6, "restarts": 2}
    whole = attack(classifier, images, labels, **options)
    parts = [
        attack(classifier, images[rows], labels[rows], indices=rows, **options)
        for rows in (torch.arange(0, 7), torch.arange(7, 24))
    ]
    assert torch.equal(torch.cat(parts), whole)
    assert not torch.equal(attack(classifier, images, labels, seed=1, **options), whole)


@pytest.mark.parametrize("attack", ATTACKS)
def test_autoattack_apgd_reseeds_the_global_generator(attack, samples) -> None:
    """AutoAttack and torchattacks call torch.manual_seed, so what a user draws afterwards is no longer random."""
    classifier, images, labels = samples(4, 5)
    state = torch.get_rng_state()
    attack(classifier, images, labels, eps=0.1, steps=2)
    assert torch.equal(torch.get_rng_state(), state)


def test_autoattack_l1_apgd_counts_pixels_that_its_projection_brought_back() -> None:
    """There x + d - d is not x in float32, so pixels that did not move count as moved and the steps get too dense."""
    images = uniform(0, torch.arange(1), (3, 16, 16))
    projected = L1.project(images + 0.02 * uniform(1, torch.arange(1), (3, 16, 16)), images, 0.1)
    counted = Sparsity.of(L1, one(images), projected, steps=10).counted
    assert int(counted) == int((projected - images).abs().gt(1e-5).sum()) < 100


def test_art_apgd_starts_with_a_step_that_the_user_chose() -> None:
    """ART starts with `eps_step` for 2 eps, so the first step does not cross the ball."""
    network, image = Scripted(), torch.full((1, 1, 4, 4), 0.5, dtype=torch.float64)
    apgd_ce(Classifier(network), image, torch.tensor([0]), eps=0.1, steps=2)
    assert (network.seen[0] - image).min() < 0
    torch.testing.assert_close(network.seen[1], image + 0.1)


def test_art_apgd_counts_new_maxima_for_rises() -> None:
    """ART halves unless three of four steps beat the best loss, where the paper asks that they beat the last one."""
    samples = one(torch.zeros(1, 1, 1, 1))
    pace = Halving.of(LINF, samples, samples.images, steps=100, zero=-torch.inf)
    for step, value in enumerate([100.0, *range(22)]):
        seen = Seen(at(step), torch.tensor([value]), torch.tensor([100.0]), samples.images)
        pace, back = pace.checked(seen, samples)
        assert back is None or not back.any()


def test_art_apgd_looks_at_the_last_iterate_only() -> None:
    """ART asks only the last iterate whether it fools, so a success on the way is lost."""
    network, image = Scripted(3), torch.full((1, 1, 4, 4), 0.5, dtype=torch.float64)
    classifier = Classifier(network)
    adversarial = apgd_ce(classifier, image, torch.tensor([0]), eps=0.1, steps=20)
    assert torch.equal(adversarial, network.seen[2])
    assert classifier.passes.forwards == 3


def test_art_dlr_divides_by_zero_where_logits_are_equal() -> None:
    """ART divides by the first logit minus the third without 1e-12, so equal logits give NaN."""

    class Level(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return images.mean(dim=(1, 2, 3))[:, None].expand(-1, 5)

    logits = torch.zeros(2, 5, requires_grad=True)
    values = dlr(logits, torch.tensor([0, 3]))
    (gradient,) = torch.autograd.grad(values.sum(), logits)
    assert values.isfinite().all()
    assert gradient.isfinite().all()
    images = torch.full((2, 1, 2, 2), 0.5)
    for attack in (apgd_dlr, apgd_t):
        adversarial = attack(Classifier(Level()), images, torch.zeros(2).long(), eps=0.1, steps=5)
        assert (LINF.size(adversarial - images) <= 0.1 + 1e-6).all()  # so none is NaN


def test_art_l1_apgd_steps_in_all_pixels() -> None:
    """ART's l1 step moves every pixel, where the steepest direction of that ball is sparse."""
    images = torch.full((1, 1, 10, 10), 0.5, dtype=torch.float64)
    start = images.clone()
    start.view(-1)[:30] += 0.01
    samples = Samples.of(images, torch.tensor([0]), eps=5.0, norm=L1, targeted=False, indices=None)
    gradient = torch.arange(100, dtype=torch.float64).reshape(1, 1, 10, 10) + 1
    _, following = Sparsity.of(L1, samples, start, steps=10).moved(start, gradient, at(0), samples)
    climbed = (following - start).flatten() > 1e-9  # the projection shrinks the others
    assert climbed.nonzero().flatten().tolist() == list(range(80, 100))


@pytest.mark.parametrize("attack", ATTACKS)
def test_torchattacks_autoattack_takes_ten_steps(attack) -> None:
    """The parts of torchattacks' AutoAttack take 10 steps and all other classes as targets; AutoAttack's 100 and 9."""
    defaults = {name: option.default for name, option in inspect.signature(attack).parameters.items()}
    assert (defaults["steps"], defaults["restarts"], defaults["eot"]) == (100, 1, 1)
    assert defaults.get("num_targets", 9) == 9
