"""Shared by classifier and GAN training: optimisers, schedules, averages of weights, augmentation of images."""
