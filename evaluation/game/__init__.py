"""The game of a trained GAN: its discriminator, its gradients, its distance from equilibrium."""
