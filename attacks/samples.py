"""The samples under attack with their labels, budgets and indices: checked once, then narrowed as samples leave."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import TypeGuard

import torch
from torch import Tensor

from attacks.arrays import as_tensor
from attacks.norms import Budget, Norm
from attacks.objectives import Loss, fooled, log_odds, wide

_TRUSTED = ContextVar("_TRUSTED", default=False)


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
    """(N,) the samples' numbers in the data set; with the seed they determine all random draws."""
    rows: Tensor
    """(N,) the position of each sample in the caller's batch, and so in the result."""
    targeted: bool
    highest_label: int
    """The largest label; -1 where it was not checked (`trusted`)."""

    @classmethod
    def of(
        cls, images: Tensor, labels: Tensor, *, eps: Budget | None, norm: Norm, targeted: bool, indices: Tensor | None
    ) -> "Samples":
        """Check the arguments of an attack and fill in defaults; `eps=None` is an infinite budget.

        Arrays and lists become tensors. Reading the ranges of images, labels and budgets waits for the device, once;
        nothing else does before the first pass. Raises ValueError naming what is wrong.
        """
        images, labels = as_tensor(images, "images"), as_tensor(labels, "labels")
        _check_form(images)
        count, device = len(images), images.device
        if labels.shape != (count,) or labels.is_floating_point() or labels.dtype == torch.bool:
            raise ValueError(f"labels must be ({count},) whole numbers; got {tuple(labels.shape)} {_dtype(labels)}")
        labels = labels.to(device, torch.int64)
        rows = torch.arange(count, device=device)
        indices = rows if indices is None else as_tensor(indices, "indices").to(device)
        if indices.shape != (count,) or indices.is_floating_point():
            raise ValueError(f"indices must be ({count},) whole numbers; got {tuple(indices.shape)} {_dtype(indices)}")
        values = images.new_full((count,), torch.inf) if eps is None else _spread(eps, images, norm, option="eps")
        highest = -1
        if images.numel() and not _TRUSTED.get():
            ends = _ends(images, labels, *([] if eps is None or _is_number(eps) else [values]))
            _check_range(*ends[0])
            if ends[1][0] < 0:
                raise ValueError(f"labels must be 0 or above; got {int(ends[1][0])}")
            for low, high in ends[2:]:
                _check_budget(low, high, norm, option="eps")
            highest = int(ends[1][1])
        return cls(
            images=images.detach(),
            labels=labels,
            eps=values,
            indices=indices,
            rows=rows,
            targeted=targeted,
            highest_label=highest,
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

    def score(self, logits: Tensor) -> Tensor:
        """The log-odds that the attack wants large, for comparing images: (N,) in float64 (float32 on MPS).

        Where logits hardly differ from each other, differences between images would be lost in float32.
        """
        return self.objective(wide(logits))

    def fooled(self, logits: Tensor) -> Tensor:
        """Whether the attack has reached its aim: (N,) booleans."""
        return fooled(logits, self.labels, targeted=self.targeted)

    def split(self, batch_size: int | None) -> Iterator["Samples"]:
        """The samples in parts of that size (None: in one), in order."""
        if batch_size is not None and batch_size < 1:
            raise ValueError(f"batch_size must be 1 or more; got {batch_size}")
        size = batch_size or max(len(self), 1)
        for first in range(0, len(self), size):
            yield self.part(first, first + size)

    def part(self, first: int, end: int) -> "Samples":
        """The samples from position `first` to before `end`, as views: nothing is copied."""
        if first == 0 and end >= len(self):
            return self
        return self._changed(lambda values: values[first:end])

    def select(self, staying: Tensor) -> "Samples":
        """The samples at the given positions, with everything that belongs to them."""
        return self._changed(lambda values: values[staying])

    def _changed(self, change: Callable[[Tensor], Tensor]) -> "Samples":
        return replace(
            self,
            images=change(self.images),
            labels=change(self.labels),
            eps=change(self.eps),
            indices=change(self.indices),
            rows=change(self.rows),
        )


@contextmanager
def trusted() -> Iterator[None]:
    """Skip the checks of values inside the block, so that no attack waits for the device before it begins.

    For training loops that make sure themselves that pixels lie in [0, 1] and labels are classes of the network.
    Shapes, dtypes and budgets that are plain numbers are still checked, since that needs no wait.
    """
    before = _TRUSTED.set(True)
    try:
        yield
    finally:
        _TRUSTED.reset(before)


def check_images(images: Tensor) -> None:
    """Raise ValueError unless images are (N, C, H, W) float32 or float64 in [0, 1], naming the usual mistakes."""
    _check_form(images)
    if images.numel() > 0:
        _check_range(*_ends(images)[0])


def budgets(eps: Budget, images: Tensor, norm: Norm, *, option: str = "eps") -> Tensor:
    """Return a budget as an (N,) tensor; ValueError unless it is finite, 0 or above and, in linf, at most 1.

    Waits for the device only where it is a tensor.
    """
    values = _spread(eps, images, norm, option=option)
    if not _is_number(eps) and values.numel() and not _TRUSTED.get():
        _check_budget(*_ends(values)[0], norm, option=option)
    return values


def _spread(eps: Budget, images: Tensor, norm: Norm, *, option: str) -> Tensor:
    """Return a budget as an (N,) tensor; plain numbers are checked, the entries of a tensor are not."""
    if _is_number(eps):
        _check_budget(eps, eps, norm, option=option)
        return images.new_full((len(images),), eps)
    values = as_tensor(eps, option).detach().to(images.device, images.dtype)
    if values.ndim > 0 and values.shape != (len(images),):
        raise ValueError(f"{option} must be a number or have one entry a sample; got {tuple(values.shape)}")
    return values.expand(len(images))


def _is_number(eps: Budget) -> TypeGuard[float]:
    """Whether a budget is a plain number, which the host can check without waiting for a device."""
    return isinstance(eps, int | float)


def _check_form(images: Tensor) -> None:
    if images.ndim != 4:
        raise ValueError(f"images must be (N, C, H, W); got {tuple(images.shape)} (one image needs images[None])")
    if images.dtype not in (torch.float32, torch.float64):
        raise ValueError(f"images must be float32 or float64 in [0, 1]; got {_dtype(images)} (uint8: divide by 255)")


def _check_range(low: float, high: float) -> None:
    if not (low >= 0 and high <= 1):  # also where one is NaN
        raise ValueError(
            f"images must be in [0, 1]; got {low:.4g} to {high:.4g} "
            "(normalised? pass plain pixels, and give mean and std to Classifier)"
        )


def _check_budget(low: float, high: float, norm: Norm, *, option: str) -> None:
    if not (low >= 0 and high < float("inf")):
        raise ValueError(f"{option} must be finite and 0 or above; got {high if low >= 0 else low:.4g}")
    if norm.name == "linf" and high > 1:
        raise ValueError(
            f"{option}={high:.4g} exceeds the whole pixel range [0, 1] (8 levels of 255 are {option} = 8 / 255)"
        )


def _ends(images: Tensor, *others: Tensor) -> list[tuple[float, float]]:
    """The smallest and largest entry of each tensor, NaN where it has one, in a single copy to the host."""
    ends = [end.to(images) for each in (images, *others) for end in each.detach().aminmax()]
    found = torch.stack(ends).tolist()
    return list(zip(found[::2], found[1::2], strict=True))


def _dtype(values: Tensor) -> str:
    return str(values.dtype).removeprefix("torch.")
