"""What FGSM, its iterated forms and PGD find, and what it costs them."""

from collections.abc import Callable
from itertools import combinations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from attacks import L1, L2, LINF, NORMS, Classifier, bim, fgsm, fooled, mifgsm, pgd
from attacks.gradient.pgd import kl_pgd
from attacks.objectives import LOSSES
from attacks.random import normal, uniform

every_length = pytest.mark.parametrize("norm", [LINF, L2, L1], ids=lambda norm: norm.name)
every_norm = pytest.mark.parametrize("norm", NORMS.values(), ids=NORMS)
dual = {LINF: L1, L2: L2, L1: LINF}


@pytest.fixture
def labelled(rowwise, draw) -> tuple[Tensor, Tensor]:
    """64 images and the classes that the network gives them, every ninth of them wrong."""
    images = draw(64)
    labels = rowwise.logits(images).argmax(dim=1)
    labels[::9] = (labels[::9] + 1) % 5
    rowwise.passes.forwards = 0
    return images, labels


# What is found.


@pytest.fixture
def boundary(linear) -> Callable[..., tuple[Classifier, Tensor, Tensor, Tensor]]:
    """A linear classifier, images, their labels, and in a norm the eps of each that is `ratio` of its distance."""

    def build(norm, ratio: float) -> tuple[Classifier, Tensor, Tensor, Tensor]:
        weight = normal(0, torch.arange(1), (1, 3, 3), dtype=torch.float64)
        images = 0.5 + 0.1 * (uniform(1, torch.arange(40), (1, 3, 3), dtype=torch.float64) - 0.5)
        classifier = linear(weight, -0.5 * weight.sum().item())
        score = classifier.logits(images)[:, 1]
        distance = score.abs() / dual[norm].size(weight)
        assert distance.max() < 0.4  # [0, 1] is never in the way
        return classifier, images, (score > 0).long(), ratio * distance

    return build


@every_length
@pytest.mark.parametrize("targeted", [False, True])
def test_a_sample_falls_exactly_when_eps_exceeds_its_distance_to_the_boundary(norm, targeted, boundary) -> None:
    for attack in (fgsm, bim, mifgsm, pgd):
        options = {"random_start": False} if attack is pgd else {}
        for ratio in (1 - 1e-9, 1 + 1e-9):
            classifier, images, labels, eps = boundary(norm, ratio)
            wanted = 1 - labels if targeted else labels
            adversarial = attack(classifier, images, wanted, eps=eps, norm=norm, targeted=targeted, **options)
            assert fooled(classifier.logits(adversarial), labels).tolist() == [ratio > 1] * len(images)


@every_length
def test_a_random_start_finds_the_same_boundary(norm, boundary) -> None:
    for ratio in (1 - 1e-9, 1.001):
        classifier, images, labels, eps = boundary(norm, ratio)
        adversarial = pgd(classifier, images, labels, eps=eps, norm=norm, step_size=eps / 4, seed=1)
        assert fooled(classifier.logits(adversarial), labels).tolist() == [ratio > 1] * len(images)


@pytest.mark.parametrize("targeted", [False, True])
def test_in_l0_a_sample_falls_exactly_with_as_many_values_as_it_takes(targeted, linear, draw) -> None:
    """The fewest values that turn a linear score are those with the largest product of slope and room."""
    weight = normal(0, torch.arange(1), (1, 5, 5), dtype=torch.float64)
    images = draw(60, (1, 5, 5))
    classifier = linear(weight, 4 - 0.5 * weight.sum().item())
    score = classifier.logits(images)[:, 1]
    labels = (score > 0).long()
    slope = -score.sign()[:, None] * weight.flatten()
    gains = slope.abs() * torch.where(slope > 0, 1 - images.flatten(1), images.flatten(1))
    fewest = 1 + (gains.sort(dim=1, descending=True).values.cumsum(dim=1) <= score.abs()[:, None]).sum(dim=1)
    assert len(fewest.unique()) > 4
    wanted = 1 - labels if targeted else labels
    for attack in (fgsm, bim, mifgsm, pgd):
        for eps in (fewest - 1, fewest):
            adversarial = attack(classifier, images, wanted, eps=eps, norm="l0", targeted=targeted)
            assert (fooled(classifier.logits(adversarial), labels) == (eps == fewest)).all()


