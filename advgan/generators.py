"""The import path under which users' scripts load stored GANs; the code is in `advgan.sampling`."""

from advgan.sampling.stored import load_gan

__all__ = ["load_gan"]
