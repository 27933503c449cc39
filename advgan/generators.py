"""The name under which users' scripts import stored GANs; the room is `advgan.sampling`."""

from advgan.sampling.stored import load_gan

__all__ = ["load_gan"]
