"""Default protocol and numbers of the evaluation of generators."""

PROTOCOL = "torch-fidelity"
"""The default protocol of Inception, a name of `protocols.PROTOCOLS`."""
NUM_REAL = 10_000
"""Real images that fakes are compared with, at most; more cost time and hardly narrow the intervals."""
