"""What each idea of the transfer attacks does, by its formula; and the linear maps that they are made of."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from attacks import L2, TABLE, fooled, mifgsm
from attacks.gradient.transfer import transfer
from attacks.gradient.transfer_inputs import gaussian_smoothing, resize_and_pad
from attacks.random import normal

LABELS = torch.arange(6) % 4
EPS, STEPS = 0.1, 4


@pytest.fixture
def images(draw) -> Tensor:
    return draw(6, (3, 8, 8))


def slope(classifier, current: Tensor) -> Tensor:
    leaf = current.clone().requires_grad_()
    return torch.autograd.grad(F.cross_entropy(classifier(leaf), LABELS, reduction="sum"), leaf)[0]


def iterated(images: Tensor, gradient, *, momentum: float = 1.0) -> Tensor:
    """Iterated FGSM with momentum, written as in the papers; `gradient` gets the iterate and the momentum."""
    current, velocity = images.clone(), torch.zeros_like(images)
    for _ in range(STEPS):
        found = gradient(current, velocity)
        velocity = momentum * velocity + found / found.abs().mean(dim=(1, 2, 3), keepdim=True)
        current = (current + EPS / STEPS * velocity.sign()).clamp(images - EPS, images + EPS).clamp(0, 1)
    return current


def check(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


def test_without_options_it_is_mifgsm(convolutional, images) -> None:
    check(transfer(convolutional, images, LABELS, eps=EPS), mifgsm(convolutional, images, LABELS, eps=EPS))
    options = {"eps": 0.5, "norm": L2, "targeted": True}
    check(transfer(convolutional, images, LABELS, **options), mifgsm(convolutional, images, LABELS, **options))


def test_nesterov_takes_the_gradient_where_momentum_leads(convolutional, images) -> None:
    expected = iterated(images, lambda x, g: slope(convolutional, x + EPS / STEPS * 0.7 * g), momentum=0.7)
    check(transfer(convolutional, images, LABELS, eps=EPS, steps=STEPS, nesterov=True, momentum=0.7), expected)


def test_scales_average_the_gradients_of_darker_copies(convolutional, images) -> None:
    def gradient(x: Tensor, g: Tensor) -> Tensor:
        leaf = x.clone().requires_grad_()
        logits = [convolutional(leaf / 2**k) for k in range(3)]
        odds = [F.cross_entropy(each, LABELS, reduction="none").expm1().log() for each in logits]
        return torch.autograd.grad(sum(odds).sum(), leaf)[0]

    check(transfer(convolutional, images, LABELS, eps=EPS, steps=STEPS, scales=3), iterated(images, gradient))


@pytest.mark.parametrize("shape", [(3, 8, 8), (1, 5, 9), (4, 2, 3)])
@pytest.mark.parametrize("side", [3, 7, 15])
def test_smoothing_is_a_convolution_of_each_channel(shape, side) -> None:
    images = normal(0, torch.arange(5), shape, dtype=torch.float64)
    bell = torch.exp(-(torch.linspace(-3, 3, side, dtype=torch.float64) ** 2) / 2)
    kernel = (bell[:, None] * bell / bell.sum() ** 2).expand(shape[0], 1, side, side)
    expected = F.conv2d(images, kernel, padding=side // 2, groups=shape[0])
    check(gaussian_smoothing(images, side).apply(images), expected)


def test_a_kernel_smooths_the_gradient(convolutional, images) -> None:
    smoothing = gaussian_smoothing(images, 5)
    expected = iterated(images, lambda x, g: smoothing.apply(slope(convolutional, x)))
    check(transfer(convolutional, images, LABELS, eps=EPS, steps=STEPS, kernel=5), expected)


def test_resizing_is_bilinear_and_pads_with_black_at_a_place_that_is_drawn() -> None:
    """The size and place are read off the result, which the interpolation by torch has to equal then."""
    images = 0.5 + 0.4 * normal(0, torch.arange(40), (2, 12, 10), dtype=torch.float64).tanh()
    view = resize_and_pad(images, probability=1.0, smallest=0.5, seed=1, indices=torch.arange(40), stream=3)
    resized, seen = view.apply(images), set()
    for image, result in zip(images, resized, strict=True):
        rows, columns = (result.sum(0).sum(axis).nonzero().squeeze(1) for axis in (1, 0))
        top, bottom, left, right = int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1
        inside = F.interpolate(image[None], (bottom - top, right - left), mode="bilinear")[0]
        check(result, F.pad(inside, (left, 10 - right, top, 12 - bottom)))
        seen.add((bottom - top, top, left))
        assert 6 <= bottom - top < 12
        assert 5 <= right - left < 10
    assert len(seen) > 20
    assert {size for size, _, _ in seen} == set(range(6, 12))
    assert any(top == 12 - size for size, top, _ in seen)  # flush with the lower edge


def test_images_are_resized_with_the_given_probability_and_else_left_alone() -> None:
    images = normal(0, torch.arange(400), (1, 6, 6), dtype=torch.float64)
    options = {"smallest": 0.5, "seed": 1, "indices": torch.arange(400)}
    same = (resize_and_pad(images, probability=0.3, stream=0, **options).apply(images) == images).flatten(1).all(1)
    assert 0.62 < same.double().mean() < 0.78
    other = (resize_and_pad(images, probability=0.3, stream=1, **options).apply(images) == images).flatten(1).all(1)
    assert not torch.equal(same, other)


def test_a_gradient_goes_back_through_a_map_as_autograd_takes_it() -> None:
    images = normal(0, torch.arange(9), (2, 6, 5), dtype=torch.float64).requires_grad_()
    view = resize_and_pad(images, probability=0.8, smallest=0.5, seed=1, indices=torch.arange(9), stream=0)
    outer = normal(1, torch.arange(9), (2, 6, 5), dtype=torch.float64)
    (expected,) = torch.autograd.grad((view.apply(images) * outer).sum(), images)
    check(view.pull_back(outer), expected)


def test_diversity_takes_the_gradient_through_the_resized_image(convolutional, images) -> None:
    streams = iter(range(STEPS))

    def gradient(x: Tensor, g: Tensor) -> Tensor:
        view = resize_and_pad(
            x, probability=0.9, smallest=0.6, seed=2, indices=torch.arange(6), stream=next(streams) << 20
        )
        return view.pull_back(slope(convolutional, view.apply(x)))

    found = transfer(convolutional, images, LABELS, eps=EPS, steps=STEPS, diversity=0.9, smallest=0.6, seed=2)
    check(found, iterated(images, gradient))


def test_variance_corrects_by_the_neighbours_of_the_step_before(convolutional, images) -> None:
    """With no radius every neighbour is the point itself, the variance is none, and the attack is mifgsm."""
    options = {"eps": EPS, "steps": STEPS}
    plain = mifgsm(convolutional, images, LABELS, **options)
    check(transfer(convolutional, images, LABELS, neighbours=3, radius=0.0, **options), plain)
    wide = [
        transfer(convolutional, images, LABELS, neighbours=n, seed=s, **options) for n, s in ((3, 0), (3, 1), (4, 0))
    ]
    assert not any(torch.equal(one, other) for one, other in zip(wide, [*wide[1:], plain], strict=True))
    first = [transfer(convolutional, images, LABELS, eps=EPS, steps=1, neighbours=n) for n in (0, 4)]
    check(*first)


@pytest.mark.parametrize("name", [name for name, entry in TABLE.items() if "transfer" in str(entry.attack)])
def test_every_named_attack_leaves_labels_and_costs_its_passes(name, convolutional, images) -> None:
    passes = {"sifgsm": 5, "si-ni-di-ti-fgsm": 5, "vmifgsm": 6}.get(name, 1)
    labels = convolutional.logits(images).argmax(dim=1)
    before = convolutional.passes.backwards
    adversarial = TABLE[name].attack(convolutional, images, labels, eps=0.25, steps=STEPS)
    unneeded = 5 if name == "vmifgsm" else 0  # no variance after the last step
    assert convolutional.passes.backwards - before == 6 * (STEPS * passes - unneeded)
    assert fooled(convolutional.logits(adversarial), labels).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"norm": "l0"}, "transfer has no l0 form: choose from linf, l2, l1"),
        ({"kernel": 4}, "kernel must be an odd side, 1 for none; got 4"),
        ({"steps": 0}, "steps must be 1 or more; got 0"),
        ({"scales": 0}, "scales must be 1 or more; got 0"),
        ({"neighbours": -1}, "neighbours must be 0 or more; got -1"),
        ({"diversity": 1.5}, "diversity is a probability, from 0 to 1; got 1.5"),
        ({"smallest": 0.0}, "smallest is a share of the side, above 0 and at most 1; got 0.0"),
        ({"momentum": -1.0}, "momentum must be finite and 0 or above; got -1.0"),
        ({"batch_size": 0}, "batch_size must be 1 or more; got 0"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, message, convolutional, images) -> None:
    with pytest.raises(ValueError, match=message):
        transfer(convolutional, images, LABELS, **{"eps": 0.1, **options})
