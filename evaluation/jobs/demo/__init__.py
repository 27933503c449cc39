"""`advgan demo`."""
