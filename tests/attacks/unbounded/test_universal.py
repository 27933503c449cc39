"""One perturbation for all: how many images it fools, and that it is one."""

import pytest
import torch

from attacks import NORMS, fooled
from attacks.random import normal, uniform
from attacks.unbounded.universal import universal, universal_perturbation

both = pytest.mark.parametrize("norm", ["linf", "l2"])


@pytest.fixture
def sides(linear):
    """A linear classifier, images on its two sides, twice as many on the one, and the dual norm of its weight."""
    weight = normal(0, torch.arange(1), (1, 3, 3), dtype=torch.float64)
    images = 0.5 + 0.05 * (uniform(1, torch.arange(400), (1, 3, 3), dtype=torch.float64) - 0.5)
    classifier = linear(weight, -0.5 * weight.sum().item())
    scores = classifier.logits(images)[:, 1]
    chosen = torch.cat([(scores > 0).nonzero().flatten()[:60], (scores <= 0).nonzero().flatten()[:30]])
    dual = {"linf": weight.abs().sum().item(), "l2": weight.norm().item()}
    return classifier, images[chosen], (scores[chosen] > 0).long(), scores[chosen], dual


@both
def test_on_a_linear_network_it_gives_up_the_smaller_side_and_fools_all_of_the_larger_within_reach(norm, sides) -> None:
    """A shift that takes one side across the boundary takes the other away from it."""
    classifier, images, labels, scores, dual = sides
    distance = scores.abs() / dual[norm]
    eps = distance[labels == 1].sort().values[29:31].mean().item()  # no image lies at the very end of its reach
    delta = universal_perturbation(classifier, images, labels, eps=eps, norm=norm)
    success = fooled(classifier.logits((images + delta).clamp(0, 1)), labels)
    assert torch.equal(success, (labels == 1) & (distance < eps))
    assert success.sum() == 30


@both
def test_it_is_one_perturbation_within_eps(norm, convolutional, draw) -> None:
    images = 0.3 + 0.4 * draw(12, (3, 8, 8))
    labels = convolutional.logits(images).argmax(dim=1)
    convolutional.passes.forwards = 0
    eps = 0.05 if norm == "linf" else 0.5
    result = universal(convolutional, images, labels, eps=eps, norm=norm, steps=8)
    delta = universal_perturbation(convolutional, images, labels, eps=eps, norm=norm, steps=8)
    assert delta.shape == (1, 3, 8, 8)
    assert NORMS[norm].size(delta).item() == pytest.approx(eps)
    torch.testing.assert_close(result, images + delta)  # [0, 1] is not in the way
    assert convolutional.passes.forwards == convolutional.passes.backwards == 2 * 2 * 12 * 9  # two calls of two ascents


def test_it_fools_far_more_than_noise_and_less_than_one_perturbation_each(convolutional, draw) -> None:
    from attacks import pgd, uniform_noise

    images = draw(60, (3, 8, 8))
    labels = convolutional.logits(images).argmax(dim=1)

    def rate(adversarial) -> float:
        return fooled(convolutional.logits(adversarial), labels).double().mean().item()

    noise = rate(uniform_noise(convolutional, images, labels, eps=0.03))
    one = rate(universal(convolutional, images, labels, eps=0.03, steps=20))
    each = rate(pgd(convolutional, images, labels, eps=0.03, steps=20))
    assert noise + 0.2 < one <= each
    unseen = draw(60, (3, 8, 8), seed=9)
    truth = convolutional.logits(unseen).argmax(dim=1)
    delta = universal_perturbation(convolutional, images, labels, eps=0.03, steps=20)
    carried = fooled(convolutional.logits((unseen + delta).clamp(0, 1)), truth).double().mean().item()
    assert carried > noise + 0.15


@both
def test_a_target_is_reached_by_most(norm, convolutional, draw) -> None:
    images, targets = draw(40, (3, 8, 8)), torch.full((40,), 2)
    eps = 0.1 if norm == "linf" else 1.5
    result = universal(convolutional, images, targets, eps=eps, norm=norm, targeted=True, steps=20)
    before, after = ((convolutional.logits(x).argmax(1) == 2).double().mean() for x in (images, result))
    assert after > before + 0.4


def test_the_best_step_is_kept(convolutional, draw) -> None:
    images, labels = draw(30, (3, 8, 8)), torch.arange(30) % 4
    counts = []
    for steps in range(1, 6):
        adversarial = universal(convolutional, images, labels, eps=0.03, steps=steps, step_size=0.02)
        counts.append(int(fooled(convolutional.logits(adversarial), labels).sum()))
    assert counts == sorted(counts)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"norm": "l1"}, "a universal perturbation has no norm l1: choose from linf, l2"),
        ({"steps": 0}, "steps must be 1 or more; got 0"),
        ({"cap": 0.0}, "cap must be above 0, where a sample is fooled; got 0"),
        ({"step_size": -1.0}, "step_size must be finite and 0 or above; got -1"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, message, convolutional, draw) -> None:
    with pytest.raises(ValueError, match=message):
        universal(convolutional, draw(2, (3, 8, 8)), torch.tensor([0, 1]), **{"eps": 0.1, **options})
