"""Labelled images: sources, splits, and batches of them."""

from advgan.data.batches import Batch, batches, batches_per_epoch, epoch
from advgan.data.imageset import Data, ImageSet
from advgan.data.load import KNOWN, load_data, load_extra

__all__ = ["KNOWN", "Batch", "Data", "ImageSet", "batches", "batches_per_epoch", "epoch", "load_data", "load_extra"]
