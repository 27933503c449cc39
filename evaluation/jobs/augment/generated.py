"""Generated images of an augmented set: a quota for each class, of images that the classifier confirms."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from advgan.sampling.drawing import sample
from advgan.sampling.stored import TrainedGan
from evaluation.record.findings import Finding

DRAWS = 20
"""Draws of a class, in multiples of its quota, after which it stays incomplete."""
Judge = Callable[[Tensor], Tensor]
"""Images (N, C, H, W) to logits (N, K)."""


class Kept(NamedTuple):
    """Images that the classifier confirms, in the order of their classes, with their classes and sample indices."""

    images: Tensor
    labels: Tensor
    indices: Tensor
    drawn: int


def quotas(counts: Sequence[int], total: int) -> list[int]:
    """Share out a total in proportion to counts, by the largest remainders."""
    exact = [total * count / sum(counts) for count in counts]
    found = [int(share) for share in exact]
    for kind in sorted(range(len(counts)), key=lambda kind: found[kind] - exact[kind])[: total - sum(found)]:
        found[kind] += 1
    return found


def confirmed(
    gan: TrainedGan, judge: Judge, wanted: Sequence[int], *, min_confidence: float, seed: int, batch_size: int
) -> Kept:
    """Draw until each class has as many images as are `wanted`, or 20 times as many were drawn.

    An image is kept where the judge gives its label a probability of at least `min_confidence`. The label is the class
    that a conditional generator was given, in numbers as are still missing, else the judge's prediction.
    Raises ValueError where no image at all is kept.
    """
    missing, left = torch.tensor(wanted), DRAWS * torch.tensor(wanted)
    conditional, drawn, parts = gan.generator.num_classes > 0, 0, []
    while int((todo := missing.minimum(left)).sum()):
        asked = torch.arange(len(todo)).repeat_interleave(todo) if conditional else None
        indices = torch.arange(drawn, drawn + int(sum(wanted) if asked is None else len(asked)))
        images = sample(gan.generator, indices, seed=seed, labels=asked, batch_size=batch_size, device="cpu")
        probabilities = judge(images).softmax(dim=1)
        labels = probabilities.argmax(dim=1) if asked is None else asked
        sure = probabilities.gather(1, labels[:, None]).squeeze(1) >= min_confidence
        rows = _first(labels, sure, missing)
        parts.append((images[rows], labels[rows], indices[rows]))
        missing = missing - labels[rows].bincount(minlength=len(missing))
        left = left - (todo if asked is not None else torch.tensor(wanted))
        drawn += len(indices)
    images, labels, indices = (torch.cat(column) for column in zip(*parts, strict=True))
    if len(labels) == 0:
        raise ValueError(
            f"--min-confidence {min_confidence:g}: none of {drawn:,} generated images reaches it; lower it, or "
            "train the generator further"
        )
    order = labels.argsort(stable=True)
    return Kept(images[order], labels[order], indices[order], drawn)


def shortfall_findings(
    kept: Sequence[int], wanted: Sequence[int], classes: Sequence[str], *, min_confidence: float
) -> list[Finding]:
    """Name the classes whose quota was not filled, with the number of images of each."""
    short = [number for number in range(len(wanted)) if kept[number] < wanted[number]]
    if not short:
        return []
    told = ", ".join(f"{classes[number]} {kept[number]:,} of {wanted[number]:,}" for number in short[:10])
    more = f" and {len(short) - 10} more" if len(short) > 10 else ""
    return [
        Finding(
            "warning",
            "Fewer generated images than asked for",
            f"{sum(kept):,} of {sum(wanted):,}: {told}{more} reach confidence {min_confidence:g}, though {DRAWS} times "
            "as many were drawn.",
            "Train the generator further, or lower --min-confidence; trained on as it is, the set under-represents "
            "these classes.",
            code="generated-quota",
        )
    ]


def _first(labels: Tensor, sure: Tensor, missing: Tensor) -> Tensor:
    """Rows that are sure, of each class the first so many as are missing."""
    rows = [(sure & (labels == kind)).nonzero().flatten()[: int(missing[kind])] for kind in labels.unique().tolist()]
    return torch.cat(rows).sort().values
