"""Attack a classifier with a suite of attacks in one call, with findings on the validity of the results."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from torch import Tensor, nn

from advgan.config.presets import preset_file
from advgan.config.resolve import resolve
from advgan.machine.precision import true_float32
from advgan.machine.room import Room
from attacks import Classifier, check_images
from attacks.arrays import as_tensor
from evaluation.door.notebook import page
from evaluation.jobs.attack.config import AttackConfig
from evaluation.jobs.attack.measured import attack_answers, attack_scores, outcomes_by_setting, task_of
from evaluation.jobs.attack.questions import Tried, questioned
from evaluation.record.answers import Answers
from evaluation.record.findings import Finding
from evaluation.record.scores import Scores, short_table
from evaluation.under_attack.chunks import run_trials
from evaluation.under_attack.eight_bits import check_levels
from evaluation.under_attack.outcomes import Outcome


@dataclass(frozen=True)
class Attacked:
    """The scores of a classifier under a suite of attacks. A notebook shows a table with the warnings below."""

    numbers: Scores
    findings: tuple[Finding, ...]
    """Findings on the validity of the scores, and explanations."""
    outcomes: Mapping[str, Outcome]
    """Outcomes for each image, by setting."""
    config: dict[str, Any]
    answers: Answers
    """By metric and setting, for each image whether it counts."""

    @property
    def images(self) -> dict[str, Tensor]:
        """By setting, the adversarial images (N, C, H, W) in [0, 1]; those that were not attacked are as they were."""
        return {name: outcome.adversarial for name, outcome in self.outcomes.items()}

    @property
    def scores(self) -> pd.DataFrame:
        """The numbers with all that is needed to compare them with others, one a row."""
        return self.numbers.table()

    def table(self) -> pd.DataFrame:
        """Value, interval and sample size, by setting and metric."""
        return short_table(self.numbers)

    def _repr_html_(self) -> str:
        return page(self.numbers, self.findings)


@true_float32()
def attack(
    model: Classifier | nn.Module,
    images: Tensor,
    labels: Tensor,
    suite: str = "quick",
    *,
    norm: str = "linf",
    eps: float | Sequence[float] | None = None,
    batch_size: int = 256,
    probes: int = 64,
    eight_bit: bool = False,
    seed: int = 0,
) -> Attacked:
    """Attack a classifier with a suite, such as `quick` or `standard` (AutoAttack), and check the result's validity.

    `model` takes images in [0, 1]; one that wants them normalised is given as `Classifier(network, mean=..., std=...)`.
    `images` are (N, C, H, W), float in [0, 1], `labels` (N,); tensors, arrays or lists. `suite` is a preset of
    `advgan ls presets`; `eps` is one budget or several, by default the one that the field quotes for this norm and
    kind of image. `probes` is the number of images for the checks for masked gradients and weak attacks; 0: no checks.
    Raises ValueError in one line for what cannot be attacked.
    """
    classifier = model if isinstance(model, Classifier) else Classifier(model)
    images, labels = as_tensor(images, "images"), as_tensor(labels, "labels")
    check_images(images)
    config = _config(suite, norm=norm, eps=eps, batch_size=batch_size, probes=probes, eight_bit=eight_bit, seed=seed)
    if eight_bit:
        check_levels(images)
    trials, room = config.trials(images.shape[1]), Room.of(batch_size)
    task = task_of(classifier, images, labels, room=room, eight_bit=eight_bit)
    found = run_trials(task, trials, cascade=config.cascade)
    outcomes = outcomes_by_setting(config, trials, found, task)
    findings, panel, failed = questioned(Tried(config, trials, outcomes, config.probes), task)
    numbers = Scores(attack_scores(config, task, outcomes, panel, findings, subject=classifier.name))
    answers = attack_answers(config, task, outcomes, panel)
    return Attacked(numbers, (*findings, *failed), {**outcomes, **panel}, config.model_dump(mode="json"), answers)


def _config(suite: str, *, eps: float | Sequence[float] | None, **given: Any) -> AttackConfig:
    budgets = None if eps is None else [eps] if isinstance(eps, (int, float)) else list(eps)
    return resolve(AttackConfig, file=preset_file("attack", suite), overrides={**given, "eps": budgets})
