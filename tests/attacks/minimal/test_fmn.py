"""FMN: what more steps find. Its closed forms are in test_nearest.py."""

import pytest
import torch

from attacks import NORMS
from attacks.minimal.fmn import fmn


@pytest.mark.parametrize("norm", ["linf", "l2", "l1", "l0"])
def test_more_steps_find_smaller_changes(norm, convolutional, draw) -> None:
    images = draw(16, (3, 8, 8))
    labels = convolutional.logits(images).argmax(dim=1)
    sizes = [
        NORMS[norm].size(fmn(convolutional, images, labels, norm=norm, steps=steps, search_steps=0) - images).mean()
        for steps in (8, 80)
    ]
    assert sizes[1] < sizes[0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0}, "steps must be 1 or more and search_steps 0 or more; got 0 and 8"),
        ({"gamma": 0.0}, "gamma must be between 0 and 1; got 0.0"),
        ({"step_size": -1.0}, "step_size must be above 0; got -1.0"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, message, rowwise, draw) -> None:
    with pytest.raises(ValueError, match=message):
        fmn(rowwise, draw(2), torch.zeros(2, dtype=torch.int64), **options)
