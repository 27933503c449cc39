"""A Gaussian mixture as a generator: normal latents in, images out, exactly its distribution."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from advgan.models.latents import LatentSpace


class Mixture(NamedTuple):
    """The parameters, all float32: K Gaussians of L coordinates, which are directions in the space of images."""

    weights: Tensor
    """(K,), sum 1."""
    means: Tensor
    """(K, L)."""
    factors: Tensor
    """(K, L, L): lower triangular, factor times its transpose is the covariance."""
    centre: Tensor
    """(C, H, W) signed: the image at coordinate 0."""
    basis: Tensor
    """(L, C, H, W): the image of each coordinate."""

    def check(self, *, channels: int, size: int) -> None:
        """Raise ValueError where the shapes are not those of one mixture of such images, or a number is not finite."""
        components, coordinates = self.means.shape
        with torch.device("meta"):  # what a file asks for is not made before it is known to be there
            shapes = [tensor.shape for tensor in Mixture.empty(components, coordinates, channels=channels, size=size)]
        if [tensor.shape for tensor in self] != shapes or not all(bool(part.isfinite().all()) for part in self):
            raise ValueError("no mixture of images of this form")

    @classmethod
    def empty(cls, components: int, coordinates: int, *, channels: int, size: int) -> "Mixture":
        """Zeros of the right shapes, to load a checkpoint into."""
        shapes = (
            (components,),
            (components, coordinates),
            (components, coordinates, coordinates),
            (channels, size, size),
            (coordinates, channels, size, size),
        )
        return cls(*(torch.zeros(shape) for shape in shapes))


class MixtureGenerator(nn.Module):
    """Latents (N, 1 + L) to signed images: the first column chooses a Gaussian, the others a place in it.

    The first passes through the normal distribution function, and the Gaussian whose part of [0, 1] it hits is taken;
    so an image is a function of its latents alone. Images are clipped to [-1, 1]; points, of size 1, are not.
    """

    num_classes = 0

    def __init__(self, mixture: Mixture) -> None:
        super().__init__()
        self.space = LatentSpace(1 + mixture.means.shape[1])
        # Not buffers: the first parameter tells where a generator is.
        for name, value in mixture._asdict().items():
            self.register_parameter(name, nn.Parameter(value, requires_grad=False))

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        share = torch.special.ndtr(latents[:, 0].double())
        ends = self.get_parameter("weights").double().cumsum(0)
        chosen = torch.searchsorted(ends, share * ends[-1]).clamp(max=len(ends) - 1)
        places = self.get_parameter("means")[chosen] + torch.einsum(
            "nij,nj->ni", self.get_parameter("factors")[chosen], latents[:, 1:]
        )
        images = self.get_parameter("centre") + torch.tensordot(places, self.get_parameter("basis"), 1)
        return images if images.shape[-1] == 1 else images.clamp(-1, 1)
