"""Intervals, and estimators that need no network."""
