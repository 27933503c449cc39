"""Layers that several GAN families share."""
