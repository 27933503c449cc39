"""A picture of points: where they lie on a line or in the plane."""

import torch
from torch import Tensor

SIDE = 320  # pixels
_DOT = 3


def scatter(points: Tensor) -> Tensor:
    """Draw points (N, D, 1, 1) of the unit range as a uint8 picture (3, SIDE, SIDE), dark on white, y upwards.

    Points on a line become a histogram, of more coordinates the first two are drawn. Those outside lie on the edge.
    """
    sheet = torch.full((3, SIDE, SIDE), 255, dtype=torch.uint8)
    places = (points.detach().cpu().flatten(1).nan_to_num(0).clamp(0, 1) * (SIDE - _DOT)).round().long()
    if places.shape[1] == 1:
        counts = torch.bincount(places[:, 0] // 8, minlength=SIDE // 8)
        for number, height in enumerate((counts * (SIDE - 1) / counts.max()).long().tolist()):
            sheet[:, SIDE - height :, 8 * number : 8 * number + 7] = 60
        return sheet
    for x, y in places[:, :2].tolist():
        sheet[:, SIDE - _DOT - y : SIDE - y, x : x + _DOT] = 60
    return sheet
