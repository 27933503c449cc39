"""The parts that networks of several GANs are built of."""
