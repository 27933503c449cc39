"""Scores of generators and classifiers, each with its sample size and interval, and the reports made of them."""

from evaluation.robustness import robustness
from evaluation.scores import Score, table

__all__ = ["Score", "robustness", "table"]
