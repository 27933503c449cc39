"""APGD finds the boundary, visits the points of the published algorithm, and looks at each of them once."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from attacks import L1, L2, LINF, Classifier, fooled
from attacks.clock import Ages
from attacks.gradient.apgd import apgd_ce, apgd_dlr, apgd_t
from attacks.gradient.apgd_ascent import phases
from attacks.gradient.apgd_pace import Halving, Seen, Sparsity
from attacks.norms import Norm
from attacks.random import normal, seeded, uniform
from attacks.samples import Samples

ATTACKS = [apgd_ce, apgd_dlr, apgd_t]
every_attack = pytest.mark.parametrize("attack", ATTACKS)
every_norm = pytest.mark.parametrize("norm", [LINF, L2, L1], ids=lambda norm: norm.name)


class Recorded(nn.Module):
    """Remembers the images that go through a network."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.seen: list[Tensor] = []

    def forward(self, images: Tensor) -> Tensor:
        self.seen.append(images.detach().clone())
        return self.network(images)


def at(step: int) -> Ages:
    """One sample after so many steps."""
    return Ages(frozenset({step}), torch.zeros(1, dtype=torch.int64), step)


def random_network(classes: int, *, seed: int = 0) -> nn.Module:
    """Images (N, 1, 6, 6), float64; nothing is saturated."""
    with seeded(seed):
        layers = nn.Sequential(nn.Flatten(), nn.Linear(36, 24), nn.Tanh(), nn.Linear(24, classes)).double()
    with torch.no_grad():
        layers[1].weight.mul_(4)
    return layers


# What is found.


@every_attack
@every_norm
def test_a_sample_falls_exactly_when_eps_exceeds_its_distance_to_the_boundary(attack, norm, linear) -> None:
    """In l1 APGD never moves fewer than two pixels, so there the steepest two are made alike."""
    weight = normal(0, torch.arange(1), (1, 3, 3), dtype=torch.float64)
    weight.view(-1)[weight.flatten().abs().argsort()[-2]] = weight.abs().max()
    images = 0.5 + 0.1 * (uniform(1, torch.arange(15), (1, 3, 3), dtype=torch.float64) - 0.5)
    classifier = linear(weight, -0.5 * weight.sum().item())
    score = classifier.logits(images)[:, 1]
    distance = score.abs() / {LINF: L1, L2: L2, L1: LINF}[norm].size(weight)
    labels = (score > 0).long()
    for ratio in (1 - 1e-9, 1.01):
        adversarial = attack(classifier, images, labels, eps=ratio * distance, norm=norm, steps=50)
        assert fooled(classifier.logits(adversarial), labels).tolist() == [ratio > 1] * 15


@pytest.mark.parametrize("attack", [apgd_ce, apgd_dlr])
@every_norm
def test_a_target_is_reached_where_one_is_asked_for(attack, norm, draw) -> None:
    classifier = Classifier(random_network(5))
    images = draw(20, (1, 6, 6))
    wanted = (classifier.logits(images).argmax(dim=1) + 1) % 5
    eps = {"linf": 0.2, "l2": 1.0, "l1": 5.0}[norm.name]
    reached = attack(classifier, images, wanted, eps=eps, norm=norm, steps=20, targeted=True)
    assert (classifier.logits(reached).argmax(dim=1) == wanted).double().mean() > 0.5


@pytest.mark.parametrize("classes", [2, 3, 4, 10])
@every_norm
def test_targets_are_at_least_as_strong_as_the_cross_entropy(classes, norm, draw) -> None:
    classifier = Classifier(random_network(classes))
    images = draw(40, (1, 6, 6))
    labels = classifier.logits(images).argmax(dim=1)
    eps = {"linf": 0.03, "l2": 0.15, "l1": 0.6}[norm.name]
    options = {"eps": eps, "norm": norm, "steps": 10}
    rates = [fooled(classifier.logits(a(classifier, images, labels, **options)), labels).sum() for a in ATTACKS]
    assert 3 < rates[0] <= rates[2] < 40


def test_the_likeliest_wrong_classes_are_the_targets(linear) -> None:
    """The second class has the gradient of the first and can never win; the third is less likely and can."""
    network = nn.Sequential(nn.Flatten(), nn.Linear(4, 4, dtype=torch.float64))
    with torch.no_grad():
        network[1].weight.copy_(torch.tensor([[0.0] * 4, [0.0] * 4, [1.0] * 4, [0.0] * 4]))
        network[1].bias.copy_(torch.tensor([1.0, 0.9, -1.5, -9.0]))
    classifier, images, labels = Classifier(network), torch.full((2, 1, 2, 2), 0.5).double(), torch.zeros(2).long()
    success = [
        fooled(classifier.logits(apgd_t(classifier, images, labels, eps=0.2, steps=5, num_targets=number)), labels)
        for number in (1, 2, 3, 9)
    ]
    assert [list(map(bool, each)) for each in success] == [[False] * 2, [True] * 2, [True] * 2, [True] * 2]


