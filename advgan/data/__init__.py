"""Images, with classes or without: sources, splits, and batches of them."""

from advgan.data.batches import Batch, batches, batches_per_epoch, epoch
from advgan.data.imageset import Data, ImageSet
from advgan.data.load import KNOWN, load_data, load_extra, load_images
from advgan.data.uses import ANY_IMAGES, IMAGES, Use

__all__ = [
    "ANY_IMAGES",
    "IMAGES",
    "KNOWN",
    "Batch",
    "Data",
    "ImageSet",
    "Use",
    "batches",
    "batches_per_epoch",
    "epoch",
    "load_data",
    "load_extra",
    "load_images",
]
