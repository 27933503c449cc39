"""Each alarm from made-up histories: on one side of its threshold it is raised, on the other it is not."""

import json
import math
from collections.abc import Callable
from typing import Any

import pytest

from advgan.gan.losses import LOSSES
from evaluation.watching import alarms as module
from evaluation.watching.alarms import alarms, exhausted, raised

Change = Callable[[dict[str, Any], int], object]


def healthy(number: int) -> dict[str, Any]:
    """The look number 0, 1, 2, ... at a training that goes well."""
    return {
        "step": 250 * (number + 1),
        "images_seen": 32_000 * (number + 1),
        "distance": 50.0 / (number + 1),
        "discriminator_loss": 1.2,
        "generator_gradient": 0.5,
        "discriminator_gradient": 0.8,
        "modes_covered": 10,
        "mode_counts": [100] * 10,
        **({"mode_variation": 0.05} if number else {}),
        "discriminator": {
            "real_fake_separation": 0.8,
            "train_held_out_separation": 0.52,
            "logit_spread": 1.5,
            "minimax_weight": 0.3,
            "r1": 0.4,
        },
        "generator": {
            "diversity": 0.9,
            "class_diversity": 0.8,
            "copied_share": 0.02,
            "change": 0.01 if number else None,
            "train_mode_shift": 0.2,
            "eval_mode_gap": 0.3,
            "train_mode_gap": 0.3,
        },
    }


def history(change: Change | None = None, *, length: int = 8, of: range | None = None) -> list[dict[str, Any]]:
    """Looks of which those with the numbers `of` (by default all) are changed."""
    looks = [healthy(number) for number in range(length)]
    for number in range(length) if of is None else of:
        if change:
            change(looks[number], number)
    return looks


def codes(looks: list[dict[str, Any]], loss: str = "non-saturating") -> list[str]:
    return [finding.code for finding in alarms(looks, loss=loss)]


def put(value: Any, *path: str) -> Change:
    """Set a value of a row."""

    def change(row: dict[str, Any], number: int) -> None:
        for key in path[:-1]:
            row = row[key]
        row[path[-1]] = value(number) if callable(value) else value

    return change


def both(*changes: Change) -> Change:
    def change(row: dict[str, Any], number: int) -> None:
        for one in changes:
            one(row, number)

    return change


