"""Attacks with a fixed budget that climb the network's gradient."""
