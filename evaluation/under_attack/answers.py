"""The facts behind the accuracies of a suite, image by image, in a form that is stored with a run."""

from collections.abc import Mapping, Sequence
from hashlib import blake2b

from torch import Tensor

from evaluation.record.answers import Answers, numbered
from evaluation.under_attack.outcomes import Clean, Outcome
from evaluation.under_attack.rows import CLEAN, left_by_all


def outcome_answers(
    images: Tensor,
    clean: Clean,
    outcomes: Mapping[str, Outcome],
    *,
    groups: Mapping[str, Sequence[str]],
    panel: Mapping[str, Outcome],
) -> Answers:
    """Which of the images (N, C, H, W) were right before and after each attack, and after all of a group.

    The names are those of `outcome_scores`, whose accuracies are the means of these flags.
    """
    found = {("clean_accuracy", CLEAN): clean.correct}
    for name, outcome in outcomes.items():
        found["robust_accuracy", name], found["robust_accuracy_8bit", name] = outcome.robust, outcome.robust_8bit
    for name, group in groups.items():
        members = [some[one] for some in (outcomes, panel) for one in group if one in some]
        found["robust_accuracy", name], found["robust_accuracy_8bit", name] = left_by_all(clean, members)
    return Answers(image_names(images), {name: flags.numpy() for name, flags in found.items()})


def image_names(images: Tensor) -> tuple[str, ...]:
    """A name for each image by its content: 16 hex digits, and a number where the same image came before."""
    pixels = images.detach().float().cpu().contiguous().numpy()
    return numbered(blake2b(image.tobytes(), digest_size=8).hexdigest() for image in pixels)
