"""Distances between the distributions of real and generated features: FID, KID, CMMD, MIND and their companions."""
