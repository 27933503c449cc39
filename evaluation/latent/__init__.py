"""A generator's latent space: smoothness, path length, condition, truncation."""
