"""Minimal-norm attacks: white-box searches for the smallest perturbation that is misclassified."""
