"""What a patch covers, where it lies, and that it fools where nobody tuned it to."""

import pytest
import torch
from torch import Tensor, nn

from attacks import Classifier, fooled
from attacks.unbounded.patch import patch, trained_patch


@pytest.fixture
def labelled(convolutional, draw) -> tuple[Tensor, Tensor]:
    """40 images (3, 8, 8) and the classes that the network gives them."""
    images = draw(40, (3, 8, 8))
    labels = convolutional.logits(images).argmax(dim=1)
    convolutional.passes.forwards = 0
    return images, labels


def covered(adversarial: Tensor, images: Tensor) -> list[tuple[int, int, int, int]]:
    """Top, left, height and width of what changed in each image."""
    boxes = []
    for changed in (adversarial != images).any(dim=1):
        rows, columns = changed.any(dim=1).nonzero().flatten(), changed.any(dim=0).nonzero().flatten()
        top, left = int(rows[0]), int(columns[0])
        boxes.append((top, left, int(rows[-1]) - top + 1, int(columns[-1]) - left + 1))
    return boxes


@pytest.mark.parametrize("shared", [False, True])
def test_a_patch_covers_a_square_of_its_area_anywhere(shared, convolutional, draw) -> None:
    images = 0.2 + 0.6 * draw(300, (3, 8, 8))
    adversarial = patch(convolutional, images, torch.arange(300) % 4, area=0.15, shared=shared, steps=2, step_size=0.03)
    boxes = covered(adversarial, images)
    assert {(height, width) for _, _, height, width in boxes} == {(3, 3)}
    assert {top for top, *_ in boxes} == {left for _, left, *_ in boxes} == set(range(6))


def test_a_shared_patch_is_the_same_on_every_image(convolutional, labelled) -> None:
    images, labels = labelled
    adversarial = patch(convolutional, images, labels, area=0.15, shared=True, steps=3)
    (trained,) = trained_patch(convolutional, images, labels, area=0.15, steps=3)
    for picture, (top, left, height, width) in zip(adversarial, covered(adversarial, images), strict=True):
        assert (height, width) == (3, 3)
        torch.testing.assert_close(picture[:, top : top + 3, left : left + 3], trained)


def test_a_patch_of_the_whole_image_replaces_it(convolutional, labelled) -> None:
    images, labels = labelled
    adversarial = patch(convolutional, images, labels, area=1.0, shared=True, steps=3)
    torch.testing.assert_close(adversarial, adversarial[:1].expand_as(images))


def test_turned_and_shrunk_patches_leave_the_rest_alone(convolutional, labelled) -> None:
    images, labels = labelled
    options = {"area": 0.3, "max_rotation": 45.0, "min_scale": 0.5, "steps": 2}
    changed = (patch(convolutional, images, labels, **options) != images).any(dim=1).flatten(1).sum(dim=1)
    assert changed.max() <= 20
    assert changed.min() < 10
    assert len(changed.unique()) > 3


class Sees(nn.Module):
    """Two classes: the second if any window of 2 x 2 pixels is bright, wherever it lies."""

    def forward(self, images: Tensor) -> Tensor:
        brightest = nn.functional.avg_pool2d(images, 2, stride=1).amax(dim=(1, 2, 3))
        return torch.stack([torch.full_like(brightest, 0.9), brightest], dim=1)


@pytest.mark.parametrize("options", [{}, {"shared": True}, {"random_placement": False}])
def test_a_patch_becomes_what_the_network_looks_for(options) -> None:
    images, labels = torch.full((10, 1, 8, 8), 0.3), torch.zeros(10, dtype=torch.int64)
    classifier = Classifier(Sees())
    adversarial = patch(classifier, images, labels, area=1 / 16, steps=30, **options)
    assert fooled(classifier.logits(adversarial), labels).all()
    assert ((adversarial - images).amax(dim=(1, 2, 3)) > 0.6).all()


