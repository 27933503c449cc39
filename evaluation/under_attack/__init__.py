"""The robustness of a classifier: attempts, searches, outcomes, and what speaks against them."""