def test_targets_are_reached_and_labels_are_left(rowwise, labelled) -> None:
    images, labels = labelled
    for attack in (fgsm, bim, mifgsm, pgd):
        left = attack(rowwise, images, labels, eps=0.3)
        reached = attack(rowwise, images, (labels + 2) % 5, eps=0.3, targeted=True)
        assert fooled(rowwise.logits(left), labels).double().mean() > 0.9
        assert (rowwise.logits(reached).argmax(1) == (labels + 2) % 5).double().mean() > 0.35
        assert fooled(rowwise.logits(reached), (labels + 2) % 5, targeted=True).sum() > 2 * (
            fooled(rowwise.logits(images), (labels + 2) % 5, targeted=True).sum()
        )


def test_momentum_follows_the_formula_of_the_paper(convolutional, draw) -> None:
    """g <- mu g + grad / mean |grad|; x <- clip(x + alpha sign(g)), with the gradient of the cross-entropy."""
    images, labels = draw(6, (3, 8, 8)), torch.arange(6) % 4
    for mu, steps in ((1.0, 10), (0.7, 3)):
        eps, alpha = 0.1, 0.1 / steps
        current, velocity = images.clone(), torch.zeros_like(images)
        for _ in range(steps):
            leaf = current.clone().requires_grad_()
            F.cross_entropy(convolutional(leaf), labels, reduction="sum").backward()
            velocity = mu * velocity + leaf.grad / leaf.grad.abs().mean(dim=(1, 2, 3), keepdim=True)
            current = (current + alpha * velocity.sign()).clamp(images - eps, images + eps).clamp(0, 1)
        ours = mifgsm(convolutional, images, labels, eps=eps, steps=steps, momentum=mu)
        torch.testing.assert_close(ours, current, rtol=0, atol=1e-12)
        assert not torch.equal(ours, bim(convolutional, images, labels, eps=eps, steps=steps, keep="last"))


def test_momentum_in_l2_steps_along_the_normalised_sum(convolutional, draw) -> None:
    images, labels = draw(6, (3, 8, 8)) * 0.2 + 0.4, torch.arange(6) % 4
    current, velocity = images.clone(), torch.zeros_like(images)
    for _ in range(4):
        leaf = current.clone().requires_grad_()
        F.cross_entropy(convolutional(leaf), labels, reduction="sum").backward()
        velocity = velocity + leaf.grad / leaf.grad.abs().mean(dim=(1, 2, 3), keepdim=True)
        current = current + 0.05 * velocity / velocity.flatten(1).norm(dim=1)[:, None, None, None]
    ours = mifgsm(convolutional, images, labels, eps=0.2, steps=4, norm=L2)
    torch.testing.assert_close(ours, current, rtol=0, atol=1e-12)  # never outside, so never projected


def test_a_network_that_is_certain_is_still_attacked(linear) -> None:
    """In float32 its cross-entropy has no gradient left: the probability of the label is 1."""
    weight = torch.linspace(-900, 700, 16).reshape(1, 4, 4)
    images, labels = torch.full((1, 1, 4, 4), 0.5), torch.tensor([0])
    adversarial = fgsm(linear(weight, 0.0), images, labels, eps=0.25)
    torch.testing.assert_close(adversarial, images + 0.25 * weight.sign())


def test_each_loss_steps_along_its_own_gradient(convolutional, draw) -> None:
    images, labels = draw(6, (3, 8, 8)), torch.arange(6) % 4
    results = []
    for name, loss in LOSSES.items():
        for targeted in (False, True):
            leaf = images.clone().requires_grad_()
            (gradient,) = torch.autograd.grad(loss(convolutional(leaf), labels, targeted=targeted).sum(), leaf)
            expected = (images + 0.05 * gradient.sign()).clamp(0, 1)
            options = {"eps": 0.1, "steps": 1, "step_size": 0.05, "random_start": False, "keep": "last"}
            found = pgd(convolutional, images, labels, loss=name, targeted=targeted, **options)
            torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
            results.append(found)
    assert all(not torch.equal(one, other) for one, other in combinations(results, 2))


@pytest.mark.parametrize("loss", ["margin", "dlr"])
def test_other_losses_break_about_as_many_as_the_cross_entropy(loss, rowwise, labelled) -> None:
    images, labels = labelled
    broken = [
        fooled(rowwise.logits(pgd(rowwise, images, labels, eps=0.12, loss=name)), labels).sum() for name in ("ce", loss)
    ]
    assert 16 < broken[0] < 60
    assert abs(broken[0] - broken[1]) <= 6


