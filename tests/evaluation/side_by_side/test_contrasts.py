"""No difference within the noise gets a star, and what may not be compared is said and not tested."""

import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from evaluation.record.answers import Answers
from evaluation.record.scores import Score
from evaluation.side_by_side.contrasts import Compared, Pair, contrasts
from evaluation.side_by_side.differences import difference_words
from evaluation.side_by_side.sides import Side
from evaluation.side_by_side.verdict import comparison_verdict
from evaluation.statistics.significance import Contrast, paired

Make = Callable[..., Score]
UNDER = ("robust_accuracy", "pgd-linf-8/255")


def side(name: str, *scores: Score, **details: object) -> Side:
    return Side(**{"name": name, "command": "attack", "scores": scores, **details})  # type: ignore[arg-type]


def attacked(make_score: Make, name: str, flags: Sequence[bool], images: Sequence[int], **details: object) -> Side:
    """A run that kept its answers."""
    right = np.array(flags)
    names = tuple(f"image {number}" for number in images)
    share = float(right.mean())
    score = make_score(*UNDER[:1], share, share - 0.1, share + 0.1, setting=UNDER[1], samples=len(right), subject=name)
    return side(name, score, answers=Answers(names, {UNDER: right}), **details)


def only(rows: Sequence[Compared]) -> Compared:
    (row,) = rows
    return row


@pytest.mark.parametrize(
    ("metric", "intervals", "best"),
    [
        ("recall", [(0.5, 0.6), (0.7, 0.8)], 1),
        ("recall", [(0.5, 0.75), (0.7, 0.8)], None),
        ("fid", [(10.0, 11.0), (12.0, 13.0), (14.0, 15.0)], 0),
        ("fid", [(10.0, 12.5), (12.0, 13.0), (14.0, 15.0)], None),
        ("mean_l2", [(0.5, 0.6), (0.7, 0.8)], None),
        ("recall_real", [(0.5, 0.6), (0.7, 0.8)], None),
        ("recall", [(0.5, 0.6)], None),
        ("recall", [(0.5, 0.6), (math.nan, math.nan)], None),
        ("modes_covered", [(10, 10), (9, 9)], None),
    ],
)
def test_a_star_needs_a_difference_beyond_chance(
    metric: str, intervals: list[tuple[float, float]], best: int | None, make_score: Make
) -> None:
    runs = [side(f"r{low}", make_score(metric, (low + high) / 2, low, high)) for low, high in intervals]
    assert only(contrasts(runs)).best == best


def test_answers_to_the_same_images_are_compared_image_by_image(make_score: Make) -> None:
    """12 images against 0 tell at once what two intervals of +-10 points could not."""
    first = attacked(make_score, "a", [True] * 40 + [False] * 60, range(100))
    second = attacked(make_score, "b", [True] * 52 + [False] * 49, range(101))
    (pair,) = only(contrasts([first, second])).pairs
    assert pair.found == paired(12, 0, 100)
    assert pair.p_value == pytest.approx(2 * 0.5**12)
    apart = attacked(make_score, "b", [True] * 52 + [False] * 49, range(200, 301))
    (pair,) = only(contrasts([first, apart])).pairs
    assert pair.found.pairs == 0
    assert not pair.is_significant


def test_answers_that_are_not_those_of_the_score_are_left_aside(make_score: Make) -> None:
    first = attacked(make_score, "a", [True] * 40 + [False] * 60, range(100))
    second = attacked(make_score, "b", [True] * 52 + [False] * 48, range(100))
    stale = side("a", *first.scores, answers=second.answers)
    assert only(contrasts([stale, second])).pairs[0].found.pairs == 0


def test_all_that_a_page_tests_is_corrected_together(make_score: Make) -> None:
    runs = [
        side(name, *(make_score("recall", value, value - 0.05, value + 0.05, setting=str(k)) for k in range(20)))
        for name, value in (("a", 0.5), ("b", 0.6))
    ]
    alone = only(contrasts([side(run.name, run.scores[0]) for run in runs])).p_value
    assert alone < 0.01
    assert all(row.p_value == pytest.approx(20 * alone) for row in contrasts(runs))


