"""Count the images that the trust panel broke, at each budget, in the worst-case robust accuracy."""

from dataclasses import replace

import torch
from torch import Tensor

from attacks import L2, LINF, Norm
from evaluation.under_attack.attempt import Attempt, attempt, looked_at
from evaluation.under_attack.eight_bits import into_levels
from evaluation.under_attack.outcomes import Outcome, is_label
from evaluation.under_attack.search import Task
from evaluation.under_attack.trust.ledger import Ledger


def panel_outcome(task: Task, ledger: Ledger, *, norm: Norm, eps: float, left: Tensor) -> Outcome | None:
    """What the panel's attacks do at a budget to the images that those of the evaluation `left`, (N,) bool.

    The panel has tried some of them. Where it raised an alarm, the attack that broke most is run on all others. Each
    image is classified again, and counts if it is still misclassified. None where nothing broke.
    """
    found = _seen_again(task, ledger, norm=norm, eps=eps, left=left)
    if ledger.best_way is not None:
        rows = (left & found.robust).nonzero().squeeze(1)
        found = replace(found, attacked=left)
        if len(rows):
            budgets = torch.full((len(rows),), eps, dtype=torch.float64)
            labels, numbers = task.clean.labels[rows], task.numbers[rows]
            tried = attempt(
                task.classifier,
                ledger.best_way,
                _pixels(task, rows),
                labels,
                numbers,
                eps=budgets,
                room=task.room,
                eight_bit=task.eight_bit,
            )
            found = _noted(found, rows, tried)
    if not bool(found.success.any()):
        return None
    delta = found.adversarial - task.images.detach().cpu()
    return replace(found, linf=LINF.size(delta).float(), l2=L2.size(delta).float())


def _seen_again(task: Task, ledger: Ledger, *, norm: Norm, eps: float, left: Tensor) -> Outcome:
    """The panel's own images within the budget, as the classifier sees them in batches of the evaluation."""
    nothing, size = torch.zeros(len(left), dtype=torch.int64), torch.zeros(len(left))
    pixels, logits = task.images.detach().cpu().float(), task.clean.logits
    asked = torch.zeros_like(left)
    found = Outcome(task.clean, asked, pixels, logits, logits, size, size, nothing, nothing)
    for entry in ledger.entries:
        if entry.norm.name != norm.name or entry.eps > eps:
            continue
        asked = asked.index_fill(0, entry.asked, True)
        chosen = entry.broken & left[entry.asked] & found.robust[entry.asked]
        if bool(chosen.any()):
            shown = entry.images[chosen].to(pixels.dtype)
            if task.eight_bit:
                shown = into_levels(shown, pixels[entry.asked[chosen]], norm, eps)
            found = _noted(found, entry.asked[chosen], looked_at(task.classifier, shown, room=task.room))
    return replace(found, attacked=asked & left)


def _noted(found: Outcome, rows: Tensor, tried: Attempt) -> Outcome:
    """Take in those of the attempts that fool."""
    fooled = ~is_label(tried.logits, found.clean.labels[rows]) & ~tried.logits.isnan().any(dim=1)
    kept = rows[fooled]
    return replace(
        found,
        adversarial=found.adversarial.index_copy(0, kept, tried.images[fooled].to(found.adversarial.dtype)),
        logits=found.logits.index_copy(0, kept, tried.logits[fooled]),
        logits_8bit=found.logits_8bit.index_copy(0, kept, tried.logits_8bit[fooled]),
    )


def _pixels(task: Task, rows: Tensor) -> Tensor:
    return task.images[rows.to(task.images.device)].detach().cpu()
