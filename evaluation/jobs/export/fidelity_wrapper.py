"""A generator for torch-fidelity's `fidelity` command: standard normal noise in, uint8 RGB images out."""

from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from advgan.models.interface import Generator
from advgan.models.latents import on_sphere
from advgan.ranges import from_signed, to_bytes
from advgan.sampling.classes import class_counts, class_edges


class FidelityGenerator(nn.Module):
    """Standard normal values (N, z_size) to uint8 images (N, 3, H, W).

    All that the generator is fed is made of normal values, by their distribution function where it is not normal: the
    label, in the shares of the training data, and a categorical code, each from a value of its own, uniform noise and
    continuous codes. torch-fidelity draws these itself in part, but its labels fail under numpy 1.24 and later (it asks
    for `np.int`), and its `unit` noise has no negative entry; so `normal` without classes is what works, for every
    generator. Grey images become colour ones, as the extractors want.

    Raises ValueError for images of other channels than 1 or 3.
    """

    edges: Tensor

    def __init__(self, generator: Generator, *, channels: int) -> None:
        super().__init__()
        if channels not in (1, 3):
            raise ValueError(
                f"format fidelity: torch-fidelity looks at grey or colour images, not at {channels} channels"
            )
        self.generator = cast(nn.Module, generator)
        self.space, self.num_classes = generator.space, generator.num_classes
        if self.num_classes:
            counts = class_counts(generator) or (1,) * self.num_classes
            self.register_buffer("edges", class_edges(counts), persistent=False)

    @property
    def z_size(self) -> int:
        """Number of normal values that an image is generated from."""
        space = self.space
        return (self.num_classes > 0) + (space.categorical > 0) + space.continuous + space.noise_dim

    def forward(self, z: Tensor) -> Tensor:
        labels = None
        if self.num_classes:
            labels, z = torch.searchsorted(self.edges, _uniform(z[:, 0]), right=True), z[:, 1:]
        signed: Tensor = self.generator(self._latents(z), labels)
        return to_bytes(from_signed(signed)).expand(-1, 3, -1, -1)

    def _latents(self, z: Tensor) -> Tensor:
        space, parts = self.space, []
        if space.categorical:
            parts.append(one_hot(_choice(z[:, 0], space.categorical), space.categorical).to(z.dtype))
            z = z[:, 1:]
        if space.continuous:
            parts.append(_uniform(z[:, : space.continuous]) * 2 - 1)
            z = z[:, space.continuous :]
        noise = {"normal": lambda: z, "uniform": lambda: _uniform(z) * 2 - 1, "sphere": lambda: on_sphere(z)}
        return torch.cat([*parts, noise[space.kind]()], dim=1)


def fidelity_command(file: Path, z_size: int) -> str:
    """What to type to score the file; DIR is a folder of real images."""
    model = f"--input1 {file.name} --input1-model-z-type normal --input1-model-z-size {z_size}"
    return (
        f"fidelity --fid --kid --isc {model} --input1-model-num-classes 0 --input1-model-num-samples 50000 --input2 DIR"
    )


def _uniform(values: Tensor) -> Tensor:
    """Standard normal values to uniform ones in [0, 1], by their distribution function."""
    return (1 + torch.erf(values / 2**0.5)) / 2


def _choice(values: Tensor, count: int) -> Tensor:
    """Standard normal values to whole numbers in [0, count), each as likely."""
    return (_uniform(values) * count).long().clamp(max=count - 1)
