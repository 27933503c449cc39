"""`advgan train`."""