class Swinging(nn.Module):
    """Logits (0, image . w) whose w swings by far more than it is, up in every other pass and down in the others."""

    def __init__(self, weight: Tensor, swing: Tensor) -> None:
        super().__init__()
        self.weight, self.swing, self.sign = weight, swing, 1

    def forward(self, images: Tensor) -> Tensor:
        self.sign = -self.sign
        score = ((images - 0.5) * (self.weight + self.sign * self.swing)).flatten(1).sum(1)
        return torch.stack([torch.zeros_like(score), score], dim=1)


def test_eot_climbs_the_mean_of_a_random_network(draw) -> None:
    weight, swing = (normal(k, torch.arange(1), (1, 4, 4), dtype=torch.float64)[0] for k in range(2))
    images, labels = 0.5 + 0.01 * draw(8), torch.zeros(8, dtype=torch.int64)
    options = {"eps": 0.1, "steps": 1, "random_start": False, "keep": "last", "step_size": 0.1}
    classifier = Classifier(Swinging(weight, 9 * swing))
    averaged = pgd(classifier, images, labels, eot=2, **options)
    torch.testing.assert_close(averaged, images + 0.1 * weight.sign(), rtol=0, atol=1e-12)
    assert (classifier.passes.forwards, classifier.passes.backwards) == (16, 16)
    assert not torch.equal(pgd(classifier, images, labels, **options), averaged)


def test_eot_judges_success_by_the_mean_answer(draw) -> None:
    weight = torch.ones(1, 4, 4, dtype=torch.float64)
    images, labels = 0.5 - 0.001 * draw(8), torch.zeros(8, dtype=torch.int64)
    classifier = Classifier(Swinging(weight, 9 * weight))
    options = {"eps": 0.1, "random_start": False, "steps": 3, "step_size": 0.01}
    assert torch.equal(pgd(classifier, images, labels, **options), images)  # one swing that fools is enough
    lasting = pgd(classifier, images, labels, eot=2, **options)
    assert (lasting > images).all()


def test_the_kl_attack_follows_the_inner_loop_of_trades(convolutional, draw) -> None:
    """From 0.001 of normal noise, steps along the sign of the gradient of KL(clean || adversarial)."""
    images, labels = draw(6, (3, 8, 8)), torch.zeros(6, dtype=torch.int64)
    eps, alpha = 0.05, 0.01
    current = images + 0.001 * normal(3, torch.arange(6), (3, 8, 8), dtype=torch.float64)
    current = current.clamp(images - eps, images + eps).clamp(0, 1)
    clean = convolutional(images).softmax(dim=1).detach()
    for _ in range(7):
        leaf = current.clone().requires_grad_()
        F.kl_div(convolutional(leaf).log_softmax(dim=1), clean, reduction="sum").backward()
        current = (current + alpha * leaf.grad.sign()).clamp(images - eps, images + eps).clamp(0, 1)
    ours = kl_pgd(convolutional, images, labels, eps=eps, steps=7, step_size=alpha, seed=3)
    torch.testing.assert_close(ours, current, rtol=0, atol=1e-12)
    assert torch.equal(kl_pgd(convolutional, images, labels + 1, eps=eps, steps=7, step_size=alpha, seed=3), ours)


def test_the_kl_attack_costs_a_forward_pass_more_than_its_steps(rowwise, labelled) -> None:
    for eot in (1, 3):
        rowwise.passes.forwards = rowwise.passes.backwards = 0
        kl_pgd(rowwise, *labelled, eps=0.1, steps=4, eot=eot, batch_size=20)
        assert (rowwise.passes.forwards, rowwise.passes.backwards) == (64 * (4 * eot + 1), 64 * 4 * eot)


def test_the_kl_attack_refuses_to_start_at_the_image(rowwise, labelled) -> None:
    with pytest.raises(ValueError, match="start must be finite and above 0, or nothing moves; got 0"):
        kl_pgd(rowwise, *labelled, eps=0.1, start=0)


# Which iterate is kept.


class Saw(nn.Module):
    """Logits (0, saw), where the saw rises with the brightness, and is above 0 between 0.55 and 0.65 only."""

    def forward(self, images: Tensor) -> Tensor:
        value = images.mean(dim=(1, 2, 3))
        saw = torch.where(value < 0.55, value - 0.6, torch.where(value < 0.65, value, value - 1))
        return torch.stack([torch.zeros_like(saw), saw], dim=1)


