"""The import path under which users' scripts interpolate; the code is in `advgan.sampling`."""

from advgan.sampling.interpolation import interpolate

__all__ = ["interpolate"]
