"""The robustness of a classifier: attacks run on many images, their outcomes, and checks that they can be trusted."""
