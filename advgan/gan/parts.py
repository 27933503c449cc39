"""Gradient accumulation: the losses and logits of a whole batch from its parts, and what only ever sees one part."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from advgan.config import GanTraining
from advgan.gan.game import Turn
from advgan.gan.passes import Judged
from advgan.gan.state import State
from advgan.models.layers.minibatch import MinibatchDeviation, MinibatchDiscrimination
from advgan.models.layers.spectral import SpectralNorm


class Heard(NamedTuple):
    """Losses and logits of a discriminator's pass, on a part or on the whole batch."""

    turn: Turn
    real_logits: Tensor
    """(N,)"""
    fake_logits: Tensor


def heard(judged: Judged, *, parts: int, kept: Callable[[Tensor], Tensor]) -> Heard:
    """Take losses and logits from a pass; of several parts they are detached and copied by `kept`.

    A recorded pass overwrites its outputs at the next replay, so `kept` is `clone` there.
    """
    if parts == 1:
        return Heard(judged.turn, judged.sight.real_logits, judged.sight.fake_logits)
    logits = (kept(each.detach()) for each in (judged.sight.real_logits, judged.sight.fake_logits))
    return Heard(apart(judged.turn, parts=parts, kept=kept), *logits)


def apart(turn: Turn, *, parts: int, kept: Callable[[Tensor], Tensor]) -> Turn:
    """Do the same as `heard` for a player's losses alone."""
    if parts == 1:
        return turn
    terms = {name: kept(value.detach()) for name, value in turn.terms.items()}
    return Turn(kept(turn.total.detach()), kept(turn.adversarial.detach()), terms)


def together(parts: Sequence[Heard]) -> Heard:
    """Join equal parts to the whole batch: mean losses, and all logits in order."""
    if len(parts) == 1:
        return parts[0]
    turn = mean_turn([part.turn for part in parts])
    return Heard(turn, torch.cat([part.real_logits for part in parts]), torch.cat([part.fake_logits for part in parts]))


def mean_turn(turns: Sequence[Turn]) -> Turn:
    """The mean of the losses of equal parts."""
    if len(turns) == 1:
        return turns[0]
    terms = {name: _mean([turn.terms[name] for turn in turns]) for name in turns[0].terms}
    return Turn(_mean([turn.total for turn in turns]), _mean([turn.adversarial for turn in turns]), terms)


def _mean(values: Sequence[Tensor]) -> Tensor:
    return torch.stack(list(values)).mean(dim=0)


def seen_in_parts(state: State, training: GanTraining) -> tuple[str, ...]:
    """Name the statistics that are taken over a part instead of the whole batch, in words; empty without accumulation.

    All other values are means over images, and do not depend on how the batch is cut.
    """
    if training.accumulation == 1:
        return ()
    players = {"generator": state.generator, "discriminator": state.discriminator}
    kinds: dict[str, tuple[type[nn.Module], ...]] = {
        "batch norm of the {}": (_BatchNorm,),
        "minibatch statistics of the {}": (MinibatchDeviation, MinibatchDiscrimination),
        "the power iteration of the {}'s spectral norm": (SpectralNorm,),
    }
    found = [
        words.format(name)
        for words, kind in kinds.items()
        for name, network in players.items()
        if any(isinstance(module, kind) for module in network.modules())
    ]
    if training.loss == "relativistic-average":
        found.append("the mean logits of loss relativistic-average")
    if training.feature_matching:
        found.append("the mean features of feature_matching")
    return tuple(found)
