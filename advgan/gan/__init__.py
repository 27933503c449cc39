"""GAN training: the loop, its passes, its losses and its state."""
