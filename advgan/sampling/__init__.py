"""Sample images from trained generators, interpolate in their latent spaces, and load stored generators."""

from advgan.sampling.drawing import decode, draw, sample
from advgan.sampling.exported import load_exported
from advgan.sampling.interpolation import interpolate
from advgan.sampling.stored import load_gan

__all__ = ["decode", "draw", "interpolate", "load_exported", "load_gan", "sample"]
