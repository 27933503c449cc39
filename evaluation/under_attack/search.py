"""Run one attack at one budget on the images that are still correct, alone or in a cascade, and keep the state of all.

Every budget is a search of its own, with the very call that it would be alone: an attack that finds something at one
budget may miss it at another, larger or smaller, and what it finds there survives rounding to 8 bits or does not. So
budgets share the pass over the unchanged images and nothing else, and no rate depends on which others were asked for.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from advgan.machine.room import Room
from attacks import L2, LINF, Attack, Classifier
from evaluation.under_attack.attempt import Attempt, Precision, attempt
from evaluation.under_attack.outcomes import Clean, Outcome, bound, is_label


@dataclass(frozen=True)
class Search:
    """The state of N images after an attack, or a cascade of attacks, at one budget; on the CPU."""

    attacked: Tensor
    """(N,) bool: given to this attack, as no attack before it had succeeded."""
    left: Tensor
    """(N,) bool: correct without attack, and no attack has succeeded."""
    images: Tensor
    """(N, C, H, W): what broke the image, else what was tried last."""
    logits: Tensor
    """(N, classes) of `images`."""
    logits_8bit: Tensor
    """(N, classes) of `images` rounded to 8 bits."""
    forwards: Tensor
    """(N,) int64: passes of this attack."""
    backwards: Tensor

    @classmethod
    def untouched(cls, images: Tensor, clean: Clean) -> "Search":
        """Nothing tried yet; an image that is wrong as it is is not attacked."""
        nothing = torch.zeros(len(images), dtype=torch.int64)
        pixels = images.detach().cpu()
        return cls(clean.correct, clean.correct, pixels, clean.logits, clean.logits, nothing, nothing)

    def noted(self, rows: Tensor, found: Attempt, hit: Tensor, labels: Tensor) -> "Search":
        """Merge an attempt on some rows: images that `hit`, and the others where the label was not left before.

        So an image that a targeted attack has taken to a third class stays broken, whatever the next one makes of it.
        """
        attacked = torch.zeros_like(self.left).index_fill(0, rows, True)
        shown = hit | is_label(self.logits[rows], labels[rows])
        kept, nothing = rows[shown], torch.zeros_like(self.forwards)
        return Search(
            attacked=attacked,
            left=self.left.index_fill(0, rows[hit], False),
            images=self.images.index_copy(0, kept, found.images[shown]),
            logits=self.logits.index_copy(0, kept, found.logits[shown]),
            logits_8bit=self.logits_8bit.index_copy(0, kept, found.logits_8bit[shown]),
            forwards=nothing.index_add(0, rows, found.forwards),
            backwards=nothing.index_add(0, rows, found.backwards),
        )

    def outcome(self, images: Tensor, clean: Clean, targets: Tensor | None) -> Outcome:
        """The outcome of this attack, image by image."""
        delta = self.images - images.detach().cpu()
        return Outcome(
            clean=clean,
            attacked=self.attacked,
            adversarial=self.images,
            logits=self.logits,
            logits_8bit=self.logits_8bit,
            linf=LINF.size(delta).float(),
            l2=L2.size(delta).float(),
            forwards=self.forwards,
            backwards=self.backwards,
            targets=targets,
        )


@dataclass(frozen=True, kw_only=True)
class Task:
    """What a search works on; rows are samples, all tensors but the images on the CPU."""

    classifier: Classifier
    images: Tensor
    clean: Clean
    numbers: Tensor
    """(N,) the samples' indices in the whole set, to which their random numbers are bound."""
    targets: Tensor | None = None
    room: Room
    precision: Precision = "float32"
    eight_bit: bool = False
    """Whether only images of 8 bits count, see `eight_bits`."""

    def tried(self, attack: Attack, rows: Tensor, eps: float | None, *, targeted: bool) -> tuple[Attempt, Tensor]:
        """Attack some rows; return the attempt and (n,) bool: it succeeded, which if targeted means at the target."""
        aims = self.targets if targeted and self.targets is not None else self.clean.labels
        found = attempt(
            self.classifier,
            attack,
            self.images[rows.to(self.images.device)].detach().cpu(),
            aims[rows],
            self.numbers[rows],
            eps=None if eps is None else torch.full((len(rows),), eps, dtype=torch.float64),
            room=self.room,
            precision=self.precision,
            eight_bit=self.eight_bit,
        )
        reached = is_label(found.logits, aims[rows])
        return found, reached if targeted else ~reached  # a NaN is an error of the model


def search(task: Task, attack: Attack, eps: float | None = None, previous: Search | None = None) -> Search:
    """Attack the images that are left, with a budget for an attack that lacks `eps`.

    `previous` is the end of an attack before this one, in a cascade: only what it left is attacked. An attack without
    targets leaves alone what one with targets has taken to another class than its target.
    """
    known = previous or Search.untouched(task.images, task.clean)
    targeted = bool(bound(attack, "targeted"))
    wanted = known.left if targeted else known.left & is_label(known.logits, task.clean.labels)
    rows = wanted.nonzero().squeeze(1)
    found, hit = task.tried(attack, rows, eps, targeted=targeted)
    return known.noted(rows, found, hit, task.clean.labels)
