import pytest
import torch
from scipy import stats

from attacks.random import integers
from evaluation.features.features import Features
from evaluation.modes.findings import class_p_values, mode_findings, share_ratios, unequal_classes
from evaluation.modes.modes import Modes


def counted(real: list[int], fake: list[int]) -> Modes:
    counts = torch.tensor(fake)
    return Modes(torch.tensor(real), counts, counts > 0)


def features(counts: list[int], name: str = "cnn") -> Features:
    classes = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
    return Features(torch.zeros(len(classes), 1), torch.eye(len(counts))[classes], name, "0")


def codes(real: list[int], fake: list[int]) -> dict[str, str]:
    names = [f"class {letter}" for letter in "abcdefghijklmnopqrstuvwxyz"]
    return {found.code: found.evidence for found in mode_findings(features(real), features(fake), classes=names)}


def test_p_values_are_twice_a_tail_of_fishers_exact_test() -> None:
    found = class_p_values(counted([30, 5, 0, 65], [10, 20, 0, 70]))
    for number, (real, fake) in enumerate(((30, 10), (5, 20))):
        rows = [[fake, 100 - fake], [real, 100 - real]]
        tail = min(stats.fisher_exact(rows, alternative=side).pvalue for side in ("less", "greater"))
        assert float(found[number]) == pytest.approx(2 * tail)
    assert float(found[2]) == 1


def test_the_correction_is_holms() -> None:
    """Step by step: the k-th smallest of C values against 5 % / (C - k + 1), until one fails."""
    stepped = 0
    for trial in range(50):
        real, fake = (
            integers(2 * trial + side, torch.arange(400), 6 + 2 * side).bincount(minlength=8) for side in (0, 1)
        )
        found = Modes(real, fake, fake > 0)
        values, passed = class_p_values(found).tolist(), set[int]()
        for rank, number in enumerate(sorted(range(8), key=values.__getitem__)):
            if values[number] > 0.05 / (8 - rank):
                break
            passed.add(number)
        assert set(unequal_classes(found).nonzero().flatten().tolist()) == passed
        stepped += len(passed) > sum(value <= 0.05 / 8 for value in values)
    assert stepped, "Bonferroni's correction would do as well"


def test_all_together_err_as_often_as_they_say() -> None:
    wrong = 0
    for trial in range(200):
        real, fake = (integers(2 * trial + side, torch.arange(300), 20).bincount(minlength=20) for side in (0, 1))
        wrong += bool(unequal_classes(Modes(real, fake, fake > 0)).any())
    assert wrong <= 200 * 0.08


def test_missing_rare_and_frequent_classes_are_named_the_worst_first() -> None:
    found = codes([100, 100, 100, 100, 100], [0, 10, 40, 150, 300])
    assert found.keys() == {"missing-classes", "under-represented-classes", "over-represented-classes"}
    assert "class a" in found["missing-classes"]
    assert "2 of 5 classes: class b (0.1 times), class c (0.4 times)" in found["under-represented-classes"]
    assert "1 of 5 classes: class e (3 times)" in found["over-represented-classes"]


def test_a_healthy_generator_and_a_slight_tilt_raise_no_alarm() -> None:
    assert codes([100] * 5, [95, 108, 101, 90, 106]) == {}
    assert codes([10_000, 10_000], [10_800, 9_200]) == {}  # significant, but not by a factor of 1.5


def test_a_class_due_ten_times_at_most_may_be_absent_by_chance() -> None:
    assert codes([995, 5], [200, 0]) == {}


def test_a_class_of_no_real_image_is_over_represented() -> None:
    assert "class b (any number of times)" in codes([100, 0, 100], [50, 50, 50])["over-represented-classes"]
    assert share_ratios(counted([1, 0], [1, 1]))[1] == float("inf")


def test_many_missing_classes_are_counted_rather_than_listed() -> None:
    assert "and 2 more" in codes([40] * 26, [260] * 4 + [0] * 22)["missing-classes"]


def test_classes_of_inception_are_not_those_of_the_data() -> None:
    assert mode_findings(features([50, 50], "inception"), features([100, 0], "inception")) == []
