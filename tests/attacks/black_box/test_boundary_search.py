"""What attacks that see decisions alone have in common, and what holds for each of them."""

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor, nn

from attacks import L2, NORMS, Classifier, fooled
from attacks.black_box.boundary import boundary
from attacks.black_box.boundary_search import Oracle
from attacks.black_box.hopskipjump import hopskipjump
from attacks.black_box.signopt import signopt
from attacks.random import normal, uniform
from attacks.samples import Samples

ATTACKS = {
    "hopskipjump-l2": partial(hopskipjump, norm="l2"),
    "hopskipjump-linf": partial(hopskipjump, norm="linf"),
    "boundary-l2": partial(boundary, norm="l2"),
    "signopt-l2": partial(signopt, norm="l2"),
}
every_attack = pytest.mark.parametrize("name", ATTACKS)


class Decided(nn.Module):
    """One-hot answers at the largest logit: nothing to learn from them but the decision."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        logits = self.network(images)
        return torch.zeros_like(logits).scatter(1, logits.argmax(dim=1, keepdim=True), 1)


@pytest.fixture
def plane(linear: Callable[[Tensor, float], Classifier]) -> tuple[Classifier, Tensor, Tensor, dict[str, Tensor]]:
    """A linear classifier, images on both sides and far from 0 and 1, labels, and the exact distances by norm."""
    weight = normal(1, torch.arange(1), (4,), dtype=torch.float64)[0]
    images = 0.35 + 0.3 * uniform(2, torch.arange(8), (1, 2, 2), dtype=torch.float64)
    classifier = linear(weight, float(-0.5 * weight.sum()))
    margin = (classifier.logits(images) @ torch.tensor([-1.0, 1.0], dtype=torch.float64)).abs()
    distances = {"l2": margin / weight.norm(), "linf": margin / weight.abs().sum()}
    return classifier, images, classifier.logits(images).argmax(dim=1), distances


@every_attack
def test_a_linear_boundary_is_found_at_its_exact_distance(name, plane) -> None:
    """Within 1 % in 4 dimensions, with 2500 queries for HopSkipJump and 1000 for the others."""
    classifier, images, labels, distances = plane
    norm = name.rpartition("-")[2]
    adversarial = ATTACKS[name](classifier, images, labels, queries=2500 if name.startswith("hopskipjump") else 1000)
    assert fooled(classifier.logits(adversarial), labels).all()
    ratio = NORMS[norm].size(adversarial - images) / distances[norm]
    assert (ratio >= 1 - 1e-9).all()
    assert (ratio <= 1.01).all()


@every_attack
def test_a_targeted_attack_on_a_plane_is_the_untargeted_one_to_the_other_side(name, plane) -> None:
    classifier, images, labels, _ = plane
    options = {"queries": 80, "seed": 3}
    left = ATTACKS[name](classifier, images, labels, **options)
    assert torch.equal(ATTACKS[name](classifier, images, 1 - labels, targeted=True, **options), left)


@every_attack
def test_nothing_but_the_decision_is_read(name, rowwise, draw) -> None:
    images = draw(16)
    labels = rowwise.logits(images).argmax(dim=1)
    expected = ATTACKS[name](rowwise, images, labels, queries=100)
    assert torch.equal(ATTACKS[name](Classifier(Decided(rowwise.network)), images, labels, queries=100), expected)
    assert not torch.equal(expected, images)


@every_attack
@pytest.mark.parametrize("queries", [1, 2, 7, 60])
def test_no_sample_spends_more_than_its_queries(name, queries, rowwise, draw) -> None:
    images = draw(16)
    labels = rowwise.logits(images).argmax(dim=1)
    with rowwise.tallied(16) as tally:
        ATTACKS[name](rowwise, images, labels, queries=queries)
    assert (tally.forwards <= queries).all()
    assert tally.forwards.max() == queries
    assert (tally.backwards == 0).all()


@every_attack
def test_a_sample_leaves_with_the_first_image_within_eps(name, rowwise, draw) -> None:
    images = draw(16)
    labels = rowwise.logits(images).argmax(dim=1)
    norm = NORMS[name.rpartition("-")[2]]
    smallest = norm.size(ATTACKS[name](rowwise, images, labels, queries=200) - images)
    with rowwise.tallied(16) as tally:
        adversarial = ATTACKS[name](rowwise, images, labels, queries=200, eps=1.5 * smallest)
    assert fooled(rowwise.logits(adversarial), labels).all()
    assert (norm.size(adversarial - images) <= 1.5 * smallest).all()
    assert (tally.forwards < 200).all()


@every_attack
def test_more_queries_never_find_less(name, rowwise, draw) -> None:
    images = draw(16)
    labels = rowwise.logits(images).argmax(dim=1)
    norm = NORMS[name.rpartition("-")[2]]
    few, many = (norm.size(ATTACKS[name](rowwise, images, labels, queries=queries) - images) for queries in (60, 300))
    assert (many <= few).all() or name.startswith("hopskipjump")  # whose number of probes depends on what is left
    assert many.median() < 0.8 * few.median()


@every_attack
def test_who_is_fooled_already_costs_one_query_and_stays(name, rowwise, draw) -> None:
    images = draw(16)
    labels = (rowwise.logits(images).argmax(dim=1) + 1) % 5
    with rowwise.tallied(16) as tally:
        assert torch.equal(ATTACKS[name](rowwise, images, labels), images)
    assert (tally.forwards == 1).all()


@every_attack
def test_a_network_that_cannot_be_fooled_leaves_the_images_as_they_are(name, draw) -> None:
    class Constant(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return torch.tensor([1.0, 0.0], dtype=images.dtype).expand(len(images), 2)

    images, labels = draw(4), torch.zeros(4, dtype=torch.int64)
    for eps in (None, 0.3):
        assert torch.equal(ATTACKS[name](Classifier(Constant()), images, labels, eps=eps, queries=100), images)


@every_attack
def test_a_start_of_the_target_class_is_used(name, draw) -> None:
    """The target class is one single pattern, which no noise meets."""

    pattern = torch.tensor([0.0, 1.0], dtype=torch.float64).repeat(8).reshape(1, 1, 4, 4)

    class Pattern(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            inside = ((images - pattern).abs().flatten(1) < 0.1).all(dim=1)
            return torch.stack([~inside, inside], dim=1).to(images)

    images, targets = draw(4) * 0.5, torch.ones(4, dtype=torch.int64)
    attack = partial(ATTACKS[name], Classifier(Pattern()), images, targets, targeted=True, queries=110)
    assert torch.equal(attack(), images)
    reached = attack(starts=pattern.expand_as(images))
    assert ((reached - pattern).abs() < 0.1).all()
    assert (reached != pattern).flatten(1).any(dim=1).all()


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("hopskipjump-l2", {"norm": "l1"}, "hopskipjump has no form for l1: choose from l2, linf"),
        ("boundary-l2", {"norm": "linf"}, "boundary has no form for linf: choose l2, or hopskipjump for linf"),
        ("signopt-l2", {"norm": "linf"}, "signopt has no form for linf: choose l2, or hopskipjump for linf"),
        ("hopskipjump-l2", {"queries": 0}, "queries must be 1 or more; got 0"),
        ("hopskipjump-l2", {"probes": 0}, "probes must be 1 or more; got 0"),
        ("signopt-l2", {"probes": 0}, "probes must be 1 or more; got 0"),
        ("signopt-l2", {"starts": torch.zeros(1, 1, 4, 4)}, r"starts must be one image a sample, \(2, 1, 4, 4\); got"),
        ("boundary-l2", {"starts": torch.full((2, 1, 4, 4), 2.0)}, r"images must be in \[0, 1\]"),
    ],
)
def test_options_that_make_no_sense_are_refused(name, options, message, rowwise, draw) -> None:
    with pytest.raises(ValueError, match=message):
        ATTACKS[name](rowwise, draw(2), torch.tensor([0, 1]), **options)
    assert rowwise.passes.forwards == 0


def test_the_estimate_points_along_the_normal(plane) -> None:
    """From a point of the boundary, each sample's own, with a cosine that 500 probes in 4 dimensions allow."""
    classifier, images, labels, _ = plane
    samples = Samples.of(images, labels, eps=None, norm=L2, targeted=False, indices=None)
    oracle = Oracle(classifier, L2, 10_000)
    near = oracle.start(samples, starts=None, seed=0)
    normals = classifier.gradient(images, samples.objective).gradient
    at, wanted = L2.project(images + normals * 10, images, plane[3]["l2"]), torch.full((8,), 500)

    def place(vectors: Tensor) -> tuple[Tensor, Tensor]:
        return (at[:, None] + 1e-3 * vectors).clamp(0, 1), vectors

    near, climb = oracle.climb(near, place, wanted, seed=0)
    assert (torch.cosine_similarity(climb.flatten(1), normals.flatten(1)) > 0.98).all()
    assert (near.spent >= 501).all()


