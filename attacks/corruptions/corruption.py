"""The fifteen common corruptions of CIFAR-10-C at its five severities, computed on the fly.

The constants are those of CIFAR-10-C (Hendrycks & Dietterich, 2019), milder than those of ImageNet-C. Lengths in pixels
are scaled by the image's side over 32 (defocus never below 1). Grey images are corrupted as colour images with three
equal channels would be.

Differences from the files of CIFAR-10-C, beside the random numbers: images are not rounded to 8 bits at the end, except
by JPEG; frost is computed (see `attacks.corruptions.weather`); the elastic transform resamples once instead of twice.
"""

from collections.abc import Callable

from torch import Tensor

from attacks.classifier import Classifier
from attacks.corruptions.blur import defocus_blur, glass_blur, motion_blurred, zoom_blur
from attacks.corruptions.digital import contrast, elastic_transform, jpeg_compression, pixelate
from attacks.corruptions.noise import gaussian_noise, impulse_noise, shot_noise
from attacks.corruptions.weather import brightness, fog, frost, snow
from attacks.norms import LINF
from attacks.samples import Samples

Corrupt = Callable[[Tensor, int, int, Tensor], Tensor]
"""(images, severity from 1 to 5, seed, indices) to images, which may leave [0, 1]."""

CORRUPTIONS: dict[str, Corrupt] = {
    "gaussian_noise": gaussian_noise,
    "shot_noise": shot_noise,
    "impulse_noise": impulse_noise,
    "defocus_blur": defocus_blur,
    "glass_blur": glass_blur,
    "motion_blur": motion_blurred,
    "zoom_blur": zoom_blur,
    "snow": snow,
    "frost": frost,
    "fog": fog,
    "brightness": brightness,
    "contrast": contrast,
    "elastic_transform": elastic_transform,
    "pixelate": pixelate,
    "jpeg_compression": jpeg_compression,
}
"""The corruptions by name, in the order of the paper."""

SEVERITIES = (1, 2, 3, 4, 5)
SMALLEST = 8  # pixels


def corruption(
    classifier: Classifier,
    images: Tensor,
    labels: Tensor,
    *,
    kind: str,
    severity: int = 3,
    seed: int = 0,
    indices: Tensor | None = None,
) -> Tensor:
    """Corrupt images as CIFAR-10-C does (Hendrycks & Dietterich, 2019): `kind` is a name of CORRUPTIONS.

    Images have 1 or 3 channels and at least 8 pixels a side. The corruption of sample k depends on (seed, k) and its
    image alone: labels and classifier, which is never called, have no effect.
    """
    if kind not in CORRUPTIONS:
        raise ValueError(f"unknown corruption {kind!r}: choose from {', '.join(CORRUPTIONS)}")
    if severity not in SEVERITIES:
        raise ValueError(f"severity must be a whole number from 1 to 5; got {severity}")
    samples = Samples.of(images, labels, eps=None, norm=LINF, targeted=False, indices=indices)
    images = samples.images
    if images.shape[1] not in (1, 3) or min(images.shape[-2:]) < SMALLEST:
        raise ValueError(
            f"corruptions need 1 or 3 channels and at least {SMALLEST} pixels a side; got {tuple(images.shape[1:])}"
        )
    if len(samples) == 0:
        return samples.images.clone()
    return CORRUPTIONS[kind](samples.images, severity, seed, samples.indices).clamp(0, 1)
