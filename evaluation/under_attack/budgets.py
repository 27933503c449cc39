"""Default budgets (eps) of attacks by norm and number of channels."""

CONVENTIONAL_EPS = {
    ("linf", 1): 0.3,
    ("linf", 3): 8 / 255,
    ("l2", 1): 2.0,
    ("l2", 3): 0.5,
    ("l1", 1): 10.0,
    ("l1", 3): 12.0,
    ("l0", 1): 10.0,
    ("l0", 3): 24.0,
}
"""The budgets that the field quotes: MNIST for grey images, CIFAR-10 for colour."""
