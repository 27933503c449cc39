"""`advgan sample`."""
