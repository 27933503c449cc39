"""What Square finds on a linear model, where it looks, and what it spends."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from attacks import L1, L2, LINF, NORMS, Classifier, fooled
from attacks.black_box.square import square
from attacks.black_box.square_proposals import Blobs, Proposals, Stripes, _thin
from attacks.black_box.square_windows import AHEAD, Draw, Patterns, Schedule, pattern
from attacks.random import normal, uniform
from attacks.samples import Samples

three_norms = pytest.mark.parametrize("norm", [LINF, L2, L1], ids=["linf", "l2", "l1"])
dual = {"linf": L1, "l2": L2, "l1": LINF}


@pytest.fixture
def boundary(linear) -> Callable[..., tuple[Classifier, Tensor, Tensor, Tensor]]:
    """A linear classifier, images in the middle of the range, their labels, and their distances in a norm.

    In l2 and l1, whose patterns are smooth, so is the classifier's weight.
    """

    def build(norm, shape=(1, 3, 4)) -> tuple[Classifier, Tensor, Tensor, Tensor]:
        weight = normal(3, torch.arange(1), shape, dtype=torch.float64)
        if norm is not LINF:
            weight = weight.cumsum(-1).cumsum(-2)
            weight = weight - weight.mean()
        images = 0.5 + 0.1 * (uniform(1, torch.arange(12), shape, dtype=torch.float64) - 0.5)
        classifier = linear(weight, -0.5 * weight.sum().item())
        score = classifier.logits(images)[:, 1]
        return classifier, images, (score > 0).long(), score.abs() / dual[norm.name].size(weight)

    return build


def samples_of(images: Tensor, eps: float, norm) -> Samples:
    return Samples.of(
        images, torch.zeros(len(images), dtype=torch.int64), eps=eps, norm=norm, targeted=False, indices=None
    )


def drawn(proposals: Proposals, samples: Samples, proposal: int) -> Draw:
    """What is drawn for a proposal of that number of all samples."""
    spent = torch.full_like(samples.labels, proposal + 2)
    return proposals.lots.next(proposals.lots.joined(samples.indices), samples.indices, spent)[1]


# What is found.


@three_norms
@pytest.mark.parametrize("targeted", [False, True])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_sample_falls_exactly_when_eps_exceeds_its_distance(norm, targeted, channels, boundary) -> None:
    """In linf all corners are reachable; in l2 and l1 patterns only come near the best direction."""
    shape = (channels, 2, 5) if norm is LINF else (channels, 6, 7)
    classifier, images, labels, distance = boundary(norm, shape)
    wanted = 1 - labels if targeted else labels
    enough = {"linf": 1.001 if channels == 1 else 1.5, "l2": 3.0, "l1": 4.5}[norm.name]
    for ratio, falls in ((1 - 1e-6, False), (enough, True)):
        eps = ratio * distance
        adversarial = square(classifier, images, wanted, eps=eps, norm=norm, targeted=targeted, queries=200)
        assert (norm.size(adversarial - images) <= eps * (1 + 1e-6)).all()
        assert fooled(classifier.logits(adversarial), labels).tolist() == [falls] * len(images)


@three_norms
def test_riding_along_changes_nothing(norm, rowwise, draw) -> None:
    images = draw(20)
    labels = rowwise.logits(images).argmax(dim=1)
    dropped = square(rowwise, images, labels, eps=0.2, norm=norm, queries=40)
    assert torch.equal(square(rowwise, images, labels, eps=0.2, norm=norm, queries=40, compact=False), dropped)


@three_norms
def test_more_queries_never_lower_the_margin(norm, rowwise, draw) -> None:
    images = draw(20)
    labels = rowwise.logits(images).argmax(dim=1)
    eps = {"linf": 0.02, "l2": 0.1, "l1": 0.2}[norm.name]
    before = torch.full((20,), -torch.inf, dtype=torch.float64)
    for queries in (2, 10, 100):
        adversarial = square(rowwise, images, labels, eps=eps, norm=norm, queries=queries)
        logits = rowwise.logits(adversarial)
        own = torch.nn.functional.one_hot(labels, 5).bool()
        value = logits.masked_fill(own, -torch.inf).amax(1) - logits[own]
        value = torch.where(fooled(logits, labels), torch.inf, value)
        assert (value >= before).all()
        before = value
    assert not fooled(rowwise.logits(adversarial), labels).all()  # so there was something to compare


# What is spent.


@three_norms
def test_every_query_of_every_sample_is_counted(norm, boundary) -> None:
    """Who is fooled already asks once; who cannot be fooled asks `queries` times; the others in between."""
    classifier, images, labels, distance = boundary(norm)
    labels[0] = 1 - labels[0]
    eps = torch.where(torch.arange(12) % 2 == 0, 0.9, 3.5) * distance
    for queries in (1, 2, 50):
        with classifier.tallied(12) as tally:
            adversarial = square(classifier, images, labels, eps=eps, norm=norm, queries=queries, batch_size=5)
        assert tally.forwards[0] == 1
        assert (tally.forwards[2::2] == queries).all()
        assert (tally.forwards[1::2] <= queries).all()
        assert torch.equal(adversarial[0], images[0])
    assert (tally.forwards[1::2] < 50).any()


# Where it looks.


def official_share(iteration: int) -> float:
    """The paper's schedule for 10,000 queries: halved after these iterations."""
    return 0.8 / 2 ** sum(iteration > last for last in (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000))


