"""The name that the cards of exported generators import; the room is `advgan.sampling`."""

from advgan.sampling.exported import load_exported

__all__ = ["load_exported"]
