"""What generated images are worth as training data."""
