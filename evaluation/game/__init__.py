"""Diagnostics of a trained GAN's game: its discriminator, its gradients, its distance from equilibrium."""
