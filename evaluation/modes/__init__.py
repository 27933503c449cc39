"""Which classes or modes a generator draws, how often, and how that moves in training."""
