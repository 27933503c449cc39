"""Generated images in the wrong range, though every value is a grey level: scaled twice, clipped, or signed by mistake.

A set of images outside [0, 1] is refused where it is read; these mistakes stay inside.
"""

from torch import Tensor

from evaluation.record.findings import Finding

NARROW = 0.6
"""Share of the real images' range below which the generated ones' is suspected."""
CLIPPED = 0.25
"""Share of values at one end, beyond that of the real images, from which clipping is suspected."""


def range_findings(real: Tensor, fake: Tensor) -> list[Finding]:
    """Hold the values of generated images (M, C, H, W) against those of real ones (N, C, H, W), both uint8."""
    return _narrow(real, fake) or _clipped(real, fake)


def _narrow(real: Tensor, fake: Tensor) -> list[Finding]:
    (real_low, real_high), (low, high) = _ends(real), _ends(fake)
    if real_high == real_low or high - low >= NARROW * (real_high - real_low):
        return []
    guess = "They look as if divided by 255 twice: " if high <= 1 else ""
    guess = guess or ("They look as if moved from [-1, 1] to [0, 1] twice: " if low >= 100 else "")
    return [
        Finding(
            "warning",
            "Generated images fill little of the range",
            f"Generated images run from level {low} to {high}, real ones from {real_low} to {real_high} of 255.",
            f"{guess}check what the generator returns, in [0, 1] or as bytes; else it draws flat images.",
            code="narrow-range",
        )
    ]


def _clipped(real: Tensor, fake: Tensor) -> list[Finding]:
    found = []
    for level, where, guess in (
        (0, "black", "signed images, in [-1, 1], were clipped instead of moved"),
        (255, "white", "levels in 0..255 were clipped at 1"),
    ):
        share, expected = (float((images == level).double().mean()) for images in (fake, real))
        if share > expected + CLIPPED:
            found.append(
                Finding(
                    "warning",
                    f"Generated images are clipped to {where}",
                    f"{share:.0%} of the generated values are {level}, {expected:.0%} of the real ones.",
                    f"Perhaps {guess}: use advgan.ranges.from_signed or to_unit before; else the generator saturates.",
                    code=f"clipped-{where}",
                )
            )
    return found


def _ends(images: Tensor) -> tuple[int, int]:
    """Lowest and highest level."""
    low, high = images.aminmax()
    return int(low), int(high)
