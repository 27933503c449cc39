"""The embedded data: 1,797 real handwritten digits of 8x8 pixels of scikit-learn (Alpaydin and Kaynak, 1998)."""

import numpy as np

from advgan.data.reading.collection import UNSPLIT, Collection


def read_digits() -> Collection:
    """Read the digits, with their 17 grey levels scaled to 0..255; 25 % are for testing, 15 % for validation."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = np.round(digits.images * (255 / 16)).astype(np.uint8)[:, None]
    return Collection(
        name="digits",
        images=images,
        labels=digits.target.astype(np.int64),
        origin=np.full(len(images), UNSPLIT, np.uint8),
        classes=tuple(str(digit) for digit in range(10)),
        shares=(0.15, 0.25),
    )