def test_a_success_on_the_way_is_not_lost() -> None:
    """Steps of 0.1 from 0.5 up: 0.6 fools, and 0.7 to 0.9 do not."""
    images, labels = torch.full((1, 1, 2, 2), 0.5), torch.tensor([0])
    values = {
        keep: bim(Classifier(Saw()), images, labels, eps=0.4, steps=4, step_size=0.1, keep=keep).mean().item()
        for keep in ("first", "best", "last")
    }
    assert values == pytest.approx({"first": 0.6, "best": 0.6, "last": 0.9})


def test_the_best_iterate_has_the_largest_loss_of_those_that_fool(rowwise, labelled) -> None:
    images, labels = labelled
    options = {"eps": 0.2, "random_start": False, "step_size": 0.07}
    iterates = [images] + [pgd(rowwise, images, labels, keep="last", steps=steps, **options) for steps in range(1, 7)]
    logits = [rowwise.logits(iterate) for iterate in iterates]
    losses = torch.stack([F.cross_entropy(value, labels, reduction="none") for value in logits])
    success = torch.stack([fooled(value, labels) for value in logits])
    losses = torch.where(success | ~success.any(dim=0), losses, -torch.inf)
    best = pgd(rowwise, images, labels, keep="best", steps=6, **options)
    assert torch.equal(best, torch.stack(iterates)[losses.argmax(dim=0), torch.arange(64)])
    assert len(losses.argmax(dim=0).unique()) > 2


def test_the_first_iterate_that_fools_is_returned_and_else_the_last(rowwise, labelled) -> None:
    images, labels = labelled
    options = {"eps": 0.1, "random_start": False, "step_size": 0.02}
    iterates = [images] + [pgd(rowwise, images, labels, keep="last", steps=k, **options) for k in range(1, 6)]
    success = torch.stack([fooled(rowwise.logits(iterate), labels) for iterate in iterates])
    first = torch.where(success.any(dim=0), success.int().argmax(dim=0), 5)
    expected = torch.stack(iterates)[first, torch.arange(64)]
    assert torch.equal(pgd(rowwise, images, labels, steps=5, **options), expected)
    assert len(first.unique()) == 6


def test_restarts_only_add_and_keep_the_earlier_success(rowwise, labelled) -> None:
    images, labels = labelled
    results = [pgd(rowwise, images, labels, eps=0.06, steps=2, restarts=n, seed=3) for n in (1, 2, 5)]
    success = [fooled(rowwise.logits(result), labels) for result in results]
    assert success[0].sum() < success[2].sum()
    for earlier, later, before in zip(results, results[1:], success, strict=False):
        assert torch.equal(later[before], earlier[before])
        assert not torch.equal(later[~before], earlier[~before])  # they were tried again


def test_the_best_of_several_restarts_is_the_best_of_each(rowwise, labelled) -> None:
    images, labels = labelled
    values = [rowwise.logits(pgd(rowwise, images, labels, eps=0.06, steps=2, restarts=n, keep="best")) for n in (1, 4)]
    assert (fooled(values[1], labels) >= fooled(values[0], labels)).all()
    same = fooled(values[1], labels) == fooled(values[0], labels)
    one, four = (F.cross_entropy(value, labels, reduction="none")[same] for value in values)
    assert (four >= one).all()
    assert (four > one).any()


class Blind(nn.Module):
    """Answers NaN wherever the image was changed, and so wherever the attack might claim a success."""

    def __init__(self, image: Tensor) -> None:
        super().__init__()
        self.image = image

    def forward(self, images: Tensor) -> Tensor:
        moved = (images != self.image).flatten(1).any(dim=1)
        sums = images.flatten(1)[:, :2]
        return torch.where(moved[:, None], torch.full_like(sums, torch.nan), sums)


def test_nan_logits_are_no_success_for_any_rule() -> None:
    image = torch.tensor([0.8, 0.2, 0.5, 0.5]).reshape(1, 1, 2, 2)
    classifier, labels = Classifier(Blind(image)), torch.tensor([0])
    for keep in ("first", "best", "last"):
        before = classifier.passes.forwards
        adversarial = bim(classifier, image, labels, eps=0.1, steps=3, keep=keep)
        assert ((adversarial >= 0) & (adversarial <= 1)).all()
        assert classifier.passes.forwards - before == (4 if keep == "best" else 3)  # nobody left
        assert torch.equal(adversarial, image) == (keep == "best")


# What it costs, and what may not change the result.


