"""Features of images by a network, and tools for their space: neighbours, moments, cells."""
