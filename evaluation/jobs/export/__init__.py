"""`advgan export`."""