def test_images_that_are_wrong_already_come_back_from_the_first_look(rowwise, draw) -> None:
    images = draw(20)
    labels = (rowwise.logits(images).argmax(dim=1) + 1) % 5
    before = rowwise.passes.forwards
    assert torch.equal(apgd_t(rowwise, images, labels, eps=0.1), images)
    assert rowwise.passes.forwards - before == 20


@every_attack
def test_restarts_only_add_and_keep_the_earlier_success(attack, draw) -> None:
    classifier = Classifier(random_network(10))
    images = draw(80, (1, 6, 6))
    labels = classifier.logits(images).argmax(dim=1)
    one, four = (attack(classifier, images, labels, eps=0.025, steps=1, restarts=n) for n in (1, 4))
    success, more = fooled(classifier.logits(one), labels), fooled(classifier.logits(four), labels)
    if attack is not apgd_t:  # there a restart comes before the next target
        assert torch.equal(four[success], one[success])
    assert (success <= more).all()
    assert success.sum() < more.sum() or attack is apgd_t


# The points that are visited.


def published(network: Recorded, start: Tensor, image: Tensor, label: Tensor, eps: float, norm: Norm, steps: int,
              loss: Callable[[Tensor, Tensor], Tensor]) -> tuple[list[Tensor], Tensor]:  # fmt: skip
    """Algorithm 1 of Croce & Hein (2020) for one image: its points, and that of the highest loss."""

    def look(point: Tensor) -> tuple[float, Tensor]:
        leaf = point.clone().requires_grad_()
        value = loss(network.network(leaf), label)
        return value.item(), torch.autograd.grad(value, leaf)[0]

    def climb(point: Tensor, gradient: Tensor, length: float) -> Tensor:
        unit = gradient.sign() if norm is LINF else gradient / gradient.norm()
        return norm.project(point + length * unit, image, eps)

    shares = [0.0, 0.22]
    while shares[-1] < 1:
        shares.append(shares[-1] + max(shares[-1] - shares[-2] - 0.03, 0.06))
    checks = [round(share * steps) for share in shares]
    length, points, previous = 2 * eps, [start], start
    value, gradient = look(start)
    best, losses, peaks, lengths = (value, gradient, start), [0.0], [], [math.inf]
    for step in range(steps):
        point = points[-1] if step == 0 or step not in checks or not lengths[-1] < lengths[-2] else best[2]
        towards = climb(point, gradient, length)
        inertia = 0.25 if step > 0 else 0.0
        following = norm.project(point + (1 - inertia) * (towards - point) + inertia * (point - previous), image, eps)
        points.append(following)
        previous = point
        value, gradient = look(following)
        losses.append(value)
        if value > best[0]:
            best = value, gradient, following
        if step + 1 in checks:
            first = checks[checks.index(step + 1) - 1]
            rises = sum(losses[k + 1] > losses[k] for k in range(first, step + 1))
            seldom = rises <= 0.75 * (step + 1 - first)
            stuck = len(peaks) > 0 and lengths[-1] == lengths[-2] and best[0] == peaks[-1]
            peaks.append(best[0])
            lengths += [length] if lengths == [math.inf] else []
            if seldom or stuck:
                length, gradient = length / 2, best[1]
            lengths.append(length)
    return points, best[2]


def official_dlr(logits: Tensor, label: Tensor) -> Tensor:
    """For a sample whose label is still the largest of ten logits."""
    first, second, third = logits.sort(dim=1, descending=True).values[0, :3]
    return -(first - second) / (first - third)


@pytest.mark.parametrize(("attack", "loss"), [(apgd_ce, F.cross_entropy), (apgd_dlr, official_dlr)])
@pytest.mark.parametrize("norm", [LINF, L2], ids=["linf", "l2"])
def test_the_points_are_those_of_the_published_algorithm(attack, loss, norm, draw) -> None:
    network = Recorded(random_network(10, seed=3))
    classifier = Classifier(network)
    compared = 0
    eps = {"linf": 0.01, "l2": 0.05}[norm.name]
    for number in range(2):
        image = draw(2, (1, 6, 6))[number : number + 1]
        label = classifier.logits(image).argmax(dim=1)
        network.seen.clear()
        result = attack(classifier, image, label, eps=eps, norm=norm)
        visited = list(network.seen)
        points, best = published(network, visited[0], image, label, eps, norm, 100, loss)
        if len(visited) == 101:  # otherwise it fell
            torch.testing.assert_close(torch.cat(visited), torch.cat(points), rtol=0, atol=1e-9)
            torch.testing.assert_close(result, best, rtol=0, atol=1e-9)
            compared += 1
    assert compared > 0


