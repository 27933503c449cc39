"""Classifiers: training (standard and adversarial), mixing of extra images, loading and storing."""
