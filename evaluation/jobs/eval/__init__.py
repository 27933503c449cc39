"""`advgan eval`."""
