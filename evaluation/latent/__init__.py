"""Scores of a generator's latent space: path length, smoothness, conditioning of the Jacobian, truncation."""
