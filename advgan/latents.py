"""Latent codes of a generator as a pure function of (seed, index)."""

from torch import Tensor

from attacks.random import normal, uniform


def latents(seed: int, indices: Tensor, *, dim: int, kind: str = "normal", stream: int = 0) -> Tensor:
    """Draw one code per index: (N,) to (N, dim), on the device of `indices`.

    `kind` is "normal", N(0, 1), or "uniform", U(-1, 1). `stream` separates purposes, such as training from sampling.
    """
    if kind == "normal":
        return normal(seed, indices, (dim,), stream=stream)
    if kind == "uniform":
        return uniform(seed, indices, (dim,), stream=stream) * 2 - 1
    raise ValueError(f"latent_kind is {kind!r}: choose normal or uniform")
