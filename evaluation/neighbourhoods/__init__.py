"""Precision, recall, density and coverage, by nearest neighbours in feature space."""
