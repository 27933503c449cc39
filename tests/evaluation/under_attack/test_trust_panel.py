"""What the trust panel breaks: written down, looked at again, and counted at its budget and every larger one."""

from functools import partial

import pytest
import torch
from torch import Tensor, nn

from advgan.machine.room import Room
from attacks import LINF, Classifier, fgsm, pgd
from attacks.table import TABLE
from evaluation.under_attack.bound_attacks import hardest_threat
from evaluation.under_attack.outcomes import clean_outcome
from evaluation.under_attack.probes import Probes
from evaluation.under_attack.rows import outcome_scores
from evaluation.under_attack.search import Task
from evaluation.under_attack.trials import attack_outcome
from evaluation.under_attack.trust.counting import panel_outcome
from evaluation.under_attack.trust.ledger import Ledger

COUNT = 12


class Threshold(nn.Module):
    """Class 1 from a mean of 0.5 on: an image of grey g < 0.5 falls at eps 0.5 - g."""

    def forward(self, images: Tensor) -> Tensor:
        mean = images.mean(dim=(1, 2, 3))
        return torch.stack([0.5 - mean, mean - 0.5], dim=1)


@pytest.fixture
def task() -> Task:
    """Images of grey 0.40, 0.39, ..., all of class 0: number k falls at eps 0.1 + k / 100."""
    greys = 0.4 - torch.arange(COUNT) / 100
    images = greys[:, None, None, None].expand(-1, 1, 4, 4).clone()
    classifier = Classifier(Threshold())
    clean = clean_outcome(classifier, images, torch.zeros(COUNT, dtype=torch.int64))
    return Task(classifier=classifier, images=images, clean=clean, numbers=torch.arange(COUNT), room=Room.of(256))


def asked(task: Task, numbers: list[int]) -> Probes:
    rows = torch.tensor(numbers)
    return Probes(task.classifier, task.images[rows], task.clean.labels[rows], rows)


def test_what_was_broken_counts_at_its_budget_and_above_and_nowhere_else(task):
    ledger = Ledger()
    probes = asked(task, [0, 1, 5])
    broken = ledger.take(probes, probes.images + 0.12, norm=LINF, eps=0.12)
    assert broken.tolist() == [True, True, False]
    everyone = task.clean.correct
    assert panel_outcome(task, ledger, norm=LINF, eps=0.1, left=everyone) is None
    for eps in (0.12, 0.2):
        found = panel_outcome(task, ledger, norm=LINF, eps=eps, left=everyone)
        assert found.attacked.nonzero().flatten().tolist() == [0, 1, 5]
        assert found.success.nonzero().flatten().tolist() == [0, 1]
        assert found.linf[:2].tolist() == pytest.approx([0.12, 0.12])


def test_images_out_of_the_ball_or_out_of_bounds_count_for_nothing(task):
    ledger = Ledger()
    probes = asked(task, [0, 1])
    far = probes.images + torch.tensor([0.3, 0.0])[:, None, None, None]
    outside = probes.images.clone()
    outside[1, 0, 0] = 1.5
    for images in (far, outside):
        assert not ledger.take(probes, images, norm=LINF, eps=0.12).any()


def test_what_other_attacks_broke_is_not_counted_again(task):
    ledger = Ledger()
    probes = asked(task, [0, 1])
    ledger.take(probes, probes.images + 0.12, norm=LINF, eps=0.12)
    left = task.clean.correct.clone()
    left[0] = False
    found = panel_outcome(task, ledger, norm=LINF, eps=0.12, left=left)
    assert found.success.nonzero().flatten().tolist() == [1]


def test_an_alarm_goes_on_to_all_images_at_every_budget(task):
    ledger = Ledger()
    ledger.alarm(5, partial(pgd, norm="linf", eps=0.12))
    for eps, count in ((0.05, None), (0.125, 3), (0.155, 6)):
        found = panel_outcome(task, ledger, norm=LINF, eps=eps, left=task.clean.correct)
        assert (found and int(found.success.sum())) == count


def test_the_worst_case_counts_the_panel_and_says_so(task):
    ledger = Ledger()
    probes = asked(task, [0, 1])
    ledger.take(probes, probes.images + 0.12, norm=LINF, eps=0.12)
    panel = {"panel": panel_outcome(task, ledger, norm=LINF, eps=0.12, left=task.clean.correct)}
    weak = partial(pgd, eps=0.01)
    outcomes = {"pgd": attack_outcome(task.classifier, task.images, task.clean.labels, weak, clean=task.clean)}
    scores = outcome_scores(task.clean, outcomes, groups={"worst": ["pgd", "panel"]}, panel=panel)
    rows = {(score.setting, score.metric): score for score in scores}
    assert rows["pgd", "robust_accuracy"].value == 1
    assert rows["worst", "robust_accuracy"].value == pytest.approx(10 / 12)
    assert "over 1 attack and the trust panel" in rows["worst", "robust_accuracy"].protocol
    assert [metric for setting, metric in rows if setting == "panel"] == ["success_rate"]
    assert rows["panel", "success_rate"].samples == 2


def test_the_course_is_asked_of_an_attack_that_spends_the_budget(task):
    attacks = {
        "fmn": partial(TABLE["fmn"].attack, eps=0.12),
        "fgsm": partial(fgsm, eps=0.12),
        "universal": partial(TABLE["universal"].attack, eps=0.12),
    }
    outcomes = {
        name: attack_outcome(task.classifier, task.images, task.clean.labels, attack, clean=task.clean)
        for name, attack in attacks.items()
    }
    threat = hardest_threat(outcomes, attacks)
    assert (threat.name, threat.stands_in) == ("fgsm", False)
    alone = hardest_threat({"fmn": outcomes["fmn"]}, attacks)
    assert (alone.name, alone.attack.func, alone.stands_in) == ("pgd", pgd, True)
    assert hardest_threat({"universal": outcomes["universal"]}, attacks) is None
