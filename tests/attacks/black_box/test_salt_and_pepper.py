"""How few black and white pixels the search needs."""

import warnings

import pytest
import torch
from torch import Tensor, nn

from attacks import Classifier, fooled
from attacks.black_box.salt_and_pepper import salt_and_pepper


class Counts(nn.Module):
    """Two classes: the second from `most` pixels on that are black or white."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most = most

    def forward(self, images: Tensor) -> Tensor:
        number = ((images == 0) | (images == 1)).all(dim=1).flatten(1).sum(dim=1).to(images.dtype)
        return torch.stack([torch.full_like(number, self.most - 0.5), number], dim=1)


IMAGES = torch.full((7, 3, 8, 8), 0.4, dtype=torch.float64)
LABELS = torch.zeros(7, dtype=torch.int64)


def changed(adversarial: Tensor, images: Tensor) -> Tensor:
    return (adversarial != images).any(dim=1).flatten(1).sum(dim=1)


@pytest.mark.parametrize("most", [1, 2, 13, 32, 63, 64])
def test_it_finds_the_exact_number_by_doubling_and_halving(most) -> None:
    adversarial = salt_and_pepper(Classifier(Counts(most)), IMAGES, LABELS, queries=16)
    assert (changed(adversarial, IMAGES) == most).all()
    values = adversarial[adversarial != IMAGES]
    assert set(values.tolist()) <= {0.0, 1.0}


def test_pixels_turn_black_and_white_evenly_and_with_all_their_channels() -> None:
    images, labels = IMAGES.repeat(10, 1, 1, 1), LABELS.repeat(10)
    adversarial = salt_and_pepper(Classifier(Counts(32)), images, labels, queries=12)
    moved = (adversarial != images).any(dim=1)
    assert torch.equal(moved, (adversarial != images).all(dim=1))
    white = (adversarial[:, 0] == 1)[moved].double().mean().item()
    assert white == pytest.approx(0.5, abs=0.03)
    assert len(torch.unique(moved.flatten(1).double(), dim=0)) == 70  # each sample has its own


def test_more_queries_find_fewer_pixels(rowwise, draw) -> None:
    images = draw(30)
    labels = rowwise.logits(images).argmax(dim=1)
    means = []
    for queries in (10, 40, 160):
        adversarial = salt_and_pepper(rowwise, images, labels, queries=queries)
        success = fooled(rowwise.logits(adversarial), labels)
        means.append(torch.where(success, changed(adversarial, images), 17).double().mean().item())
    assert means[0] > means[1] > means[2]


def test_no_sample_spends_more_than_its_queries_and_one_pixel_ends_it(rowwise, draw) -> None:
    images = draw(30)
    labels = rowwise.logits(images).argmax(dim=1)
    with rowwise.tallied(30) as tally:
        adversarial = salt_and_pepper(rowwise, images, labels, queries=25)
    assert tally.forwards.max() == 25
    assert (tally.forwards[changed(adversarial, images) > 1] == 25).all()
    with rowwise.tallied(30) as tally:
        salt_and_pepper(rowwise, images, (labels + 1) % 5, queries=25)
    assert (tally.forwards == 1).all()


def test_what_nothing_fools_comes_back() -> None:
    assert torch.equal(salt_and_pepper(Classifier(Counts(99)), IMAGES, LABELS, queries=30), IMAGES)
    with pytest.raises(ValueError, match="queries must be 1 or more; got 0"):
        salt_and_pepper(Classifier(Counts(3)), IMAGES, LABELS, queries=0)


def test_it_needs_fewer_pixels_than_foolbox_at_equal_passes(convolutional, draw) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import foolbox

    images = draw(20, (3, 8, 8)).float()
    network = nn.Sequential(*convolutional.network).float().eval()
    classifier = Classifier(network)
    labels = classifier.logits(images).argmax(dim=1)
    ours = salt_and_pepper(classifier, images, labels, queries=60)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = foolbox.PyTorchModel(network, bounds=(0, 1), device="cpu")
        attack = foolbox.attacks.SaltAndPepperNoiseAttack(steps=60)
        _, theirs, _ = attack(model, images, labels, epsilons=None)
    numbers = []
    for adversarial in (ours, theirs):
        success = fooled(classifier.logits(adversarial), labels)
        numbers.append(torch.where(success, changed(adversarial, images), 64).double().mean().item())
    assert numbers[0] <= numbers[1]
