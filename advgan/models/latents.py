"""Latent codes of a generator as a pure function of (seed, index)."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from advgan.config import GanNetworks
from attacks.random import integers, normal, uniform

_STREAMS = 1 << 16
"""Offset between the streams of the noise and of the codes; a purpose's stream must be below it."""


def latents(seed: int, indices: Tensor, *, dim: int, kind: str = "normal", stream: int = 0) -> Tensor:
    """Draw one noise vector per index: (N,) to (N, dim), on the device of `indices`.

    `kind` is "normal", N(0, 1), "uniform", U(-1, 1), or "sphere", uniform on the sphere of radius sqrt(dim), where
    normal vectors of many dimensions lie anyway (White, 2016). `stream` separates purposes, such as training from
    sampling.
    """
    if kind == "normal":
        return normal(seed, indices, (dim,), stream=stream)
    if kind == "uniform":
        return uniform(seed, indices, (dim,), stream=stream) * 2 - 1
    if kind == "sphere":
        return on_sphere(normal(seed, indices, (dim,), stream=stream))
    raise ValueError(f"latent_kind is {kind!r}: choose normal, uniform or sphere")


def on_sphere(noise: Tensor) -> Tensor:
    """Scale each row of (N, dim) to the length sqrt(dim)."""
    return noise / noise.norm(dim=1, keepdim=True) * noise.shape[1] ** 0.5


@dataclass(frozen=True)
class LatentSpace:
    """The input of a generator: a one-hot categorical code, continuous codes in [-1, 1], then noise, in this order."""

    noise_dim: int
    kind: str = "normal"
    categorical: int = 0
    """Values of the categorical code; 0: no such code."""
    continuous: int = 0
    """Number of continuous codes."""

    @classmethod
    def of(cls, networks: GanNetworks) -> "LatentSpace":
        """The space that a configuration describes."""
        return cls(networks.latent_dim, networks.latent_kind, networks.categorical, networks.continuous)

    @property
    def num_codes(self) -> int:
        """Columns before the noise."""
        return self.categorical + self.continuous

    @property
    def dim(self) -> int:
        """All columns."""
        return self.num_codes + self.noise_dim

    def draw(self, seed: int, indices: Tensor, *, stream: int = 0) -> Tensor:
        """Draw one row per index: (N,) to (N, dim), on the device of `indices`."""
        noise = latents(seed, indices, dim=self.noise_dim, kind=self.kind, stream=stream)
        codes = []
        if self.categorical:
            values = integers(seed, indices, self.categorical, stream=stream + _STREAMS)
            codes.append(one_hot(values, self.categorical).to(noise.dtype))
        if self.continuous:
            codes.append(uniform(seed, indices, (self.continuous,), stream=stream + 2 * _STREAMS) * 2 - 1)
        return torch.cat([*codes, noise], dim=1) if codes else noise
