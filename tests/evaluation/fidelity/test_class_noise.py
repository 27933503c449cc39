"""Floor, limit and interval under draws whose classes are not independent, against simulation.

A population of well separated classes: there the numbers of each class make nearly all of the noise.
"""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor

from advgan.data.split import stratified
from evaluation.features.features import Features
from evaluation.features.seen import Sample, Seen
from evaluation.fidelity.class_noise import INDEPENDENT, ClassNoise, are_even, class_noise
from evaluation.fidelity.floor_findings import below_floor_findings
from evaluation.fidelity.frechet import frechet_distance
from evaluation.fidelity.frechet_floor import frechet_floor
from evaluation.fidelity.frechet_infinity import frechet_infinity
from evaluation.fidelity.frechet_interval import frechet_estimate
from evaluation.fidelity.rows import as_if_drawn, by_class, fidelity_rows

REAL, FAKE, CLASSES, DIM = 240, 160, 5, 8
SHARES = torch.tensor([0.35, 0.25, 0.2, 0.1, 0.1], dtype=torch.float64)
TRIALS, FLOORS = 200, 25


class Drawn(NamedTuple):
    """Both samples of a trial, and how many the real ones were drawn from."""

    real: Sample
    fake: Sample


def fixed(count: int) -> Tensor:
    """Classes in their exact shares."""
    return torch.arange(CLASSES).repeat_interleave((SHARES * count).round().long())


def labelled(labels: Tensor, generator: torch.Generator, drawn_from: int = 0) -> Sample:
    centres = torch.randn(CLASSES, DIM, generator=torch.Generator().manual_seed(5), dtype=torch.float64) * 4
    rows = centres[labels] + torch.randn(len(labels), DIM, generator=generator, dtype=torch.float64)
    seen = Features(rows, torch.ones(len(rows), 1), "toy", "0")
    return Sample(features=seen, labels=labels, drawn_from=drawn_from)


def independent(count: int, generator: torch.Generator) -> Tensor:
    return torch.multinomial(SHARES, count, replacement=True, generator=generator)


def conditional(generator: torch.Generator) -> Drawn:
    """All training images, and a generator that is asked for independent classes."""
    return Drawn(labelled(fixed(REAL), generator), labelled(independent(FAKE, generator), generator))


def dealt_out(generator: torch.Generator) -> Drawn:
    """The same, and a generator that was asked for each class in its exact share."""
    return Drawn(labelled(fixed(REAL), generator), labelled(fixed(FAKE), generator))


def subsampled(generator: torch.Generator) -> Drawn:
    """Some of the training images."""
    labels = fixed(2 * REAL)[torch.randperm(2 * REAL, generator=generator)[:REAL]]
    return Drawn(labelled(labels, generator, 2 * REAL), labelled(independent(FAKE, generator), generator))


def split(generator: torch.Generator) -> Drawn:
    """Training images of a stratified split, and in place of a generator those that were held out."""
    labels = independent(REAL + 2 * FAKE, generator)
    aside = torch.from_numpy(stratified(labels.numpy(), 2 * FAKE / len(labels)))
    real, held_out = (labelled(labels[rows], generator) for rows in (~aside, aside))
    some = as_if_drawn(held_out, real.labels, FAKE, seed=int(labels.sum()) * 1000 + len(labels.unique()))
    assert held_out.labels is not None
    chosen = Features(held_out.features.values[some], held_out.features.probabilities[some], "toy", "0")
    return Drawn(real, Sample(features=chosen, labels=held_out.labels[some]))


DESIGNS = [conditional, dealt_out, subsampled, split]


def noise_of(drawn: Drawn) -> ClassNoise:
    real, fake = drawn
    return class_noise(real.features.values, real.labels, drawn_from=real.drawn_from, fake_labels=fake.labels)


@pytest.mark.parametrize("design", DESIGNS)
def test_the_floor_is_right_on_average_and_the_interval_covers(design: Callable[[torch.Generator], Drawn]) -> None:
    generator = torch.Generator().manual_seed(1)
    estimates, floors, naive = [], [], []
    for trial in range(TRIALS):
        real, fake = drawn = design(generator)
        estimates.append(frechet_estimate(real.features.values, fake.features.values, seed=trial))
        if trial < FLOORS:
            floors.append(frechet_floor(real.features.values, len(fake), noise_of(drawn)))
            naive.append(frechet_floor(real.features.values, len(fake)))
    values = np.array([estimate.value for estimate in estimates])
    error = values.std() / math.sqrt(TRIALS)
    assert np.mean(floors) == pytest.approx(values.mean(), abs=3 * error + 0.05 * values.mean())
    assert np.mean(naive) > values.mean() + 3 * error, "independent draws would lie higher"
    held = np.mean([estimate.low <= values.mean() <= estimate.high for estimate in estimates])
    assert held > 0.88
    below = np.mean([estimate.high < np.mean(floors) for estimate in estimates])
    assert below < 0.06