@pytest.mark.parametrize(
    ("config", "setting", "reason"),
    [
        ({"attacks": ["pgd"], "steps": 7}, UNDER[1], "attacked in other ways: steps by default and 7"),
        ({"attacks": ["pgd", "fgsm"]}, "worst-case", "attacked in other ways: attacks pgd and pgd, fgsm"),
        ({"attacks": ["pgd", "fgsm"]}, UNDER[1], ""),
        ({"attacks": ["pgd"], "eps": [0.2]}, "worst-case", "attacked in other ways: eps by default and 0.2"),
        ({"attacks": ["pgd"], "eps": [0.2]}, "worst-case-linf-0.1", ""),
        ({"attacks": ["pgd"], "cascade": True}, UNDER[1], "attacked in other ways: cascade by default and True"),
        ({"attacks": ["pgd"], "steps": 7}, "clean", ""),
        ({}, UNDER[1], ""),
    ],
)
def test_models_attacked_in_other_ways_are_not_compared(
    config: dict[str, object], setting: str, reason: str, make_score: Make
) -> None:
    first, second = (
        make_score("robust_accuracy", value, value - 0.05, value + 0.05, setting=setting, subject=name)
        for name, value in (("a", 0.4), ("b", 0.8))
    )
    row = only(contrasts([side("a", first, config={"attacks": ["pgd"]}), side("b", second, config=config)]))
    assert row.reasons == [reason] * bool(reason)
    assert (row.best is None) == bool(reason)


def test_two_attacks_on_one_model_are_compared(make_score: Make) -> None:
    weak, strong = (
        side(
            name,
            make_score("robust_accuracy", value, value - 0.05, value + 0.05, setting=UNDER[1]),
            config={"attacks": ["pgd"], "steps": steps},
        )
        for name, value, steps in (("weak", 0.8, 1), ("strong", 0.4, 40))
    )
    verdict = comparison_verdict([weak, strong], contrasts([weak, strong]))
    assert verdict.startswith(
        "weak leaves the same model more accuracy than strong under pgd-linf-8/255: 80.0 % against"
    )


def test_distances_of_other_numbers_of_images_are_shown_and_not_tested(make_score: Make) -> None:
    fids, kids = (
        [
            make_score(metric, value, value - 1, value + 1, samples=n, num_real=90)
            for value, n in ((10, 2000), (20, 500))
        ]
        for metric in ("fd[cnn]", "kid[cnn]")
    )
    rows = contrasts([side("a", fids[0], kids[0]), side("b", fids[1], kids[1])])
    found = {row.row.metric: row for row in rows}
    assert found["fd[cnn]"].reasons == ["it depends on the number of generated images, 2,000 and 500"]
    assert found["fd[cnn]"].row.several
    assert found["kid[cnn]"].best == 0
    assert rows[-1].row.metric == "fd[cnn]"


def test_a_struck_number_wins_nothing_and_may_lose(make_score: Make) -> None:
    words = "share; struck, as warnings speak against it: masked-gradients"
    sound = make_score("robust_accuracy", 0.5, 0.45, 0.55, subject="sound", protocol="share")
    high, low = (
        make_score("robust_accuracy", value, value - 0.05, value + 0.05, subject="masked", protocol=words)
        for value in (0.9, 0.1)
    )
    assert only(contrasts([side("a", sound), side("b", high)])).reasons == ["warnings speak against the number of b"]
    assert only(contrasts([side("a", sound), side("b", low)])).best == 0


def test_the_rows_that_matter_come_first(make_score: Make) -> None:
    def scores(shift: float) -> list[Score]:
        kinds = [("mean_l2", 1, 0.1), ("recall", 0.5, 0.5), ("precision", 0.5, 0.01), ("fid", 9, 5)]
        return [make_score(metric, value + shift, value - half, value + half) for metric, value, half in kinds]

    alone = make_score("coverage", 0.5, 0.4, 0.6)
    rows = contrasts([side("a", alone, *scores(0), first=[("fid", "")]), side("b", *scores(0.1))])
    assert [row.row.metric for row in rows] == ["fid", "precision", "recall", "mean_l2", "coverage"]


def test_the_verdict_says_who_is_ahead_by_how_much_and_how_sure(make_score: Make) -> None:
    first = attacked(make_score, "A", [True] * 40 + [False] * 60, range(100))
    second = attacked(make_score, "B", [True] * 52 + [False] * 48, range(100))
    clean = [make_score("clean_accuracy", value, 0.9, 1, setting="clean") for value in (0.97, 0.96)]
    sides = [
        side(one.name, score, *one.scores, answers=one.answers)
        for one, score in zip((first, second), clean, strict=True)
    ]
    verdict = comparison_verdict(sides, contrasts(sides))
    assert verdict.startswith(
        "B is more robust than A under pgd-linf-8/255: 52.0 % against 40.0 %, difference +12.0 points ["
    )
    assert "p < 0.001 on the same 100 images (corrected for 2 comparisons)." in verdict
    assert verdict.endswith("Nothing else differs beyond chance.")
    turned = comparison_verdict(sides[::-1], contrasts(sides[::-1]))
    assert turned == verdict


