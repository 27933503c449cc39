"""Classifier networks: our own, those of other libraries, and files of users."""