def filled(classes: int, strays: int = 0) -> Change:
    """Let images fall into this many classes, and so many more into each other one."""
    return put([1000 // classes] * classes + [strays] * (10 - classes), "mode_counts")


D, G = "discriminator", "generator"
stands = put(20.0, "distance")
won = put(0.06, "discriminator_loss")
apart = put(0.995, D, "real_fake_separation")
PLANTED: dict[str, tuple[str, Change, Change, int]] = {
    "saturated": (
        "saturated-discriminator",
        both(won, apart),
        both(won, put(0.985, D, "real_fake_separation")),
        3,
    ),
    "sure, but losing something": (
        "saturated-discriminator",
        both(won, apart),
        both(put(0.075, "discriminator_loss"), apart),
        3,
    ),
    "dead": ("dead-discriminator", put(9e-4, D, "logit_spread"), put(2e-3, D, "logit_spread"), 2),
    "overfitting": (
        "overfitting-discriminator",
        put(0.62, D, "train_held_out_separation"),
        put(0.59, D, "train_held_out_separation"),
        3,
    ),
    "vanishing": ("vanishing-gradient", put(9e-7, "generator_gradient"), put(2e-5, "generator_gradient"), 2),
    "collapsed": (
        "diversity-collapse",
        both(put(0.4, G, "diversity"), stands),
        both(put(0.55, G, "diversity"), stands),
        3,
    ),
    "one image a class": (
        "diversity-collapse",
        put(0.2, G, "class_diversity"),
        put(0.3, G, "class_diversity"),
        3,
    ),
    "few classes": ("missing-modes", both(filled(4), stands), both(filled(5), stands), 3),
    "hopping": (
        "mode-hopping",
        both(put(0.4, "mode_variation"), stands),
        both(put(0.25, "mode_variation"), stands),
        3,
    ),
    "batch norm": (
        "broken-batch-norm",
        both(put(0.6, G, "train_mode_shift"), put(0.5, G, "eval_mode_gap")),
        both(put(0.6, G, "train_mode_shift"), put(0.4, G, "eval_mode_gap")),
        2,
    ),
    "different, yet as near": (
        "broken-batch-norm",
        both(put(0.3, G, "train_mode_shift"), put(0.7, G, "eval_mode_gap")),
        both(put(0.2, G, "train_mode_shift"), put(0.7, G, "eval_mode_gap")),
        2,
    ),
    "copies": ("memorised-data", put(0.25, G, "copied_share"), put(0.15, G, "copied_share"), 2),
    "exploding": ("exploding-gradients", put(60.0, "generator_gradient"), put(40.0, "generator_gradient"), 2),
    "exploding discriminator": (
        "exploding-gradients",
        put(90.0, "discriminator_gradient"),
        put(70.0, "discriminator_gradient"),
        2,
    ),
    "exploding r1": ("exploding-gradients", put(50.0, D, "r1"), put(30.0, D, "r1"), 2),
    "frozen": ("frozen-generator", put(5e-6, G, "change"), put(2e-5, G, "change"), 2),
}


@pytest.mark.parametrize("name", list(PLANTED))
def test_an_alarm_is_raised_beyond_its_threshold_and_not_before(name: str) -> None:
    code, beyond, within, lasting = PLANTED[name]
    last = range(8 - lasting, 8)
    assert codes(history(beyond, of=last)) == [code]
    assert codes(history(within, of=last)) == []


@pytest.mark.parametrize("name", list(PLANTED))
def test_one_look_is_luck(name: str) -> None:
    _, beyond, _, lasting = PLANTED[name]
    assert codes(history(beyond, of=range(9 - lasting, 8))) == []
    assert codes(history(beyond, of=range(7 - lasting, 7))) == []  # it passed


@pytest.mark.parametrize("name", list(PLANTED))
def test_an_alarm_carries_numbers_and_one_piece_of_advice(name: str) -> None:
    code, beyond, _, lasting = PLANTED[name]
    (finding,) = alarms(history(beyond, of=range(8 - lasting, 8)), loss="non-saturating")
    assert finding.level == "warning"
    assert any(sign.isdigit() for sign in finding.evidence)
    assert finding.advice.endswith(".")
    assert (finding.code, finding.title) == (code, finding.title.strip("."))


@pytest.mark.parametrize("loss", list(LOSSES))
def test_a_healthy_training_raises_none_at_any_step_in_any_loss(loss: str) -> None:
    assert raised(history(length=30), loss=loss) == []


def test_every_alarm_of_the_table_is_planted_above() -> None:
    assert {code for code, *_ in PLANTED.values()} == {
        finding.code
        for _, beyond, _, lasting in PLANTED.values()
        for finding in alarms(history(beyond, of=range(8 - lasting, 8)), loss="non-saturating")
    }
    assert len(module.ALARMS) == len({code for code, *_ in PLANTED.values()})


def test_a_critic_that_separates_is_no_alarm() -> None:
    looks = history(both(apart, put(-40.0, "discriminator_loss")), of=range(5, 8))
    assert codes(looks, "wasserstein") == []
    assert codes(looks, "hinge") == ["saturated-discriminator"]


def test_the_minimax_loss_alone_is_unheard_where_fakes_are_recognised() -> None:
    looks = history(put(0.005, D, "minimax_weight"), of=range(5, 8))
    assert codes(looks, "minimax") == ["vanishing-gradient"]
    assert codes(looks, "non-saturating") == []


def standing(*changes: Change, length: int) -> list[dict[str, Any]]:
    """Looks at a training whose distance does not fall."""
    return history(both(stands, *changes), length=length)


def test_a_generator_that_still_learns_to_vary_is_not_collapsed() -> None:
    assert codes(standing(put(lambda number: 0.1 + 0.1 * number, G, "diversity"), length=3)) == []
    assert codes(standing(put(lambda number: 0.3 + 0.01 * number, G, "diversity"), length=3)) == ["diversity-collapse"]
    climbing = put(lambda number: [250] * (1 + number) + [0] * (9 - number), "mode_counts")
    assert codes(standing(climbing, length=3)) == []
    assert codes(standing(filled(3), length=3)) == ["missing-modes"]


@pytest.mark.parametrize("tiny", [0.0, 1e-9])
def test_a_constant_generator_is_collapsed_though_nothing_grows_by_any_factor(tiny: float) -> None:
    found = standing(put(lambda number: tiny * 10**number, G, "diversity"), length=3)
    assert codes(found) == ["diversity-collapse"]


def test_few_classes_with_more_variety_in_them_are_still_learnt() -> None:
    growing = put(lambda number: 0.5 + 0.1 * number, G, "diversity")
    assert codes(standing(filled(4), growing, length=3)) == []


def test_classes_that_are_rare_among_real_images_too_are_not_missed() -> None:
    rare = put([400, 300, 200, 90, 5, 1, 1, 1, 1, 1], "real_mode_counts")  # four classes hold 98 % of them
    assert codes(standing(filled(2), rare, length=3)) == []
    assert codes(standing(filled(1), rare, length=3)) == ["missing-modes"]
    (found,) = alarms(standing(filled(1), rare, length=3), loss="non-saturating")
    assert "into 1 class(es) at most" in found.evidence
    assert found.evidence.endswith("as many of the real ones fall into 4.")


def test_stray_images_cover_no_class() -> None:
    assert codes(standing(filled(2, strays=2), length=3)) == ["missing-modes"]
    assert codes(standing(filled(2, strays=20), length=3)) == []


def test_a_generator_that_comes_nearer_at_every_look_has_not_collapsed() -> None:
    poor = both(put(0.1, G, "diversity"), put(0.1, G, "class_diversity"), filled(2))
    assert codes(history(poor)) == []
    once = both(poor, put(lambda number: [9.0, 8.0, 7.0, 7.1, 6.0][number], "distance"))
    assert codes(history(once, length=5)) == ["diversity-collapse", "missing-modes"]


def test_a_want_of_variety_counts_only_once_something_can_have_been_learnt() -> None:
    poor = both(stands, put(0.1, G, "diversity"), filled(1))
    early = both(poor, put(lambda number: 2_000 * (number + 1), "images_seen"))
    assert codes(history(early, length=11)) == []
    assert codes(history(early, length=12)) == ["diversity-collapse", "missing-modes"]  # at 20, 22 and 24 thousand


def test_a_generator_that_changes_its_modes_for_better_ones_does_not_hop() -> None:
    assert codes(history(put(0.5, "mode_variation"), of=range(1, 8))) == []


def test_growth_by_degrees_is_no_explosion() -> None:
    grown = put(lambda number: 0.4 * 2.0**number, D, "r1")
    assert codes(history(grown)) == []
    assert codes(history(put(lambda number: 0.4 * 100.0**number, D, "r1"))) == ["exploding-gradients"]


def test_what_a_look_could_not_measure_raises_nothing() -> None:
    def bare(row: dict[str, Any], number: int) -> None:
        row[D], row[G], row["mode_counts"] = {"broken_logits": 3}, {"diversity": 0.9}, []

    assert codes(history(bare)) == []
    assert codes([]) == []


def test_an_alarm_is_told_once_with_the_step_at_which_it_began() -> None:
    poor = both(stands, put(0.4, G, "diversity"))
    looks = [*history(poor, of=range(2, 5)), *history(poor, length=12)[8:]]
    assert [(step, finding.code) for step, finding in raised(looks, loss="hinge")] == [(1250, "diversity-collapse")]


def test_alarms_are_the_same_from_a_log_read_back() -> None:
    looks = history(both(won, apart, stands, put(0.4, G, "diversity")), of=range(4, 8))
    read = json.loads(json.dumps(looks))
    assert raised(read, loss="hinge") == raised(looks, loss="hinge") != []


def test_patience_ends_after_so_many_looks_without_a_better_distance() -> None:
    falling = [10.0, 9, 8]
    assert not exhausted([*falling, *[8.5] * 9], 10)
    assert exhausted([*falling, *[8.5] * 10], 10)
    assert exhausted([*falling, *[8.0] * 10], 10)  # as good is not better
    assert not exhausted([*falling, *[8.5] * 9, 7.9], 10)
    assert not exhausted([*falling, *[8.5] * 99], None)
    assert not exhausted([math.inf], 1)


# Fréchet distance every 2,000 steps of the published logs, as far as the reference has them: the best, then no better.
COLLAPSED = {"DCGAN": (42, 200), "LSGAN": (22, 200), "GGAN": (46, 200), "ProjGAN": (18, 100), "ACGAN": (14, 100)}


@pytest.mark.parametrize("name", list(COLLAPSED))
def test_patience_stops_the_runs_that_collapsed_twenty_thousand_steps_after_their_best(name: str) -> None:
    best, end = COLLAPSED[name]
    distances = [abs(step - best) + 1.0 for step in range(2, end + 1, 2)]
    stops = next(number for number in range(len(distances)) if exhausted(distances[: number + 1], 10))
    assert 2 * (stops + 1) == best + 20
