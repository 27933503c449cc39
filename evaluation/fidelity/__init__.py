"""How near generated images are to real ones, as distances between distributions."""
