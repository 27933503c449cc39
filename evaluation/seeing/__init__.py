"""One pass over images by all extractors, and what is kept of it."""
