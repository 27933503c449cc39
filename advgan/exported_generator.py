"""The import path printed on hub cards of exported generators; the code is in `advgan.sampling`."""

from advgan.sampling.exported import load_exported

__all__ = ["load_exported"]
