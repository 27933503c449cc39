"""Values that move along half a cosine in the first steps of a GAN's training, and then stay (Huang et al., 2024).

All are functions of the step, so that resuming needs no state.
"""

from advgan.config import GanTraining
from advgan.learning.averaging import warm_decay
from advgan.learning.schedules import learning_rate, ramped


def rate(training: GanTraining, step: int, *, peak: float) -> float:
    """The learning rate of a player in a step, counted from 0."""
    if training.ramp.learning_rate is None:
        return learning_rate(training.schedule, step, total_steps=training.steps, peak=peak)
    return _ramped(training, step, peak, training.ramp.learning_rate * peak)


def beta2(training: GanTraining, step: int) -> float:
    """Adam's beta2 in a step."""
    last = training.ramp.beta2
    return training.beta2 if last is None else _ramped(training, step, training.beta2, last)


def penalty_share(training: GanTraining, step: int) -> float:
    """The factor on the weights of r1 and r2 in a step."""
    last = training.ramp.penalties
    return 1.0 if last is None else _ramped(training, step, 1.0, last)


def augmented_share(training: GanTraining, step: int) -> float | None:
    """The share of images that are augmented; None where it is not ramped."""
    last = training.ramp.augmentation
    return None if last is None else _ramped(training, step, 0.0, last)


def average_decay(training: GanTraining, step: int) -> float:
    """The decay of the averaged generator: by its half-life, constant from `average_after` on, or `warm_decay`."""
    if training.ramp.half_life is not None:
        half_life = _ramped(training, step, 0.0, training.ramp.half_life)
        return 0.5 ** (training.batch_size / half_life) if half_life else 0.0
    if training.average_after is not None:
        return training.average_decay if step >= training.average_after else 0.0
    return warm_decay(training.average_decay, step)


def _ramped(training: GanTraining, step: int, first: float, last: float) -> float:
    return ramped(first, last, step, steps=training.ramp.steps or training.steps)
