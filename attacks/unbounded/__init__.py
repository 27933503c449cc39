"""Threat models other than a ball around each image: patches, spatial transformations, universal perturbations."""
