"""The truncation trick (Brock et al., 2019): fewer unusual latents, hence truer images and less variety."""

import torch
from torch import Tensor

from advgan.models.latents import LatentSpace


def truncate(noise: Tensor, threshold: float) -> Tensor:
    """Turn standard normal values into values of the normal distribution cut off at ±threshold, any shape.

    The result has the law of redrawing each value until it is inside, but comes by inverting the distribution function,
    so nothing is drawn: sample k is a function of its own noise, its values keep their order, and as the threshold
    grows they become those that went in. So a sample changes steadily with the threshold.
    """
    assert threshold > 0
    values = noise.cpu().double() if noise.device.type == "mps" else noise.double()  # MPS has no float64
    inside = torch.erf(values / 2**0.5) * torch.erf(values.new_tensor(threshold / 2**0.5))
    return (torch.erfinv(inside) * 2**0.5).clamp(-threshold, threshold).to(noise.device, noise.dtype)


def truncate_latents(latents: Tensor, space: LatentSpace, threshold: float) -> Tensor:
    """Truncate the noise of latents (N, space.dim); codes stay.

    Raises ValueError where the threshold is not positive, or the noise is not normal and so has no tails.
    """
    if not threshold > 0:
        raise ValueError(f"truncation {threshold:g}: must be above 0 (BigGAN shows 0.5 to 2); leave it out for none")
    if space.kind != "normal":
        raise ValueError(
            f"truncation {threshold:g}: {space.kind} latents have no tails to cut; leave it out, "
            "or train with --set networks.latent_kind=normal"
        )
    codes, noise = latents[:, : space.num_codes], latents[:, space.num_codes :]
    return torch.cat([codes, truncate(noise, threshold)], dim=1)
