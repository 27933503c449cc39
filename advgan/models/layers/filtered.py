"""Doubling and halving of maps by the filter [1, 3, 3, 1], with zeros beyond the border (Karras et al., 2019)."""

import torch
from torch import Tensor, nn

WEIGHTS = (0.75, 0.25)
"""Weights of the nearer and the farther pixel in each pixel of an upsampled map."""


class FilteredDoubling(nn.Module):
    """Double maps of a known side, (N, C, side, side) to (N, C, 2 side, 2 side): bilinear with zero padding.

    One matrix product for each axis; the matrix is a constant and not part of the state dict.
    """

    matrix: Tensor

    def __init__(self, side: int) -> None:
        super().__init__()
        self.register_buffer("matrix", doubling_matrix(side), persistent=False)

    def forward(self, maps: Tensor) -> Tensor:
        return self.matrix @ maps @ self.matrix.T


class FilteredHalving(nn.Module):
    """Halve maps of a known side by the transposed weights of `FilteredDoubling`, over 4."""

    matrix: Tensor

    def __init__(self, side: int) -> None:
        super().__init__()
        self.register_buffer("matrix", doubling_matrix(side // 2).T.contiguous() / 2, persistent=False)

    def forward(self, maps: Tensor) -> Tensor:
        return self.matrix @ maps @ self.matrix.T


def doubling_matrix(side: int) -> Tensor:
    """(2 side, side): each pixel gives 3/4 to its two copies and 1/4 to the pixels beside them."""
    near, far = WEIGHTS
    matrix = torch.zeros(2 * side, side)
    for pixel in range(side):
        for place, weight in ((2 * pixel - 1, far), (2 * pixel, near), (2 * pixel + 1, near), (2 * pixel + 2, far)):
            if 0 <= place < 2 * side:
                matrix[place, pixel] = weight
    return matrix
