"""A GAN while it trains: looks, the distance that is followed, alarms."""
