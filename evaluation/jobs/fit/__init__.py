"""`advgan fit`."""
