"""Scores of generators and classifiers, each with its sample size and interval, and the reports made of them."""
