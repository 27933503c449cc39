"""Adversarial attacks on image classifiers. The leaf of the project: it imports nothing else of ours."""
