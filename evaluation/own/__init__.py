"""Scores that only some GANs have: InfoGAN's codes, semi-supervised classifiers, linear probes of features."""
