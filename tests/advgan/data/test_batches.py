from itertools import islice

import numpy as np
import pytest
import torch

from advgan.data import Batch, ImageSet, batches, batches_per_epoch, epoch
from advgan.data.batches import GATHERED
from attacks.random import permutation, uniform


def make_set(count: int = 23) -> ImageSet:
    pixels = torch.arange(count * 3 * 4 * 4).reshape(count, 3, 4, 4).to(torch.uint8)
    return ImageSet(pixels, torch.arange(count) % 5, tuple("abcde"), "made")


def first(images: ImageSet, number: int, *, start: int = 0, drop_last: bool = True, batch_size: int = 4) -> list[Batch]:
    return list(islice(batches(images, batch_size, seed=7, start=start, drop_last=drop_last), number))


def same(one: Batch, other: Batch) -> bool:
    return one.epoch == other.epoch and all(torch.equal(a, b) for a, b in zip(one[:3], other[:3], strict=True))


@pytest.mark.parametrize("drop_last", [True, False])
@pytest.mark.parametrize("start", [1, 4, 5, 6, 11, 12, 18])
def test_a_resumed_stream_equals_an_uninterrupted_one(start: int, drop_last: bool) -> None:
    whole = first(make_set(), 25, drop_last=drop_last)
    resumed = first(make_set(), 25 - start, start=start, drop_last=drop_last)
    assert all(same(one, other) for one, other in zip(whole[start:], resumed, strict=True))


def test_each_epoch_gives_each_image_once() -> None:
    for number, chunk in enumerate(np.split(np.arange(18), 3)):
        stream = [first(make_set(), 18, drop_last=False)[index] for index in chunk]
        assert [len(batch.indices) for batch in stream] == [4, 4, 4, 4, 4, 3]
        assert {batch.epoch for batch in stream} == {number}
        assert sorted(torch.cat([batch.indices for batch in stream]).tolist()) == list(range(23))


def test_whole_batches_give_each_image_at_most_once_an_epoch() -> None:
    stream = first(make_set(), 15)
    assert {len(batch.indices) for batch in stream} == {4}
    assert [batch.epoch for batch in stream] == [0] * 5 + [1] * 5 + [2] * 5
    for number in range(3):
        seen = torch.cat([batch.indices for batch in stream if batch.epoch == number])
        assert torch.equal(seen, permutation(7, 23, stream=number)[:20])


def test_epochs_are_shuffled_anew() -> None:
    stream = first(make_set(), 12, drop_last=False)
    orders = [torch.cat([batch.indices for batch in stream if batch.epoch == number]) for number in (0, 1)]
    assert not torch.equal(orders[0], orders[1])
    assert not torch.equal(orders[0], torch.arange(23))


def test_indices_name_the_images_and_labels_of_a_batch() -> None:
    images = make_set()
    for batch in first(images, 8):
        assert torch.equal(batch.images, images.images[batch.indices])
        assert torch.equal(batch.labels, images.labels[batch.indices])


def test_indices_key_noise_by_sample_at_any_batch_size() -> None:
    def noise_of_each_image(batch_size: int) -> torch.Tensor:
        noise = torch.zeros(23, 2)
        for batch in first(make_set(), batches_per_epoch(make_set(), batch_size, drop_last=False),
                           drop_last=False, batch_size=batch_size):  # fmt: skip
            noise[batch.indices] = uniform(1, batch.indices, (2,), stream=batch.epoch)
        return noise

    assert torch.equal(noise_of_each_image(4), noise_of_each_image(23))
    assert torch.equal(noise_of_each_image(4), noise_of_each_image(100))


def test_a_batch_that_no_epoch_can_fill_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="batch_size 24 exceeds the 23 images of made: use 23 or fewer"):
        batches(make_set(), 24, seed=0)
    with pytest.raises(ValueError, match="use 23 or fewer"):
        batches_per_epoch(make_set(), 24)
    assert len(first(make_set(), 1, batch_size=24, drop_last=False)[0].indices) == 23


def test_epoch_gives_every_image_in_the_stored_order() -> None:
    images = make_set()
    passed = list(epoch(images, 5))
    assert torch.equal(torch.cat([batch.images for batch in passed]), images.images)
    assert torch.equal(torch.cat([batch.indices for batch in passed]), torch.arange(23))
    assert {batch.epoch for batch in passed} == {0}


def test_reading_ahead_gives_the_same_batches_as_a_resident_set() -> None:
    from advgan.data.batches import _read_ahead, _resident

    orders = [(number, permutation(0, 23, stream=number)[:6]) for number in range(9)]
    cpu = torch.device("cpu")
    ahead, resident = list(_read_ahead(make_set(), orders, cpu)), list(_resident(make_set(), orders, cpu))
    assert len(ahead) == 9
    assert all(same(one, other) for one, other in zip(ahead, resident, strict=True))


def test_a_stream_that_is_read_ahead_can_be_left_at_any_time() -> None:
    from advgan.data.batches import _read_ahead, _shuffled

    stream = _read_ahead(make_set(), _shuffled(make_set(), 4, seed=0, start=0, drop_last=True), torch.device("cpu"))
    next(stream)
    stream.close()  # type: ignore[attr-defined]


@pytest.mark.gpu
@pytest.mark.parametrize("share", [0.25, 0.0])
def test_batches_on_a_gpu_equal_those_on_the_cpu(share: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("advgan.data.batches.RESIDENT_SHARE", share)
    on_gpu = islice(batches(make_set(), 4, seed=7, device="cuda"), 12)
    for one, other in zip(on_gpu, first(make_set(), 12), strict=True):
        assert one.images.is_cuda
        assert one.indices.is_cuda
        assert same(Batch(*(column.cpu() for column in one[:3]), one.epoch), other)


@pytest.mark.parametrize("together", [1, 3, 32])
def test_images_that_are_prepared_many_batches_at_once_are_those_of_each_batch(
    together: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever fits: a single batch, some that end within an epoch, or as many as are taken at most."""
    room = 4 * make_set().images[:1].numel() * 4 * together
    monkeypatch.setitem(GATHERED, "cpu", room)
    prepared: list[int] = []

    def prepare(images: torch.Tensor) -> torch.Tensor:
        prepared.append(len(images))
        return images.float() / 255

    plain = list(islice(batches(make_set(), 4, seed=7, start=3), 40))
    found = list(islice(batches(make_set(), 4, seed=7, start=3, prepare=prepare), 40))
    for one, other in zip(found, plain, strict=True):
        assert torch.equal(one.images, other.images.float() / 255)
        assert torch.equal(one.indices, other.indices)
        assert torch.equal(one.labels, other.labels)
        assert one.epoch == other.epoch
    assert set(prepared) == {4 * together}
