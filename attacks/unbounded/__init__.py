"""Threat models other than a ball around each image: patches, movements, one change for all images."""
