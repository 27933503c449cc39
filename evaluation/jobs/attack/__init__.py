"""`advgan attack`."""
