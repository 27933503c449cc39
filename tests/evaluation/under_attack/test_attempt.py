"""One call of an attack: memory that runs out, precision that lies, passes that nobody claims."""

from functools import partial

import pytest
import torch
from torch import Tensor, nn

from advgan.machine.room import LARGEST_BATCH, Room
from attacks import Classifier, fgsm, gaussian_noise, pgd
from evaluation.under_attack.attempt import attempt
from evaluation.under_attack.trials import attack_outcome


class Brightness(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        gap = 10 * (images.flatten(1).mean(dim=1) - 0.5)
        return torch.stack([-gap, gap], dim=1)


class Narrow(Brightness):
    """Runs out of memory above 6 images."""

    def forward(self, images: Tensor) -> Tensor:
        if len(images) > 6:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return super().forward(images)


IMAGES = torch.linspace(0.52, 0.7, 20).reshape(-1, 1, 1, 1).expand(-1, 1, 2, 2).clone()
LABELS = torch.ones(20, dtype=torch.int64)
NUMBERS = torch.arange(20)
ATTACK = partial(pgd, eps=0.1, steps=4)


def attacked(network: nn.Module, room: Room, **options):
    return attempt(Classifier(network), ATTACK, IMAGES, LABELS, NUMBERS, room=room, **options)


def test_an_automatic_batch_halves_until_it_fits_and_changes_nothing() -> None:
    room = Room.of("auto")
    assert room.size == LARGEST_BATCH
    found = attacked(Narrow(), room)
    assert room.size == 4
    whole = attacked(Brightness(), Room(64))
    assert torch.equal(found.images, whole.images)
    assert torch.equal(found.forwards, whole.forwards)


@pytest.mark.parametrize("attack", [partial(fgsm, eps=0.1), partial(gaussian_noise, eps=0.1)])
def test_an_attack_without_batches_goes_on_in_pieces(attack: partial) -> None:
    """Each with its own budget, and nothing that was done before is done again."""
    classifier, room = Classifier(Narrow()), Room.of("auto")
    found = attempt(classifier, attack, IMAGES, LABELS, NUMBERS, room=room)
    whole = attempt(Classifier(Brightness()), attack, IMAGES, LABELS, NUMBERS, room=Room(64))
    assert room.size == 4
    assert torch.equal(found.images, whole.images)
    assert torch.equal(found.forwards, whole.forwards)
    assert torch.equal(found.backwards, whole.backwards)


def test_pieces_keep_to_one_budget() -> None:
    eps = torch.tensor([0.05, 0.1]).repeat(10)
    given = (partial(fgsm), IMAGES, LABELS, NUMBERS)
    found = attempt(Classifier(Narrow()), *given, eps=eps, room=Room.of("auto"))
    whole = attempt(Classifier(Brightness()), *given, eps=eps, room=Room(64))
    assert torch.equal(found.images, whole.images)


def test_a_half_that_holds_all_images_is_not_tried() -> None:
    tried: list[int] = []

    def call(size: int) -> int:
        tried.append(size)
        if size > 8:
            raise MemoryError
        return size

    assert Room.of("auto").within(call, most=30) == 8
    assert tried == [1024, 16, 8]


def test_where_one_image_is_too_much_it_says_so() -> None:
    def call(size: int) -> int:
        raise RuntimeError("CUDA error: out of memory")

    with pytest.raises(ValueError, match="memory ran out with one image at once"):
        Room.of("auto").within(call)


def test_the_pass_over_unchanged_images_halves_too() -> None:
    outcome = attack_outcome(Classifier(Narrow()), IMAGES, LABELS, ATTACK, batch_size="auto")
    whole = attack_outcome(Classifier(Brightness()), IMAGES, LABELS, ATTACK)
    assert torch.equal(outcome.clean.logits, whole.clean.logits)
    assert torch.equal(outcome.robust, whole.robust)


def test_a_fixed_batch_that_does_not_fit_says_what_to_do() -> None:
    with pytest.raises(ValueError, match="memory ran out with --batch-size 10: give a smaller one, or"):
        attacked(Narrow(), Room(10))


def test_other_errors_are_not_taken_for_a_lack_of_memory() -> None:
    class Broken(Brightness):
        def forward(self, images: Tensor) -> Tensor:
            raise RuntimeError("shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="shapes cannot"):
        attacked(Broken(), Room.of("auto"))


class Lying(Brightness):
    """In autocast every image is class 0 from the start; in float32 it is honest."""

    def forward(self, images: Tensor) -> Tensor:
        logits = super().forward(images)
        if torch.is_autocast_enabled("cpu"):
            return logits - torch.tensor([0.0, 100.0])
        return logits


def test_a_success_of_bfloat16_alone_does_not_count_and_is_tried_again() -> None:
    honest = attacked(Brightness(), Room(64))
    found = attacked(Lying(), Room(64), precision="bfloat16")
    assert torch.equal(found.logits.argmax(dim=1), honest.logits.argmax(dim=1))
    assert torch.equal(found.images, honest.images)
    assert (found.forwards > honest.forwards).all()  # the first, vain, attempt is charged too


def test_a_sound_network_in_bfloat16_gives_the_same_verdicts() -> None:
    honest = attacked(Brightness(), Room(64))
    found = attacked(Brightness(), Room(64), precision="bfloat16")
    assert torch.equal(found.logits.argmax(dim=1), honest.logits.argmax(dim=1))
    assert found.logits.dtype == torch.float32


def test_passes_of_a_foreign_attack_are_shared_out_evenly() -> None:
    def foreign(classifier, images, labels, *, indices=None):
        for _ in range(3):
            classifier(images[:5])
        return images

    found = attempt(Classifier(Brightness()), foreign, IMAGES[:10], LABELS[:10], NUMBERS[:10], room=Room(64))
    assert found.forwards.tolist() == [2] * 5 + [1] * 5


def test_a_budget_a_sample_reaches_attacks_that_take_one_number() -> None:
    seen = []

    def one_number(classifier, images, labels, *, eps, indices=None):
        seen.append((eps, indices.tolist()))
        return images

    eps = torch.tensor([0.1, 0.2] * 5, dtype=torch.float64)
    attempt(Classifier(Brightness()), one_number, IMAGES[:10], LABELS[:10], NUMBERS[:10], eps=eps, room=Room(3))
    assert seen == [(0.1, [0, 2, 4]), (0.1, [6, 8]), (0.2, [1, 3, 5]), (0.2, [7, 9])]
