"""The truncation trick (Brock et al., 2019): latents from a truncated normal, for fidelity at the cost of diversity."""

import torch
from torch import Tensor

from advgan.models.latents import LatentSpace


def truncate(noise: Tensor, threshold: float) -> Tensor:
    """Map standard normal values of any shape to the normal distribution truncated at ±threshold.

    The distribution is that of redrawing values until they lie inside, as other tools do, but the values are mapped by
    the inverse distribution function: sample k depends on its own noise alone and changes continuously with the
    threshold, and for large thresholds the values are unchanged.
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
