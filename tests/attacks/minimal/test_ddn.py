"""DDN: what its halvings take off, and what it does where the gradient is nothing."""

import pytest
import torch
from torch import Tensor, nn

from attacks import L2, Classifier
from attacks.minimal.ddn import ddn


def test_halvings_take_off_what_gamma_left_too_much(convolutional, draw) -> None:
    images = draw(8, (3, 8, 8))
    labels = convolutional.logits(images).argmax(dim=1)
    rough, exact = (ddn(convolutional, images, labels, steps=30, gamma=0.3, search_steps=n) for n in (0, 8))
    assert (L2.size(exact - images) <= L2.size(rough - images)).all()
    assert L2.size(exact - images).mean() < 0.99 * L2.size(rough - images).mean()


class Plateau(nn.Module):
    """Flat, with a gradient of zero, for the dark half of the images, and as a linear function for the other."""

    def forward(self, images: Tensor) -> Tensor:
        value = images.mean(dim=(1, 2, 3))
        return torch.stack([torch.zeros_like(value), torch.where(value < 0.5, 0 * value - 0.2, value - 0.7)], dim=1)


def test_a_gradient_of_zero_moves_nothing_and_spoils_nobody_else() -> None:
    images = torch.stack([torch.full((1, 4, 4), 0.3), torch.full((1, 4, 4), 0.6)])
    adversarial = ddn(Classifier(Plateau()), images, torch.tensor([0, 0]))
    assert torch.equal(adversarial[0], images[0])
    assert adversarial[1].mean().item() == pytest.approx(0.7, abs=1e-3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0}, "steps must be 1 or more and search_steps 0 or more; got 0 and 8"),
        ({"gamma": 1.0}, "gamma must be between 0 and 1; got 1.0"),
        ({"start_size": 0.0}, "start_size must be above 0; got 0.0"),
        ({"norm": "linf"}, "ddn has no linf form: its norm is l2"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, message, rowwise, draw) -> None:
    with pytest.raises(ValueError, match=message):
        ddn(rowwise, draw(2), torch.zeros(2, dtype=torch.int64), **options)
