"""GAN networks, a family a file, and their table."""
