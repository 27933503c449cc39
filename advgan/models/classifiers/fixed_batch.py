"""Networks that were exported for one batch size only."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class FixedBatch(nn.Module):
    """Feed a network batches of the one size that it takes: cut the images up, and fill the last piece with black."""

    def __init__(self, network: nn.Module, batch_size: int) -> None:
        super().__init__()
        self.network = network
        self.batch_size = batch_size

    def forward(self, images: Tensor) -> Tensor:
        """(N, C, H, W) images, for any N, to (N, classes) logits."""
        pieces = images.split(self.batch_size)
        return torch.cat([self._whole(piece)[: len(piece)] for piece in pieces])

    def _whole(self, piece: Tensor) -> Tensor:
        missing = self.batch_size - len(piece)
        return self.network(F.pad(piece, (0, 0, 0, 0, 0, 0, 0, missing)) if missing else piece)
