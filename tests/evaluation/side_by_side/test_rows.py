"""Numbers stand in one row only where they may be compared."""

from collections.abc import Callable

import pytest

from evaluation.record.scores import Score
from evaluation.side_by_side.rows import pivot

Make = Callable[..., Score]


def test_the_same_measurement_stands_in_one_row(make_score: Make) -> None:
    first, second = (
        make_score("fid", 1.0, subject="gan a1b2c3d4e5f6"),
        make_score("fid", 2.0, subject="gan 0123456789ab"),
    )
    (row,) = pivot([[first], [second], []])
    assert row.cells == (first, second, None)
    assert (row.note, row.alone) == ("", False)


@pytest.mark.parametrize("field", ["data", "protocol", "extractor"])
def test_other_data_or_another_protocol_stand_apart_with_a_note(field: str, make_score: Make) -> None:
    first, second = make_score("fid", 1.0, **{field: "one"}), make_score("fid", 2.0, **{field: "two"})
    rows = pivot([[first], [second]])
    assert [row.cells for row in rows] == [(first, None), (None, second)]
    name = "judge" if field == "extractor" else field
    assert [row.note for row in rows] == [f"{name}: one", f"{name}: two"]
    assert all(row.alone for row in rows)


def test_several_models_of_a_run_align_by_name_without_hash(make_score: Make) -> None:
    def scores(run: int) -> list[Score]:
        return [make_score("fid", float(run), subject=f"{name} {run}{'ab' * 5}f") for name in ("before", "after")]

    runs = [scores(1), scores(2)]
    rows = pivot(runs)
    assert [row.cells for row in rows] == [(runs[0][0], runs[1][0]), (runs[0][1], runs[1][1])]
    assert [row.note for row in rows] == ["subject: before", "subject: after"]
    assert not any(row.alone for row in rows)


def test_two_seeds_of_one_run_keep_their_rows(make_score: Make) -> None:
    scores = [make_score("fid", 1.0, seed=0), make_score("fid", 2.0, seed=1)]
    assert [row.note for row in pivot([scores, scores])] == ["seed: 0", "seed: 1"]


def test_a_score_that_a_run_holds_twice_is_lost_nowhere(make_score: Make) -> None:
    scores = [make_score("fid", 1.0), make_score("fid", 2.0)]
    assert [row.cells for row in pivot([scores, scores[:1]])] == [(scores[0], scores[0]), (scores[1], None)]


@pytest.mark.parametrize("field", ["samples", "num_real"])
def test_numbers_of_images_part_no_rows(field: str, make_score: Make) -> None:
    words = "closed balls, k = 3; {} real, 2000 fake; p = {}e-05; names 96.{} % [95.4 %, 98.0 %] right"
    first, second = (
        make_score("recall", 0.5, **{field: count}, protocol=words.format(count, count % 7, count % 3))
        for count in (100, 101)
    )
    (row,) = pivot([[first], [second]])
    assert row.cells == (first, second)
    assert not row.alone


def test_numbers_in_a_protocol_part_no_rows_with_or_without_decimals(make_score: Make) -> None:
    words = "line through {}, of the whole sets"
    scores = [
        make_score("fd_infinity", 1.0, protocol=words.format(line))
        for line in ("247.5, 249, 252.6", "12.21, 1,014.36, 2e-05", "-1, inf, 3 %")
    ]
    (row,) = pivot([[score] for score in scores])
    assert row.several


def test_of_a_protocol_its_words_and_the_neighbours_it_asks_part_rows(make_score: Make) -> None:
    three, five, turned = (
        make_score("recall", 0.5, protocol=f"closed balls, {k}; 90 fake; classes drawn {how}")
        for k, how in (("k = 3", "in shares"), ("k = 5", "in shares"), ("k = 3", "in turn"))
    )
    rows = pivot([[three], [five], [turned]])
    assert [row.several for row in rows] == [False] * 3
    assert "k = 5" in rows[1].note
    assert rows[2].note == "protocol: closed balls, k = 3; classes drawn in turn"


def test_warnings_and_the_device_part_no_rows(make_score: Make) -> None:
    words = "worst case over 3 attacks{}, image by image; share of all images; Wilson{}"
    marks = ("", ""), (" and the trust panel", "; struck, as warnings speak against it: masked-gradients")
    more = ("", "; true float32 on cuda")
    scores = [make_score("robust_accuracy", 0.5, protocol=words.format(*mark)) for mark in (*marks, more)]
    (row,) = pivot([[score] for score in scores])
    assert row.cells == tuple(scores)


@pytest.mark.parametrize("spelled", ["pgd-linf-8/255", "pgd-linf-0.03137254901960784", "pgd-linf-3.13725490196e-02"])
def test_a_budget_is_a_number_however_it_is_spelled(spelled: str, make_score: Make) -> None:
    first, second, other = (
        make_score("robust_accuracy", 0.5, setting=setting) for setting in ("pgd-linf-8/255", spelled, "pgd-linf-0.03")
    )
    together, apart = pivot([[first], [second], [other]])
    assert together.cells == (first, second, None)
    assert together.setting == "pgd-linf-8/255"
    assert apart.cells == (None, None, other)
