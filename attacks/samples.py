"""The samples under attack and all that belongs to each, checked once and then narrowed as samples leave."""

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
    """(N,) the numbers by which the randomness knows the samples."""
    rows: Tensor
    """(N,) where each sample stands in the batch that came in, and goes in the result."""
    targeted: bool
    highest_label: int
    """-1 where nobody has looked: see `trusted`."""

    @classmethod
    def of(
        cls, images: Tensor, labels: Tensor, *, eps: Budget | None, norm: Norm, targeted: bool, indices: Tensor | None
    ) -> "Samples":
        """Check what a caller passes at the border of an attack, and complete it; no `eps` is an infinite one.

        Arrays and lists become tensors. This is the one place where an attack waits for the device before its first
        pass, and it does so once.
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
        """The log-odds that the attack wants large, for comparing images: (N,) in float64.

        Those of logits without preference differ in digits that float32 does not have beside the constant in them.
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
    """Let attacks believe their caller inside the block, so that none waits for the device before it begins.

    For loops that make images and labels themselves, from pixels that cannot leave [0, 1] and labels of the network's
    classes. Shapes, dtypes and budgets that are numbers are checked there too: they are known without waiting.
    """
    before = _TRUSTED.set(True)
    try:
        yield
    finally:
        _TRUSTED.reset(before)


def check_images(images: Tensor) -> None:
    """Refuse what is not (N, C, H, W) float images in [0, 1], and name the usual mistakes."""
    _check_form(images)
    if images.numel() > 0:
        _check_range(*_ends(images)[0])


def budgets(eps: Budget, images: Tensor, norm: Norm, *, option: str = "eps") -> Tensor:
    """A budget as an (N,) tensor, checked: 0 or above, finite, and for linf at most the whole range of a pixel.

    Waits for the device only where it is a tensor.
    """
    values = _spread(eps, images, norm, option=option)
    if not _is_number(eps) and values.numel() and not _TRUSTED.get():
        _check_budget(*_ends(values)[0], norm, option=option)
    return values


def _spread(eps: Budget, images: Tensor, norm: Norm, *, option: str) -> Tensor:
    """A budget as an (N,) tensor; the entries of one that is no number have not been looked at."""
    if _is_number(eps):
        _check_budget(eps, eps, norm, option=option)
        return images.new_full((len(images),), eps)
    values = as_tensor(eps, option).detach().to(images.device, images.dtype)
    if values.ndim > 0 and values.shape != (len(images),):
        raise ValueError(f"{option} must be a number or have one entry a sample; got {tuple(values.shape)}")
    return values.expand(len(images))


def _is_number(eps: Budget) -> TypeGuard[float]:
    """Whether a budget is known without waiting for a device."""
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
    """The smallest and the largest entry of each, NaN where there is one, in a single download."""
    ends = [end.to(images) for each in (images, *others) for end in each.detach().aminmax()]
    found = torch.stack(ends).tolist()
    return list(zip(found[::2], found[1::2], strict=True))


def _dtype(values: Tensor) -> str:
    return str(values.dtype).removeprefix("torch.")