def test_the_verdict_claims_nothing_within_the_noise(make_score: Make) -> None:
    sides = [
        side(name, make_score("recall", value, value - 0.1, value + 0.1)) for name, value in (("A", 0.5), ("B", 0.6))
    ]
    verdict = comparison_verdict(sides, contrasts(sides))
    assert verdict.startswith(
        "No difference is beyond chance (the only comparison). The nearest to it is that in recall"
    )


def test_the_verdict_names_which_model_of_each_run(make_score: Make) -> None:
    def scores(value: float) -> list[Score]:
        pairs = [("before", 0.5), ("after", value)]
        return [make_score("recall", share, share - 0.02, share + 0.02, subject=name) for name, share in pairs]

    sides = [side("A", *scores(0.6)), side("B", *scores(0.7))]
    assert comparison_verdict(sides, contrasts(sides)).startswith(
        "B is better than A in recall (subject: after): 70.0 %"
    )


def test_three_runs_are_named_with_their_numbers(make_score: Make) -> None:
    sides = [
        side(name, make_score("fid", value, value - 0.5, value + 0.5, num_real=90))
        for name, value in (("A", 12.0), ("B", 10.0), ("C", 14.0))
    ]
    verdict = comparison_verdict(sides, contrasts(sides))
    assert verdict.startswith("B lies closer to the real images than A and C in fid: 10 of B against 12 of A, ")
    assert "Beyond chance A is ahead of C in fid as well." in verdict


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "A and B hold the same numbers of the same subject: nothing differs."),
        ({"extractor": "cnn 2"}, "share no number that may be compared: they stand apart by judge: cnn 1"),
        ({"metric": "recall"}, "share no number that may be compared: no metric and setting is in two of them"),
        ({"subject": "other", "low": math.nan}, "Nothing could be tested."),
    ],
)
def test_where_nothing_can_be_tested_the_verdict_says_why(
    changes: dict[str, object], words: str, make_score: Make
) -> None:
    fields: dict[str, object] = {"metric": "fid", "value": 1.0, "low": 0.5, "high": 1.5, "extractor": "cnn 1"}
    sides = [side("A", make_score(**fields)), side("B", make_score(**{**fields, **changes}))]
    assert words in comparison_verdict(sides, contrasts(sides))


def test_the_verdict_names_what_stands_apart_where_the_rest_cannot_be_tested(make_score: Make) -> None:
    sides = [
        side(name, make_score("mean_l2", 1.0, 0.9, 1.1), make_score("fid", 1.0, 0.9, 1.1, extractor=f"cnn {name}"))
        for name in "AB"
    ]
    verdict = comparison_verdict(sides, contrasts(sides))
    assert verdict == "Nothing could be tested. By other data, judges or protocols stand apart: fid."


@pytest.mark.parametrize(
    ("metric", "numbers", "words"),
    [
        ("recall", (0.062, 0.011, 0.113), "+6.2 points [+1.1, +11.3]"),
        ("recall", (-0.0, -0.019, 0.019), "0.0 points [-1.9, +1.9]"),
        ("recall", (-1e-5, math.nan, math.nan), "0.0 points"),
        ("fid", (-3.5, -7.25, 0.25), "-3.5 [-7.25, +0.25]"),
        ("fid", (math.nan, math.nan, math.nan), "–"),
    ],
)
def test_a_difference_reads_in_the_unit_of_its_metric(metric: str, numbers: tuple[float, ...], words: str) -> None:
    pair = Pair(first=0, second=1, found=Contrast(*numbers, p_value=1.0))
    assert difference_words(metric, pair) == words


def test_runs_of_other_verbs_or_without_scores_have_a_verdict(make_score: Make) -> None:
    score = make_score("fid", 1.0, 0.5, 1.5)
    sides = [side("A", make_score("recall", 0.5)), side("B", score, command="eval"), side("C")]
    assert "they are of advgan attack and advgan eval" in comparison_verdict(sides, contrasts(sides))
    assert "share no number" in comparison_verdict(sides[2:] * 2, contrasts(sides[2:] * 2))