@every_norm
@pytest.mark.parametrize("targeted", [False, True])
@pytest.mark.parametrize("restarts", [1, 3])
def test_compaction_changes_the_cost_and_not_the_result(norm, targeted, restarts, rowwise, labelled) -> None:
    images, labels = labelled
    options = {"eps": 0.1, "norm": norm, "steps": 4, "restarts": restarts, "targeted": targeted, "momentum": 0.5}
    compacted = pgd(rowwise, images, labels, **options)
    some = rowwise.passes.forwards
    assert torch.equal(pgd(rowwise, images, labels, compact=False, **options), compacted)
    assert some < rowwise.passes.forwards - some == 64 * (5 * restarts - 1)


@pytest.mark.parametrize("keep", ["first", "best"])
@pytest.mark.parametrize("compact", [False, True])
def test_a_queue_changes_neither_result_nor_cost(keep, compact, rowwise, labelled) -> None:
    options = {"eps": 0.06, "steps": 3, "restarts": 3, "keep": keep, "compact": compact}
    whole = pgd(rowwise, *labelled, **options)
    cost = rowwise.passes.forwards
    for number, batch_size in enumerate((7, 30, 100), start=2):
        assert torch.equal(pgd(rowwise, *labelled, batch_size=batch_size, **options), whole)
        assert rowwise.passes.forwards == number * cost


def test_a_sample_costs_one_pass_more_than_the_steps_it_took(rowwise, labelled) -> None:
    """Each of the iterates up to the first that fools is looked at; a sample that holds out costs a pass a step."""
    images, labels = labelled
    options = {"eps": 0.1, "random_start": False, "step_size": 0.02}
    iterates = [images] + [pgd(rowwise, images, labels, keep="last", steps=k, **options) for k in range(1, 5)]
    success = torch.stack([fooled(rowwise.logits(iterate), labels) for iterate in iterates])
    looks = torch.where(success.any(dim=0), success.int().argmax(dim=0) + 1, 5)
    rowwise.passes.forwards = rowwise.passes.backwards = 0
    pgd(rowwise, images, labels, steps=5, **options)
    assert (rowwise.passes.forwards, rowwise.passes.backwards) == (looks.sum(), looks.sum())


@pytest.mark.parametrize(
    ("attack", "passes"),
    [
        (lambda *a: fgsm(*a, eps=0.0), (64, 64)),
        (lambda *a: pgd(*a, eps=0.0, steps=5), (320, 320)),
        (lambda *a: pgd(*a, eps=0.0, steps=5, keep="last"), (320, 320)),
        (lambda *a: pgd(*a, eps=0.0, steps=5, keep="best"), (384, 320)),
        (lambda *a: pgd(*a, eps=0.0, steps=5, restarts=3), (64 * 17, 64 * 15)),
        (lambda *a: pgd(*a, eps=0.0, steps=5, restarts=3, keep="best"), (64 * 18, 64 * 15)),
    ],
)
def test_a_sample_that_holds_out_costs_what_the_options_say(attack, passes, rowwise, draw) -> None:
    images = draw(64)
    labels = rowwise.logits(images).argmax(dim=1)
    rowwise.passes.forwards = 0
    attack(rowwise, images, labels)
    assert (rowwise.passes.forwards, rowwise.passes.backwards) == passes


def test_forty_steps_against_a_network_that_falls_at_the_first_cost_two_passes(boundary) -> None:
    classifier, images, labels, distance = boundary(LINF, 1.0)
    classifier.passes.forwards = 0
    adversarial = pgd(classifier, images, labels, eps=0.4, step_size=distance * 1.1, steps=40, random_start=False)
    assert fooled(classifier.logits(adversarial), labels).all()
    assert classifier.passes.forwards == 2 * len(images) + len(images)  # and one by this test
    assert classifier.passes.backwards == 2 * len(images)


def test_who_falls_with_the_last_step_of_a_restart_is_not_attacked_again(boundary) -> None:
    """One step of twice eps leads from anywhere in the ball to its corner, and only the corner is over the boundary."""
    classifier, images, labels, eps = boundary(LINF, 1.0001)
    classifier.passes.forwards = 0
    pgd(classifier, images, labels, eps=eps, step_size=2 * eps, steps=1, restarts=3)
    assert (classifier.passes.forwards, classifier.passes.backwards) == (2 * len(images), len(images))


