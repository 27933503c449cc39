"""Monitoring of a GAN's training: periodic evaluations (looks), the Fréchet distance over training, and alarms."""