@pytest.mark.parametrize("design", [conditional, dealt_out, subsampled])
def test_the_limit_is_0_for_a_perfect_generator(design: Callable[[torch.Generator], Drawn]) -> None:
    generator, limits = torch.Generator().manual_seed(2), []
    for trial in range(40):
        real, fake = drawn = design(generator)
        noise = noise_of(drawn)
        values = by_class(real, not real.drawn_from), by_class(fake, noise.even)
        limits.append(frechet_infinity(*values, seed=trial, noise=noise).limit)
    values = np.array([limit.value for limit in limits])
    scale = frechet_distance(real.features.values, fake.features.values)
    assert abs(values.mean()) < 3 * values.std() / math.sqrt(40) + 0.2 * scale
    assert np.mean([not (limit.low > 0 or limit.high < 0) for limit in limits]) > 0.87


def test_held_out_images_stand_for_generated_ones_with_the_noise_of_their_classes() -> None:
    """Dealt out by the split they would lie at a fraction of the floor."""
    generator, drawn, dealt = torch.Generator().manual_seed(3), [], []
    for _ in range(60):
        labels = independent(REAL + FAKE, generator)
        aside = torch.from_numpy(stratified(labels.numpy(), FAKE / len(labels)))
        real, held_out = (labelled(labels[rows], generator) for rows in (~aside, aside))
        some = as_if_drawn(held_out, real.labels, FAKE, seed=len(drawn))
        assert len(some.unique()) == len(some)
        drawn.append(frechet_distance(real.features.values, held_out.features.values[some]))
        dealt.append(frechet_distance(real.features.values, held_out.features.values))
    assert np.mean(drawn) > 2 * np.mean(dealt)


def test_without_classes_nothing_changes() -> None:
    features = torch.randn(40, 6, generator=torch.Generator().manual_seed(0))
    assert INDEPENDENT.factor(37, 1234) == 1.0
    for labels in (None, torch.zeros(40, dtype=torch.int64), torch.arange(40)):
        assert class_noise(features, labels) == INDEPENDENT


def test_independent_gaussian_rows_count_as_such_and_so_do_few_of_many_columns() -> None:
    generator = torch.Generator().manual_seed(4)
    for count, columns in ((400, 10), (60, 200)):
        rows, labels = torch.randn(count, columns, generator=generator), torch.randint(3, (count,), generator=generator)
        found = class_noise(rows, labels)
        assert found.within == pytest.approx(1, rel=0.1)
        assert found.total == pytest.approx(1, rel=0.1)


def test_even_classes_are_told_from_independent_and_from_other_ones() -> None:
    real, generator = fixed(400), torch.Generator().manual_seed(0)
    assert are_even(real, fixed(200))
    assert not are_even(real, torch.arange(200) % CLASSES)
    assert np.mean([are_even(real, independent(200, generator)) for _ in range(200)]) < 0.04
    assert not are_even(real, torch.full((200,), CLASSES))


def test_classes_that_were_asked_for_are_independent_however_even_they_came() -> None:
    generator = torch.Generator().manual_seed(7)
    real, dealt = dealt_out(generator)
    rows = [fidelity_rows(Seen(real=real, fake=fake), ["fid_floor"])[0] for fake in (dealt, replace(dealt, asked="so"))]
    assert rows[1][1].value > 2 * rows[0][1].value
    assert ["dealt out" in row[3] for row in rows] == [True, False]


def test_a_distance_below_its_floor_is_a_finding() -> None:
    generator = torch.Generator().manual_seed(6)
    real, dealt = dealt_out(generator)
    unlabelled = [Sample(features=each.features) for each in (real, dealt)]
    healthy = conditional(generator)
    for one, other, expected in ((*unlabelled, True), (real, real, True), (real, dealt, False), (*healthy, False)):
        seen = Seen(real=one, fake=other)
        found = below_floor_findings(seen, fidelity_rows(seen, ["fid", "fid_floor"]))
        assert bool(found) == expected
        if expected:
            assert found[0].code == "below-the-floor"
            assert "fd[toy] is" in found[0].evidence
