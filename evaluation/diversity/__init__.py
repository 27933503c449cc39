"""How varied generated images are."""
