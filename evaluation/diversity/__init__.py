"""Diversity of generated images: bins, support size, Vendi score, MS-SSIM, distances within classes."""
