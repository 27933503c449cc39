"""Classifiers: how they are trained, with what, where they come from, and how they rest on disk."""