def test_a_network_is_frozen_once_an_attack_and_not_once_a_step(rowwise, labelled) -> None:
    class Switched(nn.Module):
        switches = 0

        def __setattr__(self, name: str, value: object) -> None:
            Switched.switches += name == "training"
            super().__setattr__(name, value)

    rowwise.network.switch = Switched()
    Switched.switches = 0
    pgd(rowwise, *labelled, eps=0.05, steps=6, keep="best")
    assert Switched.switches == 2


class Waits(TorchDispatchMode):
    """Counts the operations that make the host wait for a GPU, because it needs a value or a number of values."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        name = operation.overloadpacket.__name__
        masks = [index for index in args[1] if index is not None] if name in ("index", "index_put_") else []
        if name in ("_local_scalar_dense", "nonzero", "masked_select", "equal") or any(
            mask.dtype == torch.bool for mask in masks
        ):
            self.names.append(name)
        return operation(*args, **(kwargs or {}))


@every_norm
def test_a_step_waits_for_the_device_only_to_count_who_stays(norm, rowwise, labelled) -> None:
    images, labels = labelled
    found = []
    for options in ({"compact": False}, {"keep": "best"}, {"keep": "last"}, {"compact": True}):
        waits = []
        for steps in (2, 7):
            with Waits() as counted:
                pgd(rowwise, images, labels, eps=1e-6, norm=norm, steps=steps, momentum=0.5, **options)
            waits.append(counted.names)
        found.append(waits[1][len(waits[0]) :])
    assert found == [[], [], [], ["_local_scalar_dense"] * 5]


@every_norm
def test_each_sample_may_have_its_own_step_size(norm, rowwise, labelled) -> None:
    images, labels = labelled
    sizes = torch.linspace(0.01, 0.2, 64, dtype=torch.float64)
    whole = pgd(rowwise, images, labels, eps=0.3, norm=norm, steps=3, step_size=sizes)
    for k in (1, 40):
        one = slice(k, k + 1)
        alone = pgd(rowwise, images[one], labels[one], eps=0.3, norm=norm, steps=3, step_size=sizes[k].item(),
                    indices=torch.tensor([k]))  # fmt: skip
        assert torch.equal(alone, whole[one])


def test_the_default_step_size_is_two_and_a_half_times_eps_over_steps(convolutional, draw) -> None:
    images, labels = draw(3, (3, 8, 8)), torch.arange(3)
    for attack, size in ((bim, 2.5 * 0.2 / 4), (mifgsm, 0.2 / 4)):
        given = attack(convolutional, images, labels, eps=0.2, steps=4, step_size=size, keep="last")
        torch.testing.assert_close(attack(convolutional, images, labels, eps=0.2, steps=4, keep="last"), given)
        other = attack(convolutional, images, labels, eps=0.2, steps=4, step_size=size * 0.9, keep="last")
        assert (other - given).abs().max() > 1e-3


def test_seeds_give_different_starts_and_the_same_seed_the_same(rowwise, labelled) -> None:
    images, labels = labelled
    results = [pgd(rowwise, images, labels, eps=0.05, steps=1, keep="last", seed=seed) for seed in (1, 1, 2)]
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0}, "steps and restarts must be 1 or more; got steps=0, restarts=1"),
        ({"restarts": 0}, "got steps=40, restarts=0"),
        ({"momentum": -1.0}, "momentum must be finite and 0 or above; got -1.0"),
        ({"keep": "worst"}, "unknown keep 'worst': choose from first, best, last"),
        ({"restarts": 2, "random_start": False}, "restarts=2 without random_start would repeat"),
        ({"restarts": 2, "keep": "last"}, "restarts=2 with keep='last' would forget all but one: use"),
        ({"loss": "cw"}, "unknown loss 'cw': choose from ce, margin, dlr"),
        ({"eot": 0}, "eot must be 1 or more passes; got 0"),
        ({"batch_size": 0}, "batch_size must be 1 or more; got 0"),
        ({"step_size": -0.1}, "step_size must be finite and 0 or above; got -0.1"),
        ({"norm": "l7"}, "unknown norm 'l7'"),
        ({"eps": 8}, "eps=8 exceeds the whole pixel range"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, message, rowwise, labelled) -> None:
    with pytest.raises(ValueError, match=message):
        pgd(rowwise, *labelled, **{"eps": 0.1, **options})
    assert rowwise.passes.backwards == 0


def test_mifgsm_refuses_no_steps_as_pgd_does(rowwise, labelled) -> None:
    with pytest.raises(ValueError, match="steps and restarts must be 1 or more"):
        mifgsm(rowwise, *labelled, eps=0.1, steps=0)
