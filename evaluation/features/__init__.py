"""Features: what a network sees in images, and the geometry of their space."""
