"""Where pixels go under a warp, and what the search over rotations and translations finds."""

import math

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import Tensor, nn

from attacks import Classifier, fooled
from attacks.unbounded.spatial import spatial
from attacks.warp import warp


def test_whole_pixels_move_without_interpolation(draw) -> None:
    images = draw(3, (3, 6, 9))
    moved = warp(images, down=2, right=torch.tensor([1.0, 0.0, -3.0]))
    torch.testing.assert_close(moved[0, :, 2:, 1:], images[0, :, :-2, :-1])
    torch.testing.assert_close(moved[2, :, 2:, :-3], images[2, :, :-2, 3:])
    torch.testing.assert_close(moved[:, :, :2], torch.zeros_like(moved[:, :, :2]))


@pytest.mark.parametrize("shape", [(1, 7, 7), (3, 8, 8)])
def test_a_quarter_turn_is_exact_and_counter_clockwise(shape, draw) -> None:
    images = draw(2, shape)
    torch.testing.assert_close(warp(images, degrees=90.0), images.rot90(1, dims=(2, 3)))


def test_a_rotation_agrees_with_scipy_also_where_images_are_not_square(draw) -> None:
    images = ndimage.gaussian_filter(draw(1, (1, 20, 30))[0, 0].numpy(), 2)
    expected = ndimage.rotate(images, 25, reshape=False, order=1)
    found = warp(torch.from_numpy(images)[None, None], degrees=25.0)[0, 0].numpy()
    np.testing.assert_allclose(found[4:-4, 4:-4], expected[4:-4, 4:-4], atol=1e-9)


def test_a_warp_has_gradients_in_all_its_amounts(draw) -> None:
    images = draw(2, (1, 5, 5)).requires_grad_()
    amounts = [torch.tensor(pair, dtype=torch.float64, requires_grad=True) for pair in ([11, -7], [0.3, 0.4], [1.1, 1])]
    assert torch.autograd.gradcheck(
        lambda images, degrees, down, zoom: warp(images, degrees=degrees, down=down, right=0.2, zoom=zoom),
        (images, *amounts),
    )


class Upright(nn.Module):
    """Two classes: whether the bright part of the picture lies within so many pixels of the middle row."""

    def __init__(self, most: float) -> None:
        super().__init__()
        self.most = most

    def forward(self, images: Tensor) -> Tensor:
        rows = torch.arange(images.shape[2], dtype=images.dtype) - (images.shape[2] - 1) / 2
        mass = images.sum(dim=(1, 3))
        centre = (mass * rows).sum(dim=1) / mass.sum(dim=1).clamp(min=1e-9)
        return torch.stack([torch.full_like(centre, self.most), centre.abs()], dim=1)


@pytest.fixture
def dot() -> Tensor:
    images = torch.zeros(1, 1, 21, 21, dtype=torch.float64)
    images[0, 0, 10, 10] = 1
    return images


@pytest.mark.parametrize("tries", [0, 60])
def test_it_fools_exactly_when_the_reach_is_wide_enough(tries, dot) -> None:
    """The grid reaches its ends; random tries come close to them."""
    for reach, wins in ((1.9, False), (2.3, True)):
        classifier = Classifier(Upright(2.0))
        options = {"max_rotation": 0.0, "max_translation": reach / 21, "rotations": 1, "tries": tries}
        adversarial = spatial(classifier, dot, torch.tensor([0]), **options)
        assert fooled(classifier.logits(adversarial), torch.tensor([0])).item() is wins
        assert not torch.equal(adversarial, dot)  # the best try, where nothing fools


def test_a_sample_that_holds_out_costs_the_whole_grid_and_one_that_falls_leaves(dot) -> None:
    classifier = Classifier(Upright(math.inf))
    spatial(classifier, dot, torch.tensor([0]), rotations=3, translations=3)
    assert classifier.passes.forwards == 27
    classifier = Classifier(Upright(1.0))
    spatial(classifier, dot, torch.tensor([0]))
    assert classifier.passes.forwards == 2  # the image, then the largest shift
    classifier = Classifier(Upright(math.inf))
    spatial(classifier, dot, torch.tensor([0]), tries=9)
    assert classifier.passes.forwards == 10
    spatial(classifier, dot, torch.tensor([0]), rotations=1, translations=1)
    assert classifier.passes.forwards == 11


def test_targets_are_reached(dot) -> None:
    classifier = Classifier(Upright(1.0))
    adversarial = spatial(classifier, dot, torch.tensor([1]), targeted=True)
    assert classifier.logits(adversarial).argmax(1).item() == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_rotation": -1.0}, "max_rotation must be degrees from 0 to 180; got -1"),
        ({"max_translation": 3.0}, "max_translation must be a share of the side, .* got 3.0"),
        ({"rotations": 0}, "rotations and translations must be 1 or more; got rotations=0, translations=5"),
        ({"tries": -1}, r"tries must be 0 \(the grid\) or above; got -1"),
        ({"padding": "mirror"}, "unknown padding 'mirror': choose from zeros, border, reflection"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, message, dot) -> None:
    with pytest.raises(ValueError, match=message):
        spatial(Classifier(Upright(1.0)), dot, torch.tensor([0]), **options)
