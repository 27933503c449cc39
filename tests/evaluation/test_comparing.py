import math
from itertools import pairwise

import pytest
import torch
from scipy import stats

from evaluation.comparing import comparable, comparison_findings, difference_scores, differences
from evaluation.record.scores import Score
from evaluation.report.text import direction
from evaluation.statistics.intervals import mean


def score(subject: str, value: float, half: float, **changes: object) -> Score:
    fields = {
        "subject": subject,
        "data": "digits abc",
        "setting": "cnn",
        "metric": "fd[cnn]",
        "value": value,
        "low": value - half,
        "high": value + half,
        "samples": 1000,
        "num_real": 500,
        "protocol": "words",
    }
    return Score(**{**fields, **changes})  # type: ignore[arg-type]


def test_the_interval_of_a_difference_is_that_of_independent_values() -> None:
    (found,) = differences([[score("a", 5, 0.3)], [score("b", 4, 0.4)]])
    assert found.value == pytest.approx(1)
    assert (found.low, found.high) == (pytest.approx(0.5), pytest.approx(1.5))  # 0.3, 0.4, 0.5 are the sides
    error = 0.5 / stats.norm.ppf(0.975)
    assert found.p_value == pytest.approx(2 * stats.norm.sf(1 / error))
    assert found.is_significant


def test_equal_generators_are_told_apart_in_one_of_twenty_comparisons() -> None:
    told = 0
    for seed in range(400):
        draws = torch.randn(2, 200, generator=torch.Generator().manual_seed(seed))
        scores = [[score(name, *_centre(mean(draw)))] for name, draw in zip("ab", draws, strict=True)]
        told += differences(scores)[0].is_significant
    assert 8 <= told <= 34  # 20 expected, sd 4.4


def test_with_many_pairs_the_chance_of_any_false_claim_stays_at_five_per_cent() -> None:
    wrong = 0
    for seed in range(300):
        draws = torch.randn(6, 100, generator=torch.Generator().manual_seed(seed))
        scores = [[score(name, *_centre(mean(draw)))] for name, draw in zip("abcdef", draws, strict=True)]
        found = differences(scores)
        assert len(found) == 15
        wrong += any(one.is_significant for one in found)
    assert wrong <= 25  # 15 expected at most


def _centre(estimate: tuple[float, float, float]) -> tuple[float, float]:
    value, _, high = estimate
    return value, high - value


def test_the_correction_is_that_of_holm() -> None:
    """Three pairs: the smallest p-value counts threefold, the middle one twice, the largest once, never falling."""
    found = differences([[score("a", 0, 1)], [score("b", 2, 1)], [score("c", 2.1, 1)]])
    error = math.sqrt(2) / stats.norm.ppf(0.975)
    plain = sorted(2 * stats.norm.sf(gap / error) for gap in (2, 2.1, 0.1))
    expected = [3 * plain[0], 2 * plain[1], plain[2]]
    assert sorted(one.p_value for one in found) == pytest.approx(sorted(max(expected[: k + 1]) for k in range(3)))
    assert all(low <= high for low, high in pairwise(sorted(one.p_value for one in found)))


def test_differences_are_rows_that_say_their_verdict() -> None:
    found = differences([[score("a", 5, 0.3)], [score("b", 4, 0.4)]])
    (row,) = difference_scores(found)
    assert (row.metric, row.subject, row.setting) == ("difference/fd[cnn]", "a - b", "cnn: significant")
    assert (row.value, row.low) == (pytest.approx(1), pytest.approx(0.5))
    assert "p = 8.9e-05" in row.protocol
    assert direction(row.metric) == ""


@pytest.mark.parametrize(
    "changes",
    [
        {"setting": "inception"},
        {"data": "digits xyz"},
        {"samples": 999},
        {"num_real": 400},
        {"preparation": "another resize"},
        {"extractor": "cnn 456"},
        {"metric": "kid[cnn]"},
    ],
)
def test_only_like_is_compared_with_like(changes: dict[str, object]) -> None:
    first, other = score("a", 5, 0.3), score("b", 4, 0.3, **changes)
    assert not comparable(first, other)
    assert differences([[first], [other]]) == []


def test_a_value_without_an_interval_gives_no_verdict() -> None:
    assert differences([[score("a", 5, math.nan)], [score("b", 4, 0.3)]]) == []
    assert comparison_findings([]) == []


def test_the_number_of_images_that_is_named_is_enough() -> None:
    """With so many the interval is 2.8 standard errors from 0, which is significant in four of five repetitions."""
    (found,) = differences([[score("a", 5, 0.3)], [score("b", 4.8, 0.3)]])
    assert not found.is_significant
    needed = found.samples_needed
    assert needed is not None
    shrunk = 0.3 * math.sqrt(1000 / needed)
    power = stats.norm.cdf(0.2 / (shrunk * math.sqrt(2) / stats.norm.ppf(0.975)) - stats.norm.ppf(0.975))
    assert power == pytest.approx(0.8, abs=0.01)
    (finding,) = comparison_findings([found])
    assert f"{needed:,}" in finding.evidence
    assert finding.code == "unclear-differences"


def test_two_judges_are_not_compared_and_that_is_said() -> None:
    runs = [[score("a", 5, 0.1, extractor="cnn 0123")], [score("b", 1, 0.1, extractor="cnn 4567")]]
    assert differences(runs) == []
    (finding,) = comparison_findings([], runs)
    assert (finding.level, finding.code) == ("warning", "two-judges")
    assert "fd[cnn] were seen by cnn 0123 and cnn 4567" in finding.evidence
    alike = [[score("a", 5, 0.1, extractor="cnn 0123")], [score("b", 1, 0.1, extractor="cnn 0123")]]
    assert len(differences(alike)) == 1
    assert comparison_findings([], alike) == []
