"""The condition number of a generator's Jacobian: how unevenly latent directions change the image."""

import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor
from torch.autograd import forward_ad

from advgan.models.interface import Generator
from advgan.sampling.drawing import home_of
from evaluation.features.features import as_double


class Conditions(NamedTuple):
    """Log condition numbers of the Jacobian at N latents."""

    logs: Tensor
    """(N,) float64, as `log_condition`."""
    singular: Tensor
    """(N,) bool: whether it is at the limit of float32; the true value is larger, and may be infinite."""


def conditions(
    generator: Generator, latents: Tensor, labels: Tensor | None = None, *, batch_size: int = 256
) -> Conditions:
    """Measure the condition of a generator at latents (N, space.dim).

    Noise on the sphere has no direction of length, and a generator that normalises its latents ignores that one by
    design; it does not count then.
    """
    codes, found = generator.space.num_codes, []
    for point, jacobian in zip(latents, jacobians(generator, latents, labels, batch_size=batch_size), strict=True):
        matrix, radius = as_double(jacobian), as_double(point[codes:])
        length = torch.cat([radius.new_zeros(jacobian.shape[1] - len(radius)), radius / radius.norm()]).to(matrix)
        ignored = float((matrix @ length).norm()) <= _relative_rounding(matrix) * float(matrix.norm())
        if len(radius) > 1 and (generator.space.kind == "sphere" or (ignored and bool(matrix.any()))):
            matrix = without_direction(matrix, length)
        found.append((log_condition(matrix), resolution(matrix)))
    logs, limits = torch.tensor(found, dtype=torch.float64).reshape(-1, 2).unbind(dim=1)
    return Conditions(logs, logs >= limits)


def jacobians(
    generator: Generator, latents: Tensor, labels: Tensor | None = None, *, batch_size: int = 256
) -> Iterator[Tensor]:
    """Differentiate the signed image by its latents, one of the rows (N, space.dim) at a time: (pixels, columns).

    The columns are continuous codes and noise; a categorical code has no derivative. In forward mode, where a column
    costs about two passes of one image: its own row of a batch, which in eval mode no other row has a part in. The
    generator is left in the mode that it was in.
    """
    home, training = home_of(generator), generator.training
    directions = torch.eye(generator.space.dim, device=home)[generator.space.categorical :]
    generator.eval()
    try:
        for number in range(len(latents)):
            point, label = latents[number].to(home), None if labels is None else labels[number].to(home)
            parts = [_columns(generator, point, label, some) for some in directions.split(batch_size)]
            yield torch.cat(parts).T
    finally:
        generator.train(training)


def log_condition(jacobian: Tensor) -> float:
    """Natural logarithm of the largest over the smallest eigenvalue of J^T J (Odena et al., 2018), J being (P, L).

    The smallest is that of the min(P, L) directions that can differ at all. Never above `resolution(P, L)`, which a
    generator reaches that ignores a latent, or all of them.
    """
    values = torch.linalg.svdvals(as_double(jacobian))
    largest, smallest = float(values[0]), float(values[-1])
    if smallest == 0:
        return resolution(jacobian)
    return min(2 * math.log(largest / smallest), resolution(jacobian))


def resolution(jacobian: Tensor) -> float:
    """The largest log condition that can be told from infinity: that of the usual bound on a matrix's float32 rank."""
    return -2 * math.log(_relative_rounding(jacobian))


def without_direction(jacobian: Tensor, direction: Tensor) -> Tensor:
    """Restrict J (P, L) to what is at right angles to a unit vector (L,): (P, L - 1), in some basis of it."""
    axes = torch.eye(len(direction), dtype=direction.dtype, device=direction.device)
    basis = torch.linalg.qr(torch.cat([direction[:, None], axes], dim=1)).Q
    return jacobian @ basis[:, 1:]


def _relative_rounding(jacobian: Tensor) -> float:
    return float(torch.finfo(torch.float32).eps) * max(jacobian.shape)


@torch.no_grad()
def _columns(generator: Generator, point: Tensor, label: Tensor | None, directions: Tensor) -> Tensor:
    """Derivatives of one image along K directions: (K, dim) to (K, pixels)."""
    points = point.expand(len(directions), -1).clone()
    given = None if label is None else label.expand(len(directions))
    with _quiet(), forward_ad.dual_level():
        signed = generator(forward_ad.make_dual(points, directions), given)
        moved = forward_ad.unpack_dual(signed).tangent
    return torch.zeros_like(signed).flatten(1) if moved is None else moved.flatten(1)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the warning of torch 2.14, whose own forward mode still loads its rules by a deprecated call."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`torch.jit.script`", FutureWarning)
        yield