def test_checks_come_where_the_paper_puts_them() -> None:
    shares = [0.0, 0.22]
    while shares[-1] < 0.99:
        shares.append(shares[-1] + max(shares[-1] - shares[-2] - 0.03, 0.06))
    flat = torch.zeros(101, 1)
    assert halved_at(flat, steps=100) == [math.ceil(100 * share - 1e-9) for share in shares[1:]]
    assert halved_at(flat, steps=100) == [22, 41, 57, 70, 80, 87, 93, 99]


def halved_at(values: Tensor, *, steps: int, zero: float = -math.inf) -> list[int]:
    """After which steps a run of (steps + 1, 1) values halves; 0 is the start."""
    samples = Samples.of(torch.zeros(1, 1, 1, 1), torch.tensor([0]), eps=0.5, norm=LINF, targeted=False, indices=None)
    pace = Halving.of(LINF, samples, samples.images, steps=steps, zero=zero)
    found = []
    for step, value in enumerate(values):
        best = values[: step + 1].amax(dim=0)
        before = pace.lengths
        pace, back = pace.checked(Seen(at(step), value, best, samples.images), samples)
        assert torch.equal(pace.lengths, before / 2 if back is not None and bool(back) else before)
        found += [step] if back is not None and bool(back) else []
    return found


def test_a_loss_that_rises_but_stays_below_its_best_halves_at_the_second_check() -> None:
    values = torch.cat([torch.tensor([100.0]), torch.arange(100.0)])[:, None] - 1000
    assert halved_at(values, steps=100)[0] == 41
    assert halved_at(torch.arange(101.0)[:, None], steps=100) == []


def test_three_of_four_steps_must_rise_between_two_checks() -> None:
    def run(*parts: tuple[int, float]) -> Tensor:
        """Values from 0 on by (how many steps, how far each)."""
        return torch.tensor([0.0, *(change for count, change in parts for _ in range(count))]).cumsum(0)[:, None]

    assert halved_at(run((17, 1.0), (5, -1.0)), steps=100) == []
    assert halved_at(run((16, 1.0), (6, -1.0)), steps=100) == [22]
    assert halved_at(run((23, 1.0), (18, -1.0)), steps=100) == [41]  # only those since the last check count
    assert halved_at(run((22, -1.0), (35, 0.1)), steps=100) == [22, 57]  # none at 41, since the last one halved


def test_the_first_step_counts_as_a_rise_where_its_loss_is_above_zero() -> None:
    """Three looks a check, of which more than 2.25 must rise; the second value is below the first."""
    values = torch.tensor([1.0, 0.5, 0.6, 0.7])[:, None]
    assert [halved_at(values, steps=15, zero=zero) for zero in (-math.inf, 0.0, math.inf)] == [[], [], [3]]


@pytest.mark.parametrize(("attack", "counted"), [(apgd_ce, 1), (apgd_dlr, 0)])
def test_a_correct_label_has_a_cross_entropy_above_zero_and_a_ratio_below(attack, counted, draw, monkeypatch) -> None:
    zeros = []
    original = Halving.of.__func__

    def of(cls, *args, zero, **options):
        zeros.append(zero)
        return original(cls, *args, zero=zero, **options)

    monkeypatch.setattr(Halving, "of", classmethod(of))
    classifier, images = Classifier(random_network(4)), draw(2, (1, 6, 6))
    attack(classifier, images, classifier.logits(images).argmax(dim=1), eps=0.0, steps=1)
    assert zeros == [-math.inf if counted else 0.0]


@every_norm
def test_a_start_has_norm_eps_and_differs_between_restarts_and_samples(norm, draw) -> None:
    network = Recorded(random_network(4))
    images = 0.5 + 0.01 * draw(3, (1, 6, 6))
    with torch.no_grad():
        labels = network(images).argmax(dim=1)
    eps, offsets = 1e-4, []
    for seed in (0, 1):
        network.seen.clear()
        apgd_ce(Classifier(network), images, labels, eps=eps, norm=norm, steps=1, restarts=2, seed=seed)
        offsets += [network.seen[0] - images, network.seen[2] - images]
    offsets = torch.cat(offsets)
    torch.testing.assert_close(norm.size(offsets), torch.full((12,), eps, dtype=torch.float64), rtol=1e-8, atol=0)
    assert len(offsets.flatten(1).unique(dim=0)) == 12


# L1.


