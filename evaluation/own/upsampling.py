"""The control of a LAPGAN: real coarse images enlarged by bicubic interpolation instead of its networks."""

from torch import Tensor
from torch.nn.functional import interpolate

from advgan.models.layers.pyramid import pyramid_sides, shrink


def bicubic_control(images: Tensor) -> Tensor:
    """Images (N, C, H, H) in [0, 1] shrunk to the coarsest side of their pyramid and enlarged again, in [0, 1].

    Bicubic interpolation with a = -1/2 (Keys, 1981) is exact on ramps; its overshoot at edges is cut. The control is
    given what the generator has to draw: the coarse content of every image is true.
    """
    coarse, side = images, images.shape[-1]
    for _ in pyramid_sides(side)[1:]:
        coarse = shrink(coarse)
    # Without antialias torch takes a = -3/4, which bends ramps; enlarging, that is all that it changes.
    return interpolate(coarse, size=(side, side), mode="bicubic", align_corners=False, antialias=True).clamp(0, 1)
