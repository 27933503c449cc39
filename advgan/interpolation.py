"""The name under which users' scripts import interpolation; the room is `advgan.sampling`."""

from advgan.sampling.interpolation import interpolate

__all__ = ["interpolate"]