def test_l1_takes_two_phases_with_more_than_the_budget_first() -> None:
    assert phases(L1, 100) == [(3, 30), (2, 30), (1, 40)]
    assert phases(L1, 13) == [(3, 4), (2, 4), (1, 5)]
    assert [phases(LINF, 100), phases(L2, 7)] == [[(1, 100)], [(1, 7)]]
    for steps in range(1, 30):
        assert sum(taken for _, taken in phases(L1, steps)) == steps
        assert all(taken > 0 for _, taken in phases(L1, steps))


def test_l1_shortens_its_steps_until_the_best_point_is_sparser() -> None:
    """Every 4 looks of 100: by 1.5, but not below eps / 10; and back to eps where the count falls by 5 % or more."""
    images = torch.full((1, 1, 10, 10), 0.5)
    samples = Samples.of(images, torch.tensor([0]), eps=3.0, norm=L1, targeted=False, indices=None)

    def point(count: int) -> Tensor:
        return images + 0.1 * (torch.arange(100) < count).reshape(1, 1, 10, 10)

    pace = Sparsity.of(L1, samples, point(90), steps=100)
    lengths, returns = [float(pace.lengths)], []
    for step, count in enumerate([90] * 5 + [86] * 4 + [81] * 30):
        seen = Seen(at(step), torch.zeros(1), torch.zeros(1), point(count))
        pace, back = pace.checked(seen, samples)
        returns += [step] if back is not None and bool(back) else []
        lengths += [float(pace.lengths)] if step > 0 and step % 4 == 0 else []
    assert returns == [12]
    assert lengths == pytest.approx([3, 2, 3 / 1.5**2, 3, 2, *[3 / 1.5**k for k in (2, 3, 4, 5)], 0.3])


def test_l1_counts_no_success_outside_the_budget_and_goes_on_from_the_highest_point(draw) -> None:
    network = Recorded(random_network(6))
    classifier, image = Classifier(network), draw(1, (1, 6, 6))
    label = classifier.logits(image).argmax(dim=1)
    network.seen.clear()
    apgd_ce(classifier, image, label, eps=0.02, norm=L1, steps=20)
    sizes = torch.cat([L1.size(point - image) for point in network.seen])
    seen = list(network.seen)
    assert len(seen) == 23
    assert [float(part.max()) for part in sizes.split([7, 7, 9])] == pytest.approx([0.06, 0.04, 0.02])
    losses = F.cross_entropy(network.network(torch.cat(seen[:7])), label.expand(7), reduction="none")
    torch.testing.assert_close(seen[7], L1.project(seen[int(losses.argmax())], image, 0.04))


# What it costs.


@every_norm
@pytest.mark.parametrize(
    ("attack", "options", "forwards", "backwards"),
    [
        (apgd_ce, {}, 11, 10),
        (apgd_dlr, {"restarts": 3}, 33, 30),
        (apgd_ce, {"eot": 4}, 44, 40),
        (apgd_t, {"num_targets": 2}, 1 + 22, 20),
        (apgd_t, {"num_targets": 9}, 1 + 44, 40),
    ],
)
def test_a_sample_that_holds_out_costs_a_pass_a_step(attack, options, forwards, backwards, norm, rowwise, draw) -> None:
    images = draw(12)
    labels = rowwise.logits(images).argmax(dim=1)
    with rowwise.tallied(12) as tally:
        attack(rowwise, images, labels, eps=0.0, norm=norm, steps=10, batch_size=5, **options)
    ascents = backwards // 10
    assert tally.forwards.tolist() == [forwards + (2 * ascents if norm is L1 else 0)] * 12
    assert tally.backwards.tolist() == [backwards] * 12


@every_norm
def test_averages_over_a_network_that_is_not_random_change_nothing(norm, rowwise, draw) -> None:
    images = draw(20)
    labels = rowwise.logits(images).argmax(dim=1)
    one, four = (apgd_ce(rowwise, images, labels, eps=0.05, norm=norm, steps=10, eot=eot) for eot in (1, 4))
    torch.testing.assert_close(one, four)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0}, "steps must be 1 or more; got 0"),
        ({"restarts": 0}, "restarts must be 1 or more; got 0"),
        ({"eot": 0}, "eot must be 1 or more; got 0"),
        ({"num_targets": 0}, "num_targets must be 1 or more; got 0"),
        ({"norm": "l7"}, "unknown norm 'l7'"),
        ({"norm": Norm("l0", *[L1.size] * 5)}, "apgd has no l0 form: choose from linf, l2, l1"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, message, rowwise, draw) -> None:
    with pytest.raises(ValueError, match=message):
        apgd_t(rowwise, draw(2), torch.zeros(2).long(), eps=0.1, **options)


@every_attack
def test_a_label_that_is_no_class_is_refused(attack, rowwise, draw) -> None:
    with pytest.raises(ValueError, match="label 7 is out of range: the classifier has 5 classes"):
        attack(rowwise, draw(2), torch.tensor([0, 7]), eps=0.1)
