"""`advgan augment`."""
