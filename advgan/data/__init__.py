"""Labelled images: sources, splits, and batches of them."""

from advgan.data.batches import Batch, batches, batches_per_epoch, epoch
from advgan.data.imageset import Data, ImageSet

__all__ = ["Batch", "Data", "ImageSet", "batches", "batches_per_epoch", "epoch"]
