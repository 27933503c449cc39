import pytest
import torch

from attacks.norms import L2, LINF
from attacks.samples import Samples, check_images, trusted

IMAGES = torch.rand(4, 1, 2, 2, generator=torch.Generator().manual_seed(0))
LABELS = torch.tensor([0, 1, 2, 3])


def samples(images=IMAGES, labels=LABELS, *, eps=0.1, norm=LINF, targeted=False, indices=None) -> Samples:
    return Samples.of(images, labels, eps=eps, norm=norm, targeted=targeted, indices=indices)


def test_what_is_left_out_is_completed() -> None:
    whole = samples(labels=LABELS.to(torch.int32))
    assert whole.labels.dtype == torch.int64
    assert torch.equal(whole.indices, torch.arange(4))
    assert torch.equal(whole.eps, torch.full((4,), 0.1))
    assert whole.highest_label == 3


def test_a_selection_keeps_everything_that_belongs_to_a_sample() -> None:
    eps, indices = torch.tensor([0.1, 0.2, 0.3, 0.4]), torch.tensor([7, 5, 9, 1])
    some = samples(eps=eps, indices=indices).select(torch.tensor([3, 1])).select(torch.tensor([0]))
    assert torch.equal(some.images, IMAGES[3:])
    assert (some.labels.item(), some.eps.item(), some.indices.item(), some.rows.item()) == (3, eps[3].item(), 1, 3)


def test_the_objective_turns_round_with_a_target() -> None:
    logits = torch.tensor([[2.0, 1.0, 0.0, 0.0]]).expand(4, 4)
    assert torch.equal(samples(targeted=True).objective(logits), -samples().objective(logits))
    assert samples().fooled(logits).tolist() == [False, True, True, True]
    assert samples(targeted=True).fooled(logits).tolist() == [True, False, False, False]


NORMALISED = (IMAGES - 0.5) / 0.2
NAN = torch.where(IMAGES.max() == IMAGES, torch.nan, IMAGES)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"images": NORMALISED}, r"images must be in \[0, 1\]; got -.* to .*normalised\? pass plain pixels"),
        ({"images": IMAGES * 255}, r"images must be in \[0, 1\]; got"),
        ({"images": NAN}, r"images must be in \[0, 1\]; got nan"),
        ({"images": IMAGES.clamp(0.1, torch.inf) / 0}, r"images must be in \[0, 1\]; got inf"),
        ({"images": (IMAGES * 255).to(torch.uint8)}, r"got uint8 \(uint8: divide by 255\)"),
        ({"images": IMAGES.half()}, "images must be float32 or float64"),
        ({"images": IMAGES[0]}, r"images must be \(N, C, H, W\); got \(1, 2, 2\)"),
        (
            {"images": [[[[0.1, 0.2], [0.3]]]]},
            "images must be a tensor, an array, or lists of numbers of one shape; got a l",
        ),
        ({"images": "digits"}, "images must be a tensor, an array, or lists of numbers of one shape; got a str"),
        ({"images": None}, "images must be a tensor, an array"),
        ({"labels": ["cat", "dog", "cat", "dog"]}, "labels must be a tensor, an array"),
        ({"labels": [0, 1]}, r"labels must be \(4,\) whole numbers; got \(2,\) int64"),
        ({"eps": "0.1"}, "eps must be a tensor, an array"),
        ({"labels": LABELS[:3]}, r"labels must be \(4,\) whole numbers; got \(3,\) int64"),
        ({"labels": LABELS.float()}, r"labels must be \(4,\) whole numbers; got \(4,\) float32"),
        ({"labels": LABELS - 1}, "labels must be 0 or above; got -1"),
        ({"indices": LABELS[:3]}, r"indices must be \(4,\) whole numbers; got \(3,\)"),
        ({"indices": LABELS.float()}, r"indices must be \(4,\) whole numbers; got \(4,\) float32"),
        ({"eps": -0.1}, "eps must be finite and 0 or above; got -0.1"),
        ({"eps": float("nan")}, "eps must be finite and 0 or above; got nan"),
        ({"eps": float("inf"), "norm": L2}, "eps must be finite and 0 or above; got inf"),
        ({"eps": 8}, r"eps=8 exceeds the whole pixel range \[0, 1\] \(8 levels of 255 are eps = 8 / 255\)"),
        ({"eps": torch.tensor([0.1, 0.2])}, r"eps must be a number or have one entry a sample; got \(2,\)"),
    ],
)
def test_bad_input_is_named_in_one_line(options, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        samples(**options)
    assert "\n" not in str(caught.value)


def test_a_label_beyond_the_classes_is_named() -> None:
    with pytest.raises(ValueError, match="label 3 is out of range: the classifier has 3 classes"):
        samples().objective(torch.zeros(4, 3))


def test_images_at_the_very_bounds_and_no_images_are_fine() -> None:
    check_images(torch.tensor([0.0, 1.0]).reshape(1, 1, 1, 2))
    assert len(samples(IMAGES[:0], LABELS[:0])) == 0
    assert len(samples(eps=20.0, norm=L2)) == 4


def test_a_part_is_a_view() -> None:
    whole = samples()
    first, last = whole.split(3)
    assert (len(first), len(last), last.labels.item()) == (3, 1, 3)
    assert first.images.data_ptr() == IMAGES.data_ptr()
    assert next(whole.split(None)) is whole


def test_trust_passes_over_what_only_the_device_knows() -> None:
    with trusted():
        assert samples(NORMALISED, LABELS - 1).highest_label == -1
        with pytest.raises(ValueError, match="eps must be finite"):
            samples(eps=-0.1)
        with pytest.raises(ValueError, match="labels must be"):
            samples(labels=LABELS[:3])
    with pytest.raises(ValueError, match=r"images must be in \[0, 1\]"):
        samples(NORMALISED)