def test_known_places_are_left_at_the_first_success_and_random_ones_take_all_steps() -> None:
    images, labels = torch.full((10, 1, 8, 8), 0.3), torch.zeros(10, dtype=torch.int64)
    for options, forwards, backwards in (
        ({"random_placement": False}, 40, 40),
        ({}, 200, 200),
        ({"shared": True}, 2 * 200 + 2 * 4 * 10, 2 * 200),  # two ascents, and four placements on which they compete
    ):
        classifier = Classifier(Sees())
        patch(classifier, images, labels, area=1 / 16, steps=20, step_size=0.2, **options)
        assert (classifier.passes.forwards, classifier.passes.backwards) == (forwards, backwards)


def test_a_known_place_fools_more_than_a_random_one_and_both_more_than_a_grey_square(convolutional, labelled) -> None:
    images, labels = labelled

    def rate(**options) -> float:
        adversarial = patch(convolutional, images, labels, area=0.15, **options)
        return fooled(convolutional.logits(adversarial), labels).double().mean().item()

    grey = rate(steps=1, step_size=1e-6)
    known, anywhere = rate(random_placement=False, steps=20), rate(steps=20)
    assert grey + 0.15 < anywhere < known


def test_targets_are_reached(convolutional, labelled) -> None:
    images, _ = labelled
    targets = torch.full((40,), 1)
    adversarial = patch(convolutional, images, targets, area=0.3, targeted=True, steps=20, shared=True)
    before, after = ((convolutional.logits(x).argmax(1) == 1).double().mean() for x in (images, adversarial))
    assert after > before + 0.25


def test_a_shared_patch_does_not_depend_on_the_size_of_batches(convolutional, labelled) -> None:
    images, labels = labelled
    patches = [trained_patch(convolutional, images, labels, steps=5, batch_size=size) for size in (None, 7)]
    torch.testing.assert_close(patches[0], patches[1])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"area": 0.0}, "area must be a share of the image, above 0 and at most 1; got 0"),
        ({"max_rotation": 200.0}, "max_rotation must be degrees from 0 to 180; got 200"),
        ({"min_scale": 0.0}, "min_scale must be above 0 and at most 1; got 0"),
        ({"steps": 0}, "steps must be 1 or more; got 0"),
        ({"step_size": 2.0}, "step_size must be above 0 and at most 1, the range of a pixel; got 2"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, message, convolutional, labelled) -> None:
    with pytest.raises(ValueError, match=message):
        patch(convolutional, *labelled, **options)


class Bright(torch.nn.Module):
    """Two classes by the mean brightness, at any scale of the logits."""

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        value = self.scale * (images.mean(dim=(1, 2, 3)) - 0.5)
        return torch.stack([-value, value], dim=1)


@pytest.mark.parametrize("scale", [1e-3, 10.0, 1e4])
@pytest.mark.parametrize(("far", "near"), [(60, 40), (40, 60), (75, 25)])
def test_images_out_of_reach_do_not_outvote_those_that_a_shared_patch_can_fool(far, near, scale) -> None:
    """Of all patches of a size the white one is the best: it fools the near ones, and no other fools a far one."""
    classifier = Classifier(Bright(scale))
    images = torch.cat([torch.full((far, 1, 8, 8), 0.9), torch.full((near, 1, 8, 8), 0.46)])
    labels = classifier.logits(images).argmax(dim=1)
    adversarial = patch(classifier, images, labels, area=0.15, shared=True, steps=50)
    assert int(fooled(classifier.logits(adversarial), labels).sum()) == near


@pytest.mark.parametrize("side", [8, 11, 19, 28, 96, 224])
def test_a_square_that_is_asked_for_is_the_square_that_changes(side) -> None:
    classifier, asked = Classifier(Bright(10.0)), max(1, side // 3)
    images = torch.full((1, 1, side, side), 0.6)
    adversarial = patch(classifier, images, torch.ones(1, dtype=torch.int64), area=(asked / side) ** 2, steps=2)
    assert int((adversarial != images).sum()) == asked**2
