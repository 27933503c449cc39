"""The common corruptions of CIFAR-10-C, which no adversary chose."""