@pytest.mark.parametrize(("height", "width"), [(28, 28), (32, 32), (7, 20)])
def test_windows_shrink_by_the_official_schedule(height, width) -> None:
    iterations = torch.arange(9000)
    for smallest, odd in ((1, False), (3, True)):
        schedule = Schedule(height, width, p_init=0.8, smallest=smallest, odd=odd, device=iterations.device)
        sides = schedule.side(schedule.stage(iterations)).tolist()
        for iteration, side in enumerate(sides):
            expected = max(round((official_share(iteration) * height * width) ** 0.5), smallest)
            expected += odd and expected % 2 == 0
            assert side == min(expected, height, width)
    assert schedule.side(schedule.stage(torch.tensor([-1]))) == 0


def test_windows_lie_everywhere_within_the_image_and_nowhere_else() -> None:
    schedule = Schedule(6, 9, p_init=0.3, smallest=1, odd=False, device=torch.device("cpu"))
    side = torch.full((4000,), 4)
    draws = uniform(0, torch.arange(4000), (2,))
    draws[0], draws[1] = 1e-8, 1 - 1e-8  # rounds to 1
    mask = schedule.window(schedule.first(side, draws), side).mask()
    assert (mask.sum((1, 2, 3)) == 16).all()
    corners = (mask[:, 0].flatten(1).int().argmax(dim=1)).unique()
    assert corners.tolist() == [9 * row + column for row in range(3) for column in range(6)]


