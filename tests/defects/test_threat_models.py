"""Defects of other tools in attacks beyond balls and in saved sets, each held not to be here."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from advgan.ranges import to_bytes
from attacks import Classifier, fooled
from attacks.black_box.salt_and_pepper import salt_and_pepper
from attacks.random import seeded, uniform
from attacks.unbounded.patch import patch
from attacks.unbounded.spatial import spatial
from attacks.warp import warp
from evaluation.under_attack.adversarial_sets import Batch, save_adversarial_set


class Never(nn.Module):
    """Says class 0 whatever it sees, but prefers pictures whose left half is bright."""

    def forward(self, images: Tensor) -> Tensor:
        bright = images[..., : images.shape[-1] // 2].mean(dim=(1, 2, 3))
        return torch.stack([torch.full_like(bright, 9.0), bright], dim=1)


def test_torchattacks_integers_are_truncated() -> None:
    """Its `to_type` cuts floats to 8 bits without rounding, which darkens a set by half a level on average."""
    images = uniform(0, torch.arange(64), (1, 16, 16))
    bias = (to_bytes(images).float() / 255 - images).mean().item() * 255
    assert abs(bias) < 0.02
    assert ((images * 255).to(torch.uint8).float() / 255 - images).mean().item() * 255 < -0.45  # what truncation does


def test_torchattacks_save_rewrites_the_whole_file_with_every_batch(tmp_path, monkeypatch) -> None:
    """Its `save` joins all batches so far and writes all of them again, so the work grows with the square."""
    written: list[int] = []
    save = torch.save
    monkeypatch.setattr(
        torch, "save", lambda content, file: (written.append(len(content["labels"])), save(content, file))
    )
    joined: list[int] = []
    concatenate = torch.cat
    monkeypatch.setattr(torch, "cat", lambda tensors, *a, **k: (joined.append(1), concatenate(tensors, *a, **k))[1])

    def batches():
        for start in range(0, 40, 4):
            numbers = torch.arange(start, start + 4)
            images = uniform(0, numbers, (1, 8, 8))
            yield Batch(numbers, numbers % 2, images, images, numbers, numbers, numbers)

    save_adversarial_set(tmp_path / "set.pt", batches(), {}, form="torchattacks")
    assert written == [40]
    assert joined == []


def test_torchattacks_sets_do_not_say_how_they_were_made(tmp_path) -> None:
    """A saved set names neither attack nor eps, seed, model or data."""
    numbers = torch.arange(4)
    images = uniform(0, numbers, (1, 8, 8))
    about = {"attack": "pgd", "eps": 0.1, "seed": 0, "model": "m", "data": "d"}
    batch = Batch(numbers, numbers, images, images, numbers, numbers, numbers)
    path = save_adversarial_set(tmp_path / "set.pt", [batch], about, form="torchattacks")
    assert '"eps": 0.1' in torch.load(path, weights_only=True)["metadata"]


def test_adversarials_lose_their_effect_in_8_bits_and_nobody_says_so(tmp_path) -> None:
    """A success smaller than half a level is gone from the file; the table must say it of that very image."""
    import csv

    images = torch.full((2, 1, 8, 8), 100 / 255)
    adversarial = images + torch.tensor([0.3, 2.0]).reshape(2, 1, 1, 1) / 255
    truth, answers = torch.tensor([0, 0]), torch.tensor([1, 1])
    kept = (to_bytes(adversarial).float() / 255 - images).amax(dim=(1, 2, 3)) > 1e-4
    batch = Batch(torch.arange(2), truth, images, adversarial, truth, answers, kept.long())
    path = save_adversarial_set(tmp_path / "set", [batch], {}, form="png")
    rows = list(csv.DictReader((path / "metadata.csv").read_text().splitlines()))
    assert [row["prediction_after"] for row in rows] == ["1", "1"]
    assert [row["prediction_after_8bit"] for row in rows] == ["0", "1"]
    assert [float(row["linf_8bit"]) > 1e-4 for row in rows] == [False, True]


def test_foolbox_spatial_attacks_the_whole_batch_until_the_last_sample_falls() -> None:
    """Every transformation is tried on all samples, also on those that were fooled long ago."""
    images, labels = torch.full((10, 1, 8, 8), 0.5), torch.zeros(10, dtype=torch.int64)
    images[1:] = 0.9

    class Dim(nn.Module):
        def forward(self, inputs: Tensor) -> Tensor:
            mean = inputs.mean(dim=(1, 2, 3))
            return torch.stack([torch.full_like(mean, 0.8), torch.where(mean > 0.6, 1.0, 0.0)], dim=1)

    classifier = Classifier(Dim())
    spatial(classifier, images, labels, rotations=3, translations=3)
    assert classifier.passes.forwards == 9 + 27


def test_foolbox_spatial_shears_images_that_are_not_square() -> None:
    """It rotates coordinates that were scaled by height and width, so distances change."""
    image = torch.zeros(1, 1, 15, 31, dtype=torch.float64)
    image[..., 7, 15 + 4] = 1  # four pixels right of the centre
    turned = warp(image, degrees=90.0)
    assert turned[0, 0, 7 - 4, 15].item() == pytest.approx(1)


def test_foolbox_spatial_shifts_by_less_than_it_is_told() -> None:
    """A shift of 3 pixels of 8 is 2.6 there, because corners are aligned but pixels are counted."""
    image = torch.zeros(1, 1, 8, 8, dtype=torch.float64)
    image[..., 4, 2] = 1
    assert warp(image, right=3.0)[0, 0, 4, 5].item() == pytest.approx(1)


def test_foolbox_spatial_draws_from_numpy_and_the_same_for_all_samples() -> None:
    """Its random search moves numpy's global state, and tries one and the same transformation on every image."""
    state = np.random.get_state()[1].copy()
    images = torch.zeros(6, 1, 15, 15, dtype=torch.float64)
    images[..., 7, 7] = 1
    moved = spatial(Classifier(Never()), images, torch.zeros(6, dtype=torch.int64), tries=1, max_translation=0.3)
    assert (np.random.get_state()[1] == state).all()
    assert len(torch.unique(moved.flatten(1), dim=0)) > 3


