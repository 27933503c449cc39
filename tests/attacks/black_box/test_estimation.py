"""Estimated gradients are right in the mean and each sample's own; NES, SPSA and Bandits climb them within budget."""

import pytest
import torch
from torch import Tensor, nn

from attacks import LINF, Classifier, bim, fooled
from attacks.black_box.bandits import bandits
from attacks.black_box.estimation import Plan, slope
from attacks.black_box.nes import nes
from attacks.black_box.spsa import spsa
from attacks.random import normal, uniform
from attacks.samples import Samples

climbers = pytest.mark.parametrize("attack", [nes, spsa, bandits])


def signs(indices: Tensor, shape: tuple[int, ...]) -> Tensor:
    return (uniform(0, indices, shape, dtype=torch.float64) - 0.5).sign()


@pytest.mark.parametrize("draw_one", [signs, lambda indices, shape: normal(0, indices, shape, dtype=torch.float64)])
@pytest.mark.parametrize("targeted", [False, True])
def test_the_mean_of_the_estimates_is_the_gradient_at_the_bounds_too(draw_one, targeted, linear, draw) -> None:
    weight = normal(3, torch.arange(1), (1, 3, 4), dtype=torch.float64)
    image = draw(1, (1, 3, 4), seed=2)
    image[0, 0, 0, 0], image[0, 0, 0, 1], image[0, 0, 0, 2] = 0, 1, 0.004
    images, count = image.expand(4000, -1, -1, -1), 4000
    samples = Samples.of(
        images, torch.zeros(count, dtype=torch.int64), eps=0.1, norm=LINF, targeted=targeted, indices=None
    )
    estimates = slope(linear(weight, 0.0), samples, images, draw_one(samples.indices, (1, 3, 4)), radius=0.01)
    exact = -weight if targeted else weight
    error = (estimates.mean(0) - exact[0]) / (estimates.std(0) / count**0.5)
    assert error.abs().max() < 4.5
    assert torch.allclose(estimates.mean(0), exact[0], atol=0.25)


@climbers
@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_a_sample_falls_only_when_eps_exceeds_its_distance(attack, norm, linear) -> None:
    weight = normal(3, torch.arange(1), (1, 4, 4), dtype=torch.float64)
    images = 0.5 + 0.1 * (uniform(1, torch.arange(16), (1, 4, 4), dtype=torch.float64) - 0.5)
    classifier = linear(weight, -0.5 * weight.sum().item())
    score = classifier.logits(images)[:, 1]
    size = weight.abs().sum() if norm == "linf" else weight.square().sum().sqrt()
    options = {"tile": 1} if attack is bandits else {}
    for ratio, falls in ((1 - 1e-6, False), (2.0, True)):
        eps = ratio * score.abs() / size
        adversarial = attack(classifier, images, (score > 0).long(), eps=eps, norm=norm, queries=400, **options)
        assert fooled(classifier.logits(adversarial), (score > 0).long()).tolist() == [falls] * 16


@climbers
@pytest.mark.parametrize("queries", [1, 3, 4, 20, 140])
def test_every_query_is_counted_and_lies_in_the_pixel_range(attack, queries) -> None:
    class Checked(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            assert images.min() >= 0
            assert images.max() <= 1
            score = images.flatten(1).sum(1) - 100
            return torch.stack([torch.zeros_like(score), score], dim=1)

    classifier, labels = Classifier(Checked()), torch.tensor([1, 0, 0, 0])
    images = uniform(0, torch.arange(4), (1, 3, 3)).round()
    with classifier.tallied(4) as tally:
        attack(classifier, images, labels, eps=0.1, queries=queries)
    plan = Plan.of(queries, {nes: 25, spsa: 32, bandits: 1}[attack])
    spent = 1 + plan.steps * (2 * plan.pairs + 1)
    assert spent <= queries
    assert tally.forwards.tolist() == [1] + [spent] * 3
    assert tally.backwards.sum() == 0


def test_a_plan_takes_whole_steps() -> None:
    assert Plan.of(5000, 25) == (98, 25)
    assert Plan.of(20, 25) == (1, 9)
    assert Plan.of(3, 25) == Plan.of(1, 25) == (0, 0)
    with pytest.raises(ValueError, match="queries and pairs must be 1 or more; got queries=0, pairs=25"):
        Plan.of(0, 25)


@climbers
def test_scores_alone_come_close_to_gradients(attack, rowwise, draw) -> None:
    images = draw(40)
    labels = rowwise.logits(images).argmax(dim=1)
    options = {"tile": 1} if attack is bandits else {}
    found = fooled(rowwise.logits(attack(rowwise, images, labels, eps=0.05, queries=500, **options)), labels).sum()
    white = fooled(rowwise.logits(bim(rowwise, images, labels, eps=0.05, steps=20)), labels).sum()
    assert white >= 5
    assert found >= 0.75 * white


@pytest.mark.parametrize(
    ("attack", "options", "message"),
    [
        (nes, {"norm": "l0"}, "nes has no form for l0: choose from linf, l2, l1"),
        (nes, {"radius": 0.0}, "radius must be above 0 and momentum in"),
        (spsa, {"norm": "l1"}, "spsa has no form for l1: choose from linf, l2"),
        (spsa, {"radius": -1.0}, "radius must be above 0; got -1.0"),
        (bandits, {"norm": "l1"}, "bandits has no form for l1: choose from linf, l2"),
        (bandits, {"tile": 0}, "tile must be 1 or more; got 0"),
        (bandits, {"exploration": 0.0}, "exploration, radius and learning_rate must be above 0; got 0.0, 0.1, 100.0"),
    ],
)
def test_wrong_options_are_named(attack, options, message, rowwise, draw) -> None:
    with pytest.raises(ValueError, match=message):
        attack(rowwise, draw(2), torch.zeros(2, dtype=torch.int64), **{"eps": 0.1, **options})
