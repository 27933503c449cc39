"""What holds where a user says nothing."""

PROTOCOL = "torch-fidelity"
"""Whose rules Inception follows."""
NUM_REAL = 10_000
"""Real images that fakes are compared with, at most; more cost time and hardly narrow the intervals."""
