"""The record of one step of GAN training; its statistics are computed only when they are read."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor


class Step(NamedTuple):
    """One generator step with the last discriminator step before it. Tensors are detached, on the device.

    Properties are computed when they are read (from `stacked` steps, for all at once), so steps that are not logged
    launch no kernels. Reading a value waits for the device: read at log points only, and check for NaN there, since
    training does not. Probabilities are sigmoid(logits), meaningful under `minimax` and `non-saturating` alone. With
    several processes values are of this process's images, but gradient norms of the whole batch. Steps are equal where
    all their values are.
    """

    step: int
    """Generator steps done, this one included."""
    images_seen: int
    """Real images that the discriminator has seen."""
    discriminator_loss: Tensor
    generator_loss: Tensor
    """The adversarial losses, without further terms."""
    terms: dict[str, Tensor]
    """Terms of both players before their weights, by `discriminator.NAME` and `generator.NAME`; a lazy one is 0 between
    its steps."""
    real_logits: Tensor
    fake_logits: Tensor
    """(N,): of the discriminator step."""
    discriminator_gradients: tuple[Tensor, ...]
    generator_gradients: tuple[Tensor, ...]
    """Euclidean norms, a scalar for each parameter's gradient."""
    augmentation: Tensor
    """Share of images that are augmented."""

    @property
    def real_logit(self) -> Tensor:
        """Mean logit of real images; under `wasserstein` real_logit - fake_logit estimates the distance."""
        return self.real_logits.mean(dim=-1)

    @property
    def fake_logit(self) -> Tensor:
        """Mean logit of generated images."""
        return self.fake_logits.mean(dim=-1)

    @property
    def real_probability(self) -> Tensor:
        """Mean D(x)."""
        return self.real_logits.sigmoid().mean(dim=-1)

    @property
    def fake_probability(self) -> Tensor:
        """Mean D(G(z))."""
        return self.fake_logits.sigmoid().mean(dim=-1)

    @property
    def real_accuracy(self) -> Tensor:
        """Share of real images that the discriminator calls real."""
        return (self.real_logits > 0).float().mean(dim=-1)

    @property
    def fake_accuracy(self) -> Tensor:
        """Share of generated images that the discriminator calls fake."""
        return (self.fake_logits < 0).float().mean(dim=-1)

    @property
    def discriminator_gradient(self) -> Tensor:
        """Euclidean norm of the gradients of all parameters."""
        return _joint_norm(self.discriminator_gradients)

    @property
    def generator_gradient(self) -> Tensor:
        """Euclidean norm of the gradients of all parameters."""
        return _joint_norm(self.generator_gradients)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Step):
            return NotImplemented
        return all(_same(mine, theirs) for mine, theirs in zip(self, other, strict=True))


def stacked(steps: Sequence[Step]) -> Step:
    """Join K steps to one whose tensors have a dimension more, the first: every value is then (K,), bit for bit."""
    last = steps[-1]
    return Step(
        step=last.step,
        images_seen=last.images_seen,
        discriminator_loss=torch.stack([step.discriminator_loss for step in steps]),
        generator_loss=torch.stack([step.generator_loss for step in steps]),
        terms={name: torch.stack([step.terms[name] for step in steps]) for name in last.terms},
        real_logits=torch.stack([step.real_logits for step in steps]),
        fake_logits=torch.stack([step.fake_logits for step in steps]),
        discriminator_gradients=_columns([step.discriminator_gradients for step in steps]),
        generator_gradients=_columns([step.generator_gradients for step in steps]),
        augmentation=torch.stack([step.augmentation for step in steps]),
    )


def _joint_norm(norms: Sequence[Tensor]) -> Tensor:
    return torch.linalg.vector_norm(torch.stack(list(norms), dim=-1), dim=-1)


def _columns(rows: Sequence[Sequence[Tensor]]) -> tuple[Tensor, ...]:
    """K rows of P scalars to P columns (K,), in one copy; of a network that grew between the steps, to their norms."""
    if len({len(row) for row in rows}) > 1:
        return (torch.stack([_joint_norm(row) for row in rows]),)
    return torch.stack([value for row in rows for value in row]).view(len(rows), -1).unbind(1)


def _same(one: object, other: object) -> bool:
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[name], other[name]) for name in one)
    if isinstance(one, tuple) and isinstance(other, tuple):
        return len(one) == len(other) and all(map(_same, one, other))
    return one == other
