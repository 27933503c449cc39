"""Turn searches into outcomes by setting, and outcomes into scores, for `advgan attack` and `advgan.attack`."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from advgan.machine.precision import precision_note
from advgan.machine.room import Room
from attacks import Classifier
from evaluation.jobs.attack.summary import groups, marked
from evaluation.jobs.suites import AttackOptions
from evaluation.record.answers import Answers
from evaluation.record.findings import Finding
from evaluation.record.scores import Score, noted
from evaluation.under_attack.answers import outcome_answers
from evaluation.under_attack.outcomes import Outcome, clean_outcome
from evaluation.under_attack.rows import EIGHT_BIT_NOTE, outcome_scores
from evaluation.under_attack.search import Search, Task
from evaluation.under_attack.trials import Trial, outcomes_of


def task_of(classifier: Classifier, images: Tensor, labels: Tensor, *, room: Room, **how: Any) -> Task:
    """All of some images, with what the classifier says of them as they are; `how` are further fields of a task."""
    clean = room.within(lambda size: clean_outcome(classifier, images, labels, batch_size=size))
    numbers = torch.arange(len(images))
    return Task(classifier=classifier, images=images, clean=clean, numbers=numbers, room=room, **how)


def outcomes_by_setting(
    options: AttackOptions, trials: Sequence[Trial], found: Mapping[str, Sequence[Search]], task: Task
) -> dict[str, Outcome]:
    """The outcome of every trial at every budget; trials without searches are left out."""
    settings = options.settings(task.images.shape[1])
    return {
        setting: outcome
        for trial in trials
        if trial.name in found
        for setting, (_, outcome) in zip(settings[trial.name], outcomes_of(trial, found[trial.name], task), strict=True)
    }


def attack_scores(
    options: AttackOptions,
    task: Task,
    outcomes: Mapping[str, Outcome],
    panel: Mapping[str, Outcome],
    findings: Sequence[Finding],
    *,
    subject: str,
    data: str = "",
) -> list[Score]:
    """Score outcomes, with the trust panel's in the worst case, and note warnings in the scores' protocol."""
    scores = outcome_scores(
        task.clean,
        outcomes,
        groups=groups(options, task.images.shape[1], panel),
        panel=panel,
        subject=subject,
        data=data,
        seed=options.seed,
    )
    note = precision_note(task.classifier.device) + EIGHT_BIT_NOTE * task.eight_bit
    return marked(noted(scores, note), findings)


def attack_answers(
    options: AttackOptions, task: Task, outcomes: Mapping[str, Outcome], panel: Mapping[str, Outcome]
) -> Answers:
    """What `attack_scores` counts, image by image."""
    over = groups(options, task.images.shape[1], panel)
    return outcome_answers(task.images, task.clean, outcomes, groups=over, panel=panel)
