"""Attacks that see scores or decisions alone."""
