import subprocess
import sys
from functools import partial

import pytest
import torch
from torch import nn

from attacks import Classifier, fgsm, pgd, uniform_noise
from evaluation import Score, robustness, table
from evaluation.statistics.intervals import wilson


class Brightness(nn.Module):
    """Class 1 where the mean pixel exceeds 0.5."""

    def forward(self, images):
        gap = 10 * (images.flatten(1).mean(dim=1) - 0.5)
        return torch.stack([-gap, gap], dim=1)


LEVELS = (0.45, 0.52, 0.58, 0.65, 0.9)
IMAGES = torch.tensor(LEVELS).reshape(-1, 1, 1, 1).expand(-1, 1, 2, 2).clone()
LABELS = torch.tensor([0, 1, 1, 1, 0])  # the last is wrong before any attack


def scored(attacks, **options):
    scores = robustness(Classifier(Brightness(), name="brightness"), IMAGES, LABELS, attacks, **options)
    return {(score.setting, score.metric): score for score in scores}


def test_accuracies_count_all_images_and_success_only_those_that_were_right():
    found = scored({"fgsm-linf-0.1": partial(fgsm, eps=0.1)})
    expected = {
        ("clean", "clean_accuracy"): (4 / 5, 5),
        ("fgsm-linf-0.1", "robust_accuracy"): (1 / 5, 5),
        ("fgsm-linf-0.1", "robust_accuracy_8bit"): (1 / 5, 5),
        ("fgsm-linf-0.1", "success_rate"): (3 / 4, 4),
        ("fgsm-linf-0.1", "mean_linf"): (0.1, 3),
        ("fgsm-linf-0.1", "mean_l2"): (0.2, 3),
        ("fgsm-linf-0.1", "forwards_per_image"): (1, 4),
        ("fgsm-linf-0.1", "backwards_per_image"): (1, 4),
    }
    assert found.keys() == expected.keys()
    for key, (value, samples) in expected.items():
        assert (found[key].value, found[key].samples) == (pytest.approx(value), samples)


def test_rates_carry_wilson_intervals():
    found = scored({"a": partial(fgsm, eps=0.1)})
    robust, success = found["a", "robust_accuracy"], found["a", "success_rate"]
    assert (robust.low, robust.high) == wilson(1, 5)
    assert (success.low, success.high) == wilson(3, 4)


def test_the_worst_case_is_counted_image_by_image():
    """One attack breaks the dark images, another the bright: each alone leaves half, both together nothing."""

    def towards(level):
        def attack(classifier, images, labels, *, indices=None):
            hit = (images.mean(dim=(1, 2, 3)) < 0.5) == (level > 0.5)
            return torch.where(hit[:, None, None, None], torch.full_like(images, level), images)

        return attack

    found = scored({"brighten": towards(1.0), "darken": towards(0.0)})
    assert found["brighten", "robust_accuracy"].value == 3 / 5
    assert found["darken", "robust_accuracy"].value == 1 / 5
    assert found["worst-case", "robust_accuracy"].value == 0
    assert found["worst-case", "robust_accuracy_8bit"].value == 0
    assert found["worst-case", "success_rate"].value == 1
    assert found["worst-case", "success_rate"].samples == 4


def test_a_cascade_reaches_the_same_worst_case_and_attacks_what_is_left():
    attacks = {"small": partial(fgsm, eps=0.03), "large": partial(fgsm, eps=0.1)}
    apart, in_a_row = scored(attacks), scored(attacks, cascade=True)
    for metric in ("robust_accuracy", "robust_accuracy_8bit", "success_rate"):
        assert in_a_row["worst-case", metric] == apart["worst-case", metric]
    assert in_a_row["large", "robust_accuracy"].value == in_a_row["worst-case", "robust_accuracy"].value == 1 / 5
    assert (apart["large", "success_rate"].samples, in_a_row["large", "success_rate"].samples) == (4, 3)
    assert "not broken by an attack before this one" in in_a_row["large", "success_rate"].protocol
    assert in_a_row["worst-case", "forwards_per_image"].value == pytest.approx(7 / 4)
    assert apart["worst-case", "forwards_per_image"].value == pytest.approx(2)


def test_one_attack_has_no_worst_case_beside_it():
    assert "worst-case" not in {setting for setting, _ in scored({"a": partial(fgsm, eps=0.1)})}


def test_without_attacks_there_is_the_clean_accuracy():
    assert [key[1] for key in scored({})] == ["clean_accuracy"]


def test_eps_0_leaves_the_clean_accuracy():
    found = scored({"none": partial(pgd, eps=0.0, steps=2)})
    assert found["none", "robust_accuracy"].value == found["clean", "clean_accuracy"].value


def test_a_model_that_is_always_wrong_has_nothing_to_attack():
    scores = robustness(Classifier(Brightness()), IMAGES, (IMAGES.mean(dim=(1, 2, 3)) < 0.5).long(), {"a": pgd})
    assert {score.metric: score.value for score in scores} == {
        "clean_accuracy": 0,
        "robust_accuracy": 0,
        "robust_accuracy_8bit": 0,
    }


def test_targets_reach_the_attacks_that_are_bound_to_take_them():
    attacks = {"to": partial(pgd, eps=0.1, targeted=True), "from": partial(uniform_noise, eps=0.0)}
    found = scored(attacks, targets=1 - LABELS)
    assert found["to", "success_rate"].value == 3 / 4
    assert "at the target" in found["to", "success_rate"].protocol
    assert found["from", "success_rate"].value == 0


def test_scores_say_what_they_are_of_and_make_a_tidy_table():
    scores = robustness(
        Classifier(Brightness(), name="brightness"),
        IMAGES,
        LABELS,
        {"a": partial(fgsm, eps=0.1)},
        data="levels",
        seed=3,
    )
    frame = table(scores)
    assert set(frame["subject"]) == {"brightness"}
    assert set(frame["data"]) == {"levels"}
    assert set(frame["seed"]) == {3}
    assert all(isinstance(score, Score) and score.protocol for score in scores)
    passes = frame[frame["metric"] == "forwards_per_image"]
    assert passes["low"].item() == passes["value"].item() == passes["high"].item() == 1


def test_importing_evaluation_loads_no_torch_and_exports_the_function():
    code = (
        "import sys\nfrom evaluation import robustness, table, Score\nimport evaluation.under_attack.rows\n"
        "assert 'torch' not in sys.modules\nassert callable(robustness)\n"
        "from evaluation import robustness as again\nassert again is robustness"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
