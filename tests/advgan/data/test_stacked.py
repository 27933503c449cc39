import pytest
import torch

from advgan.config import DataConfig
from advgan.data import Data, ImageSet, load_data
from advgan.data.stacked import CLASSES, stack_digits


def digits(num_classes: int = 10, channels: int = 1) -> Data:
    """Three splits whose pixels tell the split (high digit) and the image (low digits)."""
    parts = []
    for split in range(3):
        numbers = 80 * split + torch.arange(40)
        images = numbers.to(torch.uint8)[:, None, None, None].expand(40, channels, 4, 4).contiguous()
        classes = tuple(str(k) for k in range(num_classes))
        parts.append(ImageSet(images, torch.arange(40) * 7 % num_classes, classes, "made"))
    return Data("made", *parts)


def stacks(seed: int = 0, count: int | None = 500) -> Data:
    return stack_digits(digits(), source="stacked:made", seed=seed, count=count)


def test_the_class_of_a_stack_is_its_three_digits() -> None:
    data, of = stacks(), digits()
    for split, part, source in (
        (0, data.train, of.train),
        (1, data.validation, of.validation),
        (2, data.test, of.test),
    ):
        numbers = part.images[:, :, 0, 0].long() - 80 * split
        assert (numbers >= 0).all(), "digits of another split"
        assert (numbers < 40).all(), "digits of another split"
        assert torch.equal(part.images, source.images[numbers].flatten(1, 2))
        first, second, third = source.labels[numbers].unbind(1)
        assert torch.equal(part.labels, 100 * first + 10 * second + third)
        assert part.classes is CLASSES
    assert (CLASSES[0], CLASSES[47], CLASSES[999], len(CLASSES)) == ("000", "047", "999", 1000)


def test_the_channels_are_drawn_apart_and_every_mode_is_there() -> None:
    data = stacks(count=None)
    assert [len(part) for part in (data.train, data.validation, data.test)] == [128_000, 10_000, 26_000]
    assert (data.channels, data.num_classes, data.name) == (3, 1000, "stacked-made")
    assert data.train.images.dtype == torch.uint8
    counts = torch.bincount(data.train.labels, minlength=1000)
    assert counts.sub(128).abs().max() < 5.5 * 128**0.5
    centred = data.train.images[:, :, 0, 0].double() - 19.5
    assert torch.corrcoef(centred.T).sub(torch.eye(3)).abs().max() < 0.015


def test_a_stack_is_a_function_of_seed_and_number() -> None:
    few, many, other = stacks(count=50), stacks(count=90), stacks(seed=1, count=50)
    assert torch.equal(few.train.images, many.train.images[:50])
    assert not torch.equal(few.train.labels, other.train.labels)
    assert not torch.equal(few.train.labels, few.validation.labels[:50])


def test_a_source_of_digits_is_stacked_by_name() -> None:
    data = load_data(DataConfig(source="stacked:digits", count=30))
    assert (data.name, data.size, len(data.train)) == ("stacked-digits", 8, 30)
    assert data.parts is not None
    assert data.parts.digest == load_data(DataConfig()).digest


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (digits(num_classes=8), "stacked:made: made has 8 classes, stacks are made of 10: give digits"),
        (digits(channels=3), "stacked:made: made has 3 channels, stacks are made of grey images"),
    ],
)
def test_other_sources_are_refused(made: Data, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        stack_digits(made, source="stacked:made", seed=0)


def test_stacks_are_not_stacked_again() -> None:
    with pytest.raises(ValueError, match="has 1000 classes"):
        load_data(DataConfig(source="stacked:stacked:digits", count=20))
