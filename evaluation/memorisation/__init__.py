"""Whether generated images are copies of the training images."""
