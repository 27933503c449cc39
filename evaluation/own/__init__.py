"""Scores that only some GANs have: codes, classifiers inside, features that transfer."""