def test_foolbox_spatial_returns_the_image_where_nothing_fools() -> None:
    """The worst transformation is forgotten unless it fools, although it is what a curve of losses needs."""
    images = torch.zeros(1, 1, 9, 9, dtype=torch.float64)
    images[..., 4, 6] = 1
    classifier = Classifier(Never())
    result = spatial(classifier, images, torch.tensor([0]), max_translation=0.5)
    assert classifier.logits(result)[0, 1] > classifier.logits(images)[0, 1]


def test_art_patch_is_one_for_all_images_and_placed_by_the_global_generators() -> None:
    """Its patch is always shared, and its places, drawn from numpy's and torch's global state, cannot be repeated."""
    images, labels = torch.full((8, 1, 8, 8), 0.2, dtype=torch.float64), torch.zeros(8, dtype=torch.int64)
    own = [patch(Classifier(Never()), images, labels, area=0.1, steps=n) for n in (1, 2)]
    boxes = [(result != images).any(dim=1) for result in own]
    assert torch.equal(boxes[0], boxes[1])  # the place of the result is one that no step has used,
    assert len(torch.unique(boxes[0].flatten(1).double(), dim=0)) > 3  # and each image has its own


def test_art_spatial_searches_one_transformation_for_all_images_and_keeps_it_for_later_calls() -> None:
    """It takes the transformation that changes most answers of its first batch, without looking at the labels."""

    class Sides(nn.Module):
        """The second of two classes is for a bright pixel in the outermost columns."""

        def forward(self, images: Tensor) -> Tensor:
            edge = images[..., [0, -1]].amax(dim=(1, 2, 3))
            return torch.stack([torch.full_like(edge, 0.5), edge], dim=1)

    images = torch.zeros(2, 1, 11, 11, dtype=torch.float64)
    images[0, 0, 5, 1] = images[1, 0, 5, 9] = 1  # one has to go left, the other right
    options = {"rotations": 1, "translations": 3, "max_translation": 1 / 11}
    classifier, labels = Classifier(Sides()), torch.zeros(2, dtype=torch.int64)
    assert fooled(classifier.logits(spatial(classifier, images, labels, **options)), labels).all()
    for one in (0, 1):
        alone = spatial(classifier, images[one : one + 1], labels[:1], **options)
        assert fooled(classifier.logits(alone), labels[:1]).all()


def test_foolbox_salt_and_pepper_draws_anew_in_every_step_and_so_never_knows_its_share() -> None:
    """With fresh noise in every step a larger share can fool less, which forbids bisection; here draws are nested."""
    images = uniform(1, torch.arange(20), (1, 6, 6), dtype=torch.float64)
    with seeded(0):
        classifier = Classifier(nn.Sequential(nn.Flatten(), nn.Linear(36, 3)).double())
    labels = classifier.logits(images).argmax(dim=1)
    results = [salt_and_pepper(classifier, images, labels, queries=queries) for queries in (8, 9, 14, 60)]
    sizes = [(result != images).flatten(1).sum(dim=1) for result in results]
    success = [fooled(classifier.logits(result), labels) for result in results]
    assert success[0].any()
    for (earlier, later), before in zip(pairwise(sizes), success[:-1], strict=True):
        assert (later[before] <= earlier[before]).all()
