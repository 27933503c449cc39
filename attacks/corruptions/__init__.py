"""The common corruptions of CIFAR-10-C: natural distortions, not chosen by an adversary."""
