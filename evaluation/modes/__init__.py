"""Mode coverage: which classes or modes a generator draws, how often, and how that changes during training."""
