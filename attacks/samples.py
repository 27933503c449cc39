"""The samples under attack and all that belongs to each, checked once and then narrowed as samples leave."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from attacks.norms import Budget, Norm
from attacks.objectives import Loss, fooled, log_odds


@dataclass(frozen=True)
class Samples:
    """Samples still in play. Every tensor has one row a sample."""

    images: Tensor
    """(N, C, H, W) in [0, 1]."""
    labels: Tensor
    """(N,) int64: the classes to leave or, where `targeted`, to reach."""
    eps: Tensor
    """(N,) budgets; infinite where none was given."""
    indices: Tensor
    """(N,) the numbers by which the randomness knows the samples."""
    rows: Tensor
    """(N,) where each sample stands in the batch that came in, and goes in the result."""
    targeted: bool
    highest_label: int

    @classmethod
    def of(
        cls, images: Tensor, labels: Tensor, *, eps: Budget | None, norm: Norm, targeted: bool, indices: Tensor | None
    ) -> "Samples":
        """Check what a caller passes at the border of an attack, and complete it; no `eps` is an infinite one.

        This is the one place where an attack waits for the device before its first pass.
        """
        check_images(images)
        count, device = len(images), images.device
        if labels.shape != (count,) or labels.is_floating_point() or labels.dtype == torch.bool:
            raise ValueError(f"labels must be ({count},) whole numbers; got {tuple(labels.shape)} {_dtype(labels)}")
        if count and labels.min() < 0:
            raise ValueError(f"labels must be 0 or above; got {int(labels.min())}")
        rows = torch.arange(count, device=device)
        indices = rows if indices is None else indices.to(device)
        if indices.shape != (count,) or indices.is_floating_point():
            raise ValueError(f"indices must be ({count},) whole numbers; got {tuple(indices.shape)} {_dtype(indices)}")
        return cls(
            images=images.detach(),
            labels=labels.to(device, torch.int64),
            eps=images.new_full((count,), torch.inf) if eps is None else budgets(eps, images, norm),
            indices=indices,
            rows=rows,
            targeted=targeted,
            highest_label=int(labels.max()) if count else 0,
        )

    def __len__(self) -> int:
        return len(self.images)

    def objective(self, logits: Tensor, *, loss: Loss = log_odds) -> Tensor:
        """(N, classes) logits to the (N,) values that the attack wants large."""
        if self.highest_label >= logits.shape[1]:
            raise ValueError(
                f"label {self.highest_label} is out of range: the classifier has {logits.shape[1]} classes"
            )
        return loss(logits, self.labels, targeted=self.targeted)

    def fooled(self, logits: Tensor) -> Tensor:
        """Whether the attack has reached its aim: (N,) booleans."""
        return fooled(logits, self.labels, targeted=self.targeted)

    def split(self, batch_size: int | None) -> Iterator["Samples"]:
        """The samples in parts of that size (None: in one), in order."""
        if batch_size is not None and batch_size < 1:
            raise ValueError(f"batch_size must be 1 or more; got {batch_size}")
        for seats in torch.arange(len(self), device=self.rows.device).split(batch_size or max(len(self), 1)):
            if len(seats) > 0:
                yield self.select(seats)

    def select(self, staying: Tensor) -> "Samples":
        """The samples at the given positions, with everything that belongs to them."""
        return replace(
            self,
            images=self.images[staying],
            labels=self.labels[staying],
            eps=self.eps[staying],
            indices=self.indices[staying],
            rows=self.rows[staying],
        )


def check_images(images: Tensor) -> None:
    """Refuse what is not (N, C, H, W) float images in [0, 1], and name the usual mistakes."""
    if images.ndim != 4:
        raise ValueError(f"images must be (N, C, H, W); got {tuple(images.shape)} (one image needs images[None])")
    if images.dtype not in (torch.float32, torch.float64):
        raise ValueError(f"images must be float32 or float64 in [0, 1]; got {_dtype(images)} (uint8: divide by 255)")
    if images.numel() == 0:
        return
    low, high = (float(value) for value in images.detach().aminmax())
    if not (low >= 0 and high <= 1):  # also where one is NaN
        raise ValueError(
            f"images must be in [0, 1]; got {low:.4g} to {high:.4g} "
            "(normalised? pass plain pixels, and give mean and std to Classifier)"
        )


def budgets(eps: Budget, images: Tensor, norm: Norm, *, option: str = "eps") -> Tensor:
    """A budget as an (N,) tensor, checked: 0 or above, finite, and for linf at most the whole range of a pixel."""
    values = torch.as_tensor(eps, dtype=images.dtype, device=images.device).detach()
    if values.ndim > 0 and values.shape != (len(images),):
        raise ValueError(f"{option} must be a number or have one entry a sample; got {tuple(values.shape)}")
    if values.numel() and not bool(((values >= 0) & values.isfinite()).all()):
        raise ValueError(f"{option} must be finite and 0 or above; got {float(values.min()):.4g}")
    if norm.name == "linf" and values.numel() and values.max() > 1:
        raise ValueError(
            f"{option}={float(values.max()):.4g} exceeds the whole pixel range [0, 1] "
            f"(8 levels of 255 are {option} = 8 / 255)"
        )
    return values.expand(len(images))


def _dtype(values: Tensor) -> str:
    return str(values.dtype).removeprefix("torch.")
