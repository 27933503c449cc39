"""Networks that were exported for one batch size only."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from attacks.outputs import Reader


class FixedBatch(nn.Module):
    """Run a network of one fixed batch size on any batch: split the images, and pad the last part with black images.

    The logits of the parts are read as `attacks.outputs` says (`num_classes` helps it) and concatenated.
    """

    def __init__(self, network: nn.Module, batch_size: int, *, num_classes: int | None = None) -> None:
        super().__init__()
        self.network = network
        self.batch_size = batch_size
        self.reader = Reader(type(network).__name__, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """(N, C, H, W) images, for any N, to (N, classes) logits."""
        pieces = images.split(self.batch_size)
        return torch.cat([self._whole(piece)[: len(piece)] for piece in pieces])

    def _whole(self, piece: Tensor) -> Tensor:
        missing = self.batch_size - len(piece)
        filled = F.pad(piece, (0, 0, 0, 0, 0, 0, 0, missing)) if missing else piece
        return self.reader.logits(self.network(filled), self.batch_size, self._tried, filled)

    def _tried(self, images: Tensor) -> object:
        many = -(-self.batch_size // len(images))
        return self.network(images.repeat(many, 1, 1, 1)[: self.batch_size])