def test_the_pattern_is_two_piles_of_squares() -> None:
    """Against a pile built square by square."""

    def pile(height: int, width: int, order: int) -> Tensor:
        values = torch.zeros(height, width, dtype=torch.float64)
        row, column = height // 2, width // 2
        for step in range(max(height, width) // 2 + 1):
            values[max(row - step, 0) : row + step + 1, max(column - step, 0) : column + step + 1] += (
                1 / (step + 1) ** order
            )
        return values

    for order, norm in ((2, 2), (4, 1)):
        for side in (2, 3, 5, 11):
            upper, lower = pile(side // 2, side, order), pile(side - side // 2, side, order)
            upper, lower = upper / torch.linalg.vector_norm(upper, norm), lower / torch.linalg.vector_norm(lower, norm)
            expected = torch.cat([upper, -lower])
            expected /= torch.linalg.vector_norm(expected, norm)
            torch.testing.assert_close(pattern(side, order=order, norm=norm), expected)


def test_patterns_are_laid_into_their_windows() -> None:
    like = torch.zeros((), dtype=torch.float64)
    schedule = Schedule(7, 9, p_init=0.8, smallest=3, odd=True, device=like.device)
    patterns = Patterns(schedule.sides, order=2, norm=2, like=like)
    stage = torch.tensor([1, 4, 10, 2, 0])
    side = schedule.side(stage)
    window = schedule.window(schedule.first(side, uniform(0, torch.arange(5), (2,))), side)
    flipped = torch.tensor([False, True, False, True, False])
    laid, mask = patterns.at(stage, window, flipped), window.mask()
    assert (laid[~mask] == 0).all()
    for row in range(4):
        side = int(schedule.side(stage)[row])
        expected = pattern(side, order=2, norm=2)
        expected = expected.T if flipped[row] else expected
        torch.testing.assert_close(laid[row][mask[row]].reshape(side, side), expected)
    assert (laid[4] == 0).all()


# What is proposed.


@pytest.mark.parametrize(("channels", "height", "width"), [(1, 12, 12), (3, 4, 9)])
@pytest.mark.parametrize(("norm", "power"), [(L2, 2), (L1, 1)])
def test_proposals_use_the_whole_budget_within_the_box(norm, power, channels, height, width) -> None:
    images = 0.5 + 0.02 * uniform(1, torch.arange(30), (channels, height, width), dtype=torch.float64)
    samples = samples_of(images, 0.4, norm)
    proposals = Blobs(images, norm=power, p_init=0.8, seed=0)
    best = proposals.start(samples)
    for proposal in (-1, 0, 1, 60, 700):
        candidate = proposals.next(samples, best, drawn(proposals, samples, proposal))
        torch.testing.assert_close(norm.size(candidate - images), samples.eps, rtol=1e-3, atol=0)
        assert (norm.size(candidate - images) <= 0.4 + 1e-9).all()
        best = candidate


def test_a_proposal_of_linf_always_changes_something(draw) -> None:
    images = draw(200, (1, 6, 6))
    samples = samples_of(images, 0.1, LINF)
    proposals = Stripes(images, p_init=0.8, seed=0)
    best = proposals.start(samples)
    inside = ((best - images).abs() > 0).any()
    assert inside
    for proposal in (0, 60, 3000):
        candidate = proposals.next(samples, best, drawn(proposals, samples, proposal))
        assert (candidate != best).flatten(1).any(dim=1).all()
        assert (NORMS["linf"].size(candidate - images) <= 0.1 + 1e-12).all()
    assert torch.equal(proposals.next(samples, best, drawn(proposals, samples, -1)), best)


def test_what_is_drawn_ahead_is_what_each_proposal_would_draw(draw) -> None:
    """Across the end of what is drawn at once, for samples at different proposals, and after others have joined."""
    images = draw(3, (1, 9, 9))
    samples = samples_of(images, 0.1, LINF)
    proposals = Blobs(images, norm=2, p_init=0.8, seed=4)
    spent = torch.tensor([1, 30, 400])
    ahead = proposals.lots.joined(samples.indices)
    for step in range(AHEAD + 5):
        ahead, found = proposals.lots.next(ahead, samples.indices, spent + step)
        for row, proposal in enumerate((spent + step - 2).tolist()):
            single = drawn(Blobs(images, norm=2, p_init=0.8, seed=4), samples, proposal)
            for part in ("stage", "side", "first", "heads"):
                assert torch.equal(getattr(found, part)[row], getattr(single, part)[row])
            assert found.side[row] <= found.largest


def test_the_quick_projection_comes_near_the_exact_one() -> None:
    images = uniform(0, torch.arange(50), (3, 8, 8), dtype=torch.float64)
    delta = 0.5 * normal(1, torch.arange(50), (3, 8, 8), dtype=torch.float64)
    samples = samples_of(images, 10.0, L1)
    quick = _thin(delta, samples)
    exact = L1.project(images + delta, images, 10.0) - images
    assert (L1.size(quick) <= 10 + 1e-9).all()
    assert (images + quick).aminmax().min >= -1e-12
    torch.testing.assert_close(L1.size(quick), samples.eps)
    assert (L2.size(quick - exact) < 0.15 * L2.size(exact)).all()


# What is refused.


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"norm": "l0"}, "square has no form for l0: choose from linf, l2, l1"),
        ({"queries": 0}, "queries must be 1 or more; got 0"),
        ({"p_init": 0.0}, "p_init must be above 0 and at most 1; got 0.0"),
        ({"p_init": 1.5}, "p_init must be above 0 and at most 1; got 1.5"),
    ],
)
def test_wrong_options_are_named(options, message, rowwise, draw) -> None:
    with pytest.raises(ValueError, match=message):
        square(rowwise, draw(2), torch.zeros(2, dtype=torch.int64), **{"eps": 0.1, **options})