def test_an_estimate_does_not_depend_on_how_many_probes_share_a_call(plane, monkeypatch) -> None:
    classifier, images, labels, _ = plane
    expected = hopskipjump(classifier, images, labels, queries=120)
    monkeypatch.setattr("attacks.black_box.boundary_search.ROOM", 1)
    torch.testing.assert_close(hopskipjump(classifier, images, labels, queries=120), expected, rtol=0, atol=1e-12)


def test_a_bisection_ends_within_its_tolerance(plane) -> None:
    classifier, images, labels, distances = plane
    samples = Samples.of(images, labels, eps=None, norm=L2, targeted=False, indices=None)
    oracle = Oracle(classifier, L2, 10_000)
    normals = L2.steepest(classifier.gradient(images, samples.objective).gradient, images, 1.0)
    near = oracle.start(samples, starts=None, seed=0)
    near, radius = oracle.bisect(
        near, lambda r: images + r.reshape(-1, 1, 1, 1) * normals, 3 * distances["l2"], 1e-4, near.found
    )
    assert (radius >= distances["l2"] * (1 - 1e-12)).all()
    assert (radius <= distances["l2"] * (1 + 2e-4)).all()


def test_of_several_questions_only_those_within_the_budget_are_asked(plane) -> None:
    classifier, images, labels, _ = plane
    samples = Samples.of(images, labels, eps=None, norm=L2, targeted=False, indices=None)
    oracle = Oracle(classifier, L2, 4)
    near = oracle.start(samples, starts=1 - images, seed=0)
    near, _ = oracle.ask_each(near, images[:, None].expand(-1, 9, -1, -1, -1), torch.ones(8, 9, dtype=torch.bool))
    assert (near.spent[~near.within] == 4).all()
