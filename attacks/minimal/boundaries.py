"""The linearised decision boundary of a network at a point, onto which DeepFool, SparseFool and FAB step."""

from dataclasses import dataclass

import torch
from torch import Tensor

from attacks.classifier import Classifier
from attacks.minimal.hyperplanes import distances, scaled_moves
from attacks.norms import Norm, finite
from attacks.objectives import margin
from attacks.samples import Samples


@dataclass(frozen=True)
class Boundary:
    """The hyperplane on which the first-order expansion of a difference of two logits at `points` is 0."""

    points: Tensor
    """(N, C, H, W) in [0, 1]."""
    normals: Tensor
    """(N, C, H, W): the gradient of the difference, its largest entry 1 (or all 0)."""
    values: Tensor
    """(N,): the difference at the points, in the scale of the normals."""
    logits: Tensor
    """(N, classes) at the points."""

    @classmethod
    def scaled(cls, points: Tensor, normals: Tensor, values: Tensor, logits: Tensor) -> "Boundary":
        """Divide gradient and value by the gradient's largest absolute entry, against under- and overflow."""
        normals = finite(normals)
        largest = torch.linalg.vector_norm(normals, torch.inf, dim=(1, 2, 3))
        scale = largest + (largest == 0)
        return cls(points, normals / scale[:, None, None, None], values / scale, logits)

    def move_from(self, start: Tensor, norm: Norm) -> Tensor:
        """The shortest move (N, C, H, W) from other points in [0, 1] onto the boundary."""
        return self.moves_from(start[None], norm)[0]

    def moves_from(self, starts: Tensor, norm: Norm) -> Tensor:
        """`move_from` of several starts a sample at once: (S, N, C, H, W) to (S, N, C, H, W)."""
        wide = self.normals.double() if starts.device.type != "mps" else self.normals
        shifts = (wide * (starts - self.points)).sum(dim=(2, 3, 4)).to(self.values)
        return scaled_moves(norm, starts, wide, self.values + shifts)


def nearest_boundary(classifier: Classifier, samples: Samples, points: Tensor, rivals: Tensor, norm: Norm) -> Boundary:
    """Linearise the boundary between each label and the nearest of its rivals (N, K), by linearised distance.

    Costs one forward pass, and a backward pass for each rival and the label.
    """
    classes = torch.cat([samples.labels[:, None], rivals], dim=1)
    found = classifier.jacobian(points, classes=classes, rows=samples.rows)
    chosen = found.logits.gather(1, classes)
    values = chosen[:, 1:] - chosen[:, :1]
    normals = finite(found.gradients[:, 1:] - found.gradients[:, :1])
    nearest = distances(norm, normals, values).argmin(dim=1)
    every = torch.arange(len(points), device=points.device)
    return Boundary.scaled(points, normals[every, nearest], values[every, nearest], found.logits)


def boundary_to(classifier: Classifier, samples: Samples, points: Tensor, pairs: Tensor) -> Boundary:
    """Linearise the boundary between each (rival, label) of `pairs` (N, 2): one forward and one backward pass."""

    def lead(logits: Tensor) -> Tensor:
        kept = pairs.clone() if pairs.is_inference() else pairs  # autograd refuses to keep one of inference mode
        rival, label = logits.gather(1, kept).unbind(dim=1)
        return rival - label

    found = classifier.gradient(points, lead, rows=samples.rows)
    return Boundary.scaled(points, found.gradient, found.values, found.logits)


def boundary_ahead(classifier: Classifier, samples: Samples, points: Tensor) -> Boundary:
    """Linearise the boundary between each label and the highest other class: one forward and one backward pass."""
    found = classifier.gradient(points, lambda logits: samples.objective(logits, loss=margin), rows=samples.rows)
    return Boundary.scaled(points, found.gradient, found.values, found.logits)
