"""Raw pixels as features: the extractor without a network."""

import torch
from torch import Tensor

from evaluation.features.features import Extractor, single_class


def pixels_extractor(*, device: torch.device | str = "cpu") -> Extractor:
    """See the flattened levels of an image, in [0, 1]: (N, C H W), without classes.

    Distances between such features see brightness, blur and noise, and say nothing of content; for small images they
    are the baseline that any network has to beat.
    """

    def look(images: Tensor) -> tuple[Tensor, Tensor]:
        levels = images.to(device).float().flatten(1)
        return levels, single_class(levels)

    return Extractor("pixels", "levels", look, "8-bit levels in [0, 1], flattened")
