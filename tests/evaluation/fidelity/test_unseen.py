"""The distance to held-out images: a generator that knows its training images by heart gains nothing by it."""

import torch

from attacks.random import normal
from evaluation.features.features import Features
from evaluation.features.seen import Sample, Seen
from evaluation.fidelity.floor_findings import below_floor_findings
from evaluation.fidelity.frechet_floor import frechet_floor
from evaluation.fidelity.frechet_interval import frechet_estimate
from evaluation.fidelity.rows import fidelity_rows
from evaluation.statistics.intervals import Estimate

WORDS = ("fid", "fid_floor", "fid_unseen", "fid_unseen_floor")


def sample(seed: int, count: int) -> Sample:
    return of(normal(seed, torch.arange(count), (8,), dtype=torch.float64))


def of(values: torch.Tensor) -> Sample:
    return Sample(features=Features(values, torch.ones(len(values), 1), "toy", "0"))


def scored(fake: Sample) -> tuple[dict[str, Estimate], list[str]]:
    seen = Seen(real=sample(1, 300), fake=fake, held_out=sample(2, 200))
    rows = fidelity_rows(seen, WORDS)
    return {name: estimate for name, estimate, *_ in rows}, [one.advice for one in below_floor_findings(seen, rows)]


def test_a_memoriser_lies_below_the_floor_of_its_own_images_and_not_of_held_out_ones() -> None:
    found, advice = scored(of(sample(1, 300).features.values))
    assert found["fd[toy]"].value < 1e-6
    assert found["fd_unseen[toy]"].high > found["fd_unseen_floor[toy]"].low
    assert found["fd_unseen[toy]"].value > 0.5 * found["fd_unseen_floor[toy]"].value
    assert [f"Quote fd_unseen[toy], the distance to held-out images, which is {found['fd_unseen[toy]'].value:.4g}"] == [
        text.partition(". ")[2].partition(", and look")[0] for text in advice
    ]


def test_a_perfect_generator_scores_the_floor_of_both() -> None:
    found, advice = scored(sample(3, 250))
    for word in ("fd", "fd_unseen"):
        assert found[f"{word}[toy]"].low < found[f"{word}_floor[toy]"].value < found[f"{word}[toy]"].high
    assert not advice


def test_they_are_the_distance_and_the_floor_of_the_held_out_images() -> None:
    found, _ = scored(sample(3, 250))
    held_out, fake = (sample(*which).features.values for which in ((2, 200), (3, 250)))
    assert found["fd_unseen[toy]"] == frechet_estimate(held_out, fake)
    assert found["fd_unseen_floor[toy]"].value == frechet_floor(held_out, 250)


def test_copies_of_the_held_out_images_are_below_their_floor() -> None:
    seen = Seen(real=sample(1, 300), fake=sample(2, 200), held_out=sample(2, 200))
    (finding,) = below_floor_findings(seen, fidelity_rows(seen, WORDS))
    assert "fd_unseen[toy] is" in finding.evidence
