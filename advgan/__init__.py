"""Data, networks, GAN and classifier training, checkpoints and run folders."""
