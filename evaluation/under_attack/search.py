"""The smallest budget at which an attack breaks each image, found with as few passes as it takes.

Balls are nested: what is broken at one budget is broken at every larger one, and nothing is attacked twice to learn
that. An iterated attack is tried at the largest budget first. An image that survives there is done, for the cost of one
run; one that falls is shrunk towards the original as far as it still fools, one forward pass a budget, and attacked
again just below, until it survives. So each image pays for one run that fails, which is long, and for a few that
succeed, which are short. A single step need not gain from a larger budget: it is tried at each, from the smallest on.
"""

import inspect
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from advgan.machine.room import Room
from attacks import L2, LINF, Attack, Classifier, Norm, named_norm
from attacks.table import entry_of
from evaluation.under_attack.attempt import Attempt, Precision, attempt, looked_at
from evaluation.under_attack.outcomes import Clean, Outcome, bound, is_label


@dataclass(frozen=True)
class Search:
    """What is known of N images after an attack, on the CPU; `budgets` K of them, ascending."""

    before: Tensor
    """(N,) int64: `level` before this attack; it tries what lies below."""
    level: Tensor
    """(N,) int64: the first budget at which the image is broken; K where none is."""
    tried: Tensor
    """(N,) int64: the budget at which `images` was tried and did not fool; -1 where it did, or nothing was tried."""
    images: Tensor
    """(N, C, H, W): what fooled at `level`, else what was tried last."""
    logits: Tensor
    logits_8bit: Tensor
    forwards: Tensor
    """(N,) int64: passes of this attack."""
    backwards: Tensor

    num_budgets: int

    @classmethod
    def untouched(cls, images: Tensor, clean: Clean, num_budgets: int) -> "Search":
        """Nothing tried yet; an image that is wrong as it is counts as broken, and by no attack."""
        level = torch.where(clean.correct, num_budgets, 0)
        nothing = torch.zeros(len(images), dtype=torch.int64)
        pixels = images.detach().cpu()
        return cls(level, level, nothing - 1, pixels, clean.logits, clean.logits, nothing, nothing, num_budgets)

    def afresh(self) -> "Search":
        """The same knowledge at the start of another attack."""
        nothing = torch.zeros_like(self.level)
        return replace(self, before=self.level, forwards=nothing, backwards=nothing)

    def noted(self, rows: Tensor, found: Attempt, level: Tensor, hit: Tensor) -> "Search":
        """Take in an attempt of some rows at their `level`: what fooled, and what did not where nothing else has."""
        shown = hit | (self.level[rows] == self.num_budgets)
        kept = rows[shown]
        return replace(
            self,
            level=self.level.index_copy(0, rows[hit], level[hit]),
            tried=self.tried.index_copy(0, kept, torch.where(hit, -1, level)[shown]),
            images=self.images.index_copy(0, kept, found.images[shown]),
            logits=self.logits.index_copy(0, kept, found.logits[shown]),
            logits_8bit=self.logits_8bit.index_copy(0, kept, found.logits_8bit[shown]),
            forwards=self.forwards.index_add(0, rows, found.forwards),
            backwards=self.backwards.index_add(0, rows, found.backwards),
        )

    def outcome(self, number: int, images: Tensor, clean: Clean, targets: Tensor | None) -> Outcome:
        """What is known at one budget: of an image that holds out, what was tried there, else the image itself."""
        pixels = images.detach().cpu()
        shown = clean.correct & ((self.level <= number) | (self.tried == number))
        adversarial = torch.where(shown[:, None, None, None], self.images, pixels)
        return Outcome(
            clean=clean,
            attacked=self.before > number,
            adversarial=adversarial,
            logits=torch.where(shown[:, None], self.logits, clean.logits),
            logits_8bit=torch.where(shown[:, None], self.logits_8bit, clean.logits),
            linf=LINF.size(adversarial - pixels).float(),
            l2=L2.size(adversarial - pixels).float(),
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
    """(N,) the samples' numbers in the whole set, which their randomness depends on."""
    targets: Tensor | None = None
    room: Room
    precision: Precision = "float32"

    def tried(self, attack: Attack, rows: Tensor, eps: Tensor | None, *, targeted: bool) -> tuple[Attempt, Tensor]:
        """Attack some rows; the attempt, and which of them the attack has got where it wanted."""
        found = attempt(
            self.classifier,
            attack,
            self.pixels(rows),
            self._aims(targeted)[rows],
            self.numbers[rows],
            eps=eps,
            room=self.room,
            precision=self.precision,
        )
        return found, self.reached(found, rows, targeted=targeted)

    def reached(self, found: Attempt, rows: Tensor, *, targeted: bool) -> Tensor:
        """Which of the rows an attempt has got where the attack wanted; a NaN is an error of the model."""
        reached = is_label(found.logits, self._aims(targeted)[rows])
        return reached if targeted else ~reached

    def pixels(self, rows: Tensor) -> Tensor:
        """The original images of some rows, on the CPU."""
        return self.images[rows.to(self.images.device)].detach().cpu()

    def _aims(self, targeted: bool) -> Tensor:
        return self.targets if targeted and self.targets is not None else self.clean.labels


def search(task: Task, attack: Attack, budgets: Sequence[float] | None, previous: Search | None = None) -> Search:
    """Find the first of the ascending `budgets` at which an attack that lacks only `eps` breaks each image.

    None: the attack lacks nothing, and is tried once. `previous` is the end of an attack before this one, in a cascade:
    only what it left is attacked.
    """
    known = previous.afresh() if previous else Search.untouched(task.images, task.clean, len(budgets or [0]))
    targeted = bool(bound(attack, "targeted"))
    if budgets is None:
        return _once(task, attack, known, targeted)
    limits = torch.tensor(list(budgets), dtype=torch.float64)
    if _is_minimal(attack) and len(limits) > 1:
        return _measured(task, attack, limits, known, targeted)
    if len(limits) > 1 and _iterates(attack):
        return _from_above(task, attack, limits, known, targeted)
    return _from_below(task, attack, limits, known, targeted)


def _once(task: Task, attack: Attack, known: Search, targeted: bool) -> Search:
    rows = (known.level > 0).nonzero().squeeze(1)
    found, hit = task.tried(attack, rows, None, targeted=targeted)
    return known.noted(rows, found, torch.zeros_like(rows), hit)


def _from_below(task: Task, attack: Attack, limits: Tensor, known: Search, targeted: bool) -> Search:
    for number, eps in enumerate(limits):
        rows = (known.level > number).nonzero().squeeze(1)
        found, hit = task.tried(attack, rows, eps.expand(len(rows)), targeted=targeted)
        known = known.noted(rows, found, torch.full_like(rows, number), hit)
    return known


def _from_above(task: Task, attack: Attack, limits: Tensor, known: Search, targeted: bool) -> Search:
    rows = (known.level > 0).nonzero().squeeze(1)
    while len(rows):
        level = known.level[rows] - 1
        found, hit = task.tried(attack, rows, limits[level], targeted=targeted)
        known = known.noted(rows, found, level, hit)
        known = _shrunk(task, attack, limits, known, rows[hit], targeted)
        rows = rows[hit & (known.level[rows] > 0)]
    return known


def _measured(task: Task, attack: Attack, limits: Tensor, known: Search, targeted: bool) -> Search:
    """Let an attack that looks for the nearest image run once, and read the budget off the distance."""
    rows = (known.level > 0).nonzero().squeeze(1)
    found, hit = task.tried(attack, rows, None, targeted=targeted)
    size = _norm(attack).size(found.images - task.pixels(rows)).double()
    level = (size[:, None] > limits * (1 + 1e-6)).sum(dim=1)
    nearer = hit & (level < known.level[rows])
    within = replace(known, level=torch.where(known.level == known.num_budgets, -1, known.level))  # keep no far image
    noted = within.noted(rows, found, level, nearer)
    return replace(noted, level=torch.where(noted.level < 0, known.num_budgets, noted.level))


def _shrunk(task: Task, attack: Attack, limits: Tensor, known: Search, rows: Tensor, targeted: bool) -> Search:
    """Scale what fooled down to one budget after the other, as far as it goes on fooling: a forward pass each."""
    norm = _norm(attack)
    while len(rows := rows[known.level[rows] > 0]):
        level = known.level[rows] - 1
        images, found = task.pixels(rows), known.images[rows]
        eps = limits[level].to(images.dtype)
        share = (eps / norm.size(found - images).clamp(min=1e-30)).clamp(max=1)
        smaller = norm.project(images + share[:, None, None, None] * (found - images), images, eps)
        scaled = looked_at(task.classifier, smaller, room=task.room, forwards=1)
        hit = task.reached(scaled, rows, targeted=targeted)
        known = known.noted(rows, scaled, level, hit)
        rows = rows[hit]
    return known


def _norm(attack: Attack) -> Norm:
    """The norm that is bound, else the attack's own default; linf for one that does not know norms."""
    parameter = inspect.signature(attack).parameters.get("norm")
    return LINF if parameter is None or parameter.default is inspect.Parameter.empty else named_norm(parameter.default)


def _is_minimal(attack: Attack) -> bool:
    """Whether an attack looks for the nearest image; one that is not ours does if it can do without a budget."""
    if (entry := entry_of(attack)) is not None:
        return entry.aim == "minimal"
    parameter = inspect.signature(attack).parameters.get("eps")
    return parameter is not None and parameter.default is None


def _iterates(attack: Attack) -> bool:
    return bool({"steps", "queries", "restarts"} & inspect.signature(attack).parameters.keys())
