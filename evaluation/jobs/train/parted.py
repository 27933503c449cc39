"""Findings on layers and losses that see only a part of a batch (gradient accumulation)."""

from advgan.config import GanTraining
from advgan.gan.parts import seen_in_parts
from advgan.gan.state import State
from evaluation.record.findings import Finding


def part_findings(state: State, training: GanTraining) -> list[Finding]:
    """Name layers and losses that see only a part of a batch, while the recipe assumes the whole."""
    found = seen_in_parts(state, training)
    if not found:
        return []
    each = training.batch_size // training.accumulation
    return [
        Finding(
            "info",
            "Some of the recipe sees a part of a batch at a time",
            f"accumulation {training.accumulation} cuts batches of {training.batch_size} into parts of {each} images, "
            f"each seen alone by {', '.join(found)}. Losses, gradients and all else are means over the whole batch.",
            "The training is another one than with whole batches: set accumulation 1 where memory allows, or compare "
            "only with runs of the same parts.",
            code="seen-in-parts",
        )
    ]
