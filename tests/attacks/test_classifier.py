from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from attacks import Classifier, pgd
from attacks.batch_sizes import rounded_size
from attacks.random import seeded, uniform

IMAGES = uniform(0, torch.arange(6), (2, 4, 4), dtype=torch.float64)


def flat(network: nn.Module, **options) -> Classifier:
    return Classifier(nn.Sequential(nn.Flatten(), network), **options)


def dense(inputs: int = 32, classes: int = 3) -> nn.Linear:
    with seeded(0):
        return nn.Linear(inputs, classes).double()


def normalised_network() -> nn.Module:
    """Batch statistics, dropout and one layer that its owner froze and put in evaluation mode."""
    with seeded(0):
        network = nn.Sequential(
            nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(16, 3)
        )
    network.train()
    network[3].eval()
    network[0].weight.requires_grad_(False)
    return network


def flags(module: nn.Module) -> list[bool]:
    return [m.training for m in module.modules()] + [p.requires_grad for p in module.parameters()]


def test_logits_are_those_of_the_normalised_image() -> None:
    layer = dense()
    mean, std = torch.tensor([0.25, 0.5]).view(1, 2, 1, 1), torch.tensor([0.5, 0.125]).view(1, 2, 1, 1)
    logits = flat(layer, mean=(0.25, 0.5), std=(0.5, 0.125))(IMAGES)
    torch.testing.assert_close(logits, layer(((IMAGES - mean) / std).flatten(1)), rtol=0, atol=1e-12)


def test_the_gradient_of_a_linear_network_is_its_weight_over_std() -> None:
    layer = dense()
    found = flat(layer, mean=(0.3, 0.6), std=(0.5, 0.125)).gradient(IMAGES, lambda logits: logits[:, 1])
    expected = layer.weight[1].detach().view(2, 4, 4) / torch.tensor([0.5, 0.125]).view(2, 1, 1)
    torch.testing.assert_close(found.gradient, expected.expand_as(IMAGES), rtol=1e-12, atol=0)
    assert torch.equal(found.values, found.logits[:, 1])
    assert not any(value.requires_grad for value in found)


def test_passes_count_images_both_ways() -> None:
    classifier = flat(dense())
    classifier(IMAGES)
    classifier.logits(IMAGES[:2])
    classifier.gradient(IMAGES[:3], lambda logits: logits[:, 0])
    assert (classifier.passes.forwards, classifier.passes.backwards) == (11, 3)


def test_freezing_restores_every_single_flag() -> None:
    classifier = Classifier(normalised_network())
    before = flags(classifier)
    with classifier.frozen():
        assert not any(flags(classifier))
        with classifier.frozen():
            pass
        assert not any(flags(classifier))
    assert flags(classifier) == before
    with pytest.raises(KeyError), classifier.frozen():
        raise KeyError
    assert flags(classifier) == before


def test_logits_and_gradients_leave_the_network_as_it_was() -> None:
    network = normalised_network()
    classifier = Classifier(network)
    network[5].weight.grad = torch.ones_like(network[5].weight)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    state, modes = torch.get_rng_state(), flags(network)

    first = classifier.logits(IMAGES.float())
    found = classifier.gradient(IMAGES.float(), lambda logits: logits[:, 0])

    assert torch.equal(found.logits, first)  # no dropout, no statistics of the batch
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert torch.equal(network[5].weight.grad, torch.ones_like(network[5].weight))
    assert all(p.grad is None for name, p in network.named_parameters() if name != "5.weight")
    assert torch.equal(torch.get_rng_state(), state)
    assert flags(network) == modes


def test_the_images_that_came_in_do_not_gather_gradients() -> None:
    images = IMAGES.clone()
    flat(dense()).gradient(images, lambda logits: logits[:, 0])
    assert not images.requires_grad
    assert images.grad is None


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_gradients_are_found_where_autograd_is_switched_off(mode: Callable[[], torch.no_grad]) -> None:
    classifier = flat(dense())
    expected = classifier.gradient(IMAGES, lambda logits: logits[:, 0]).gradient
    with mode():
        assert torch.equal(classifier.gradient(IMAGES.clone(), lambda logits: logits[:, 0]).gradient, expected)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
def test_the_network_keeps_its_precision_and_the_logits_that_of_the_images(dtype: torch.dtype) -> None:
    classifier = flat(dense().to(dtype))
    for images in (IMAGES, IMAGES.float()):
        found = classifier.gradient(images, lambda logits: logits[:, 0])
        assert found.logits.dtype == found.gradient.dtype == images.dtype
        assert classifier.network[1].weight.dtype == dtype


def test_a_network_without_parameters_gets_the_dtype_of_the_images() -> None:
    classifier = flat(nn.Identity())
    assert torch.equal(classifier(IMAGES), IMAGES.flatten(1))


def test_images_are_resized_inside_and_gradients_come_back_in_their_own_size() -> None:
    layer = dense(2 * 8 * 8)
    classifier = flat(layer, resize=8, mean=(0.5,), std=(0.5,))
    larger = F.interpolate(IMAGES, size=(8, 8), mode="bilinear", antialias=True)
    torch.testing.assert_close(classifier(IMAGES), layer(((larger - 0.5) / 0.5).flatten(1)))
    assert classifier.gradient(IMAGES, lambda logits: logits[:, 0]).gradient.shape == IMAGES.shape
    assert torch.equal(classifier(larger), classifier(IMAGES))


def test_images_made_smaller_are_averaged_and_not_picked() -> None:
    """Every other column is bright: whoever takes single pixels sees a bright or a dark image, not a grey one."""
    stripes = torch.tensor([0.0, 1.0]).repeat(8).expand(1, 1, 16, 16)
    small = Classifier(nn.Flatten(), resize=4)(stripes).reshape(4, 4)
    torch.testing.assert_close(small, torch.full((4, 4), 0.5), rtol=0, atol=0.1)
    assert Classifier(nn.Flatten(), resize=5)(stripes).sub(0.5).abs().max() < 0.1


def test_normalisation_moves_with_the_module_but_is_no_weight() -> None:
    classifier = flat(dense(), mean=(0.5,), std=(0.5,))
    assert list(classifier.state_dict()) == ["network.1.weight", "network.1.bias"]
    assert classifier.double().mean.dtype == torch.float64


class Rounding(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        return images.detach().flatten(1)


class Several(nn.Module):
    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        return images, images


class Undecided(nn.Module):
    def forward(self, images: Tensor) -> dict[str, Tensor]:
        return {"features": images.flatten(1), "classes": images.flatten(1)[:, :3]}


@pytest.mark.parametrize(
    ("classifier", "message"),
    [
        (lambda: flat(dense(), differentiable=False, name="model.onnx"), "model.onnx gives no gradients: use"),
        (lambda: Classifier(Rounding()), "Rounding cuts its own gradients"),
        (
            lambda: Classifier(Several()),
            r"Several returned a tuple of 0 \(6, 2, 4, 4\), 1 .*; a tensor of logits, \(6, ",
        ),
        (lambda: Classifier(Undecided()), r"several may be the logits, 'features' \(6, 32\), 'classes' \(6, 3\): say"),
        (lambda: Classifier(nn.Identity()), r"returned shape \(6, 2, 4, 4\) for 6 images"),
        (lambda: flat(dense(), mean=(0, 0, 0), std=(1, 1, 1)), "normalises 3 channels, but the images have 2"),
        (lambda: flat(dense(), mean=(0, 0), std=(1,)), "one number a channel each; got 2 and 1"),
        (lambda: flat(dense(), mean=(), std=()), "one number a channel each; got 0 and 0"),
        (lambda: flat(dense(), std=(0,)), "std must be above 0"),
    ],
)
def test_what_cannot_be_attacked_is_refused_in_one_line(classifier: Callable[[], Classifier], message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        classifier().gradient(IMAGES, lambda logits: logits[:, 0])
    assert "\n" not in str(caught.value)


def test_a_refused_pass_still_gives_the_flags_back() -> None:
    classifier = Classifier(nn.Sequential(Rounding(), nn.BatchNorm1d(32)))
    before = flags(classifier)
    with pytest.raises(ValueError, match="cuts its own"):
        classifier.gradient(IMAGES.float(), lambda logits: logits[:, 0])
    assert flags(classifier) == before


def test_a_jacobian_holds_the_gradient_of_each_logit(convolutional, draw) -> None:
    images, classes = draw(5, (3, 8, 8)), torch.tensor([[0, 3], [1, 2], [2, 2], [3, 0], [1, 0]])
    with convolutional.tallied(5) as tally:
        found = convolutional.jacobian(images, classes=classes)
    for column in range(2):
        expected = convolutional.gradient(
            images, lambda logits, k=column: logits.gather(1, classes[:, k : k + 1])[:, 0]
        )
        torch.testing.assert_close(found.gradients[:, column], expected.gradient)
    assert tally.forwards.tolist() == [1] * 5
    assert tally.backwards.tolist() == [2] * 5
    assert convolutional.jacobian(images).gradients.shape == (5, 4, 3, 8, 8)


def test_a_tally_charges_those_who_sent_the_images(rowwise, draw) -> None:
    with rowwise.tallied(4) as tally:
        rowwise.logits(draw(2), rows=torch.tensor([1, 1]))
        rowwise.logits(draw(4))
        rowwise.logits(draw(3))  # whose?
    assert tally.forwards.tolist() == [1, 3, 1, 1]


def test_the_operators_of_a_jacobian_grow_with_the_classes_and_not_with_their_square(count_operators, draw) -> None:
    images = draw(2, (1, 4, 4))

    def operators(classes: int) -> int:
        classifier = Classifier(nn.Sequential(nn.Flatten(), nn.Linear(16, classes)))
        return count_operators(lambda: classifier.jacobian(images))

    first, second, third = (operators(classes) for classes in (10, 20, 40))
    assert third - second == 2 * (second - first)


def elsewhere(network: nn.Module) -> nn.Module:
    return network.to("meta")


def test_the_normalisation_begins_where_the_network_is() -> None:
    classifier = Classifier(elsewhere(nn.Sequential(nn.Flatten(), dense())), mean=(0.5, 0.25), std=(0.5, 0.5))
    assert classifier.device == classifier.mean.device == classifier.std.device == torch.device("meta")
    assert classifier(IMAGES.to("meta")).shape == (6, 3)


def test_the_normalisation_follows_a_network_that_moves_later() -> None:
    network = nn.Sequential(nn.Flatten(), dense())
    classifier = Classifier(network, mean=(0.5, 0.25), std=(0.5, 0.5))
    elsewhere(network)
    assert classifier.device == torch.device("meta")
    assert classifier(IMAGES.to("meta")).shape == (6, 3)
    moved = classifier.mean
    classifier(IMAGES.to("meta"))
    assert classifier.mean is moved
    assert "mean" in dict(classifier.named_buffers())


def test_images_on_another_device_than_the_network_are_refused_in_one_line() -> None:
    classifier = Classifier(elsewhere(nn.Sequential(nn.Flatten(), dense())), name="net")
    with pytest.raises(
        ValueError, match=r"^the images are on cpu, net is on meta: move them there, images\.to\('meta'\)$"
    ):
        classifier(IMAGES)


def test_a_network_of_buffers_alone_has_a_device_and_one_of_nothing_goes_with_the_images() -> None:
    buffered = nn.Module()
    buffered.register_buffer("table", torch.zeros(2, device="meta"))
    assert Classifier(buffered).device == torch.device("meta")
    empty = Classifier(nn.Flatten())
    assert empty.device == torch.device("cpu")
    empty(IMAGES.to("meta"))
    assert empty.device == torch.device("meta")


@pytest.mark.parametrize("widest", [1, 2, 7, 100, 256])
def test_a_batch_that_gets_smaller_takes_few_sizes(widest) -> None:
    sizes = [rounded_size(count, widest) for count in range(1, widest + 1)]
    assert all(size >= count for count, size in enumerate(sizes, start=1))
    assert sizes == sorted(sizes)
    assert sizes[-1] == widest
    assert len(set(sizes)) <= 11
    assert all(size <= max(1.5 * count + 1, widest / 32 + 1) for count, size in enumerate(sizes, start=1))


def test_rounded_batches_change_no_result(monkeypatch) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(16, 8), nn.Tanh(), nn.Linear(8, 3))
    seen: list[int] = []
    network.register_forward_pre_hook(lambda _, given: seen.append(len(given[0])))
    classifier = Classifier(network)
    images = torch.rand(64, 1, 4, 4)
    labels = classifier.logits(images).argmax(dim=1)
    found, passes = [], []
    for devices in ((), ("cpu",)):
        monkeypatch.setattr("attacks.classifier.PLANNING", devices)
        before, seen[:] = classifier.passes.forwards, []
        found.append(pgd(classifier, images, labels, eps=0.3, steps=60, step_size=0.005))
        passes.append((classifier.passes.forwards - before, len(set(seen))))
    torch.testing.assert_close(found[0], found[1], rtol=0, atol=1e-6)
    assert passes[0][0] == passes[1][0]
    assert passes[0][1] > 12 > passes[1][1] > 2


class Casts(TorchDispatchMode):
    """Counts conversions of matrices to bfloat16."""

    count = 0

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if operation.overloadpacket.__name__ == "_to_copy" and kwargs.get("dtype") is torch.bfloat16:
            self.count += args[0].shape == (5, 16)
        return operation(*args, **kwargs)


def test_weights_are_cast_once_in_an_attack() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(16, 5), nn.Linear(5, 3))
    images, labels = torch.rand(4, 1, 4, 4), torch.arange(4) % 3
    with torch.autocast("cpu", torch.bfloat16), Casts() as casts:
        found = pgd(Classifier(network), images, labels, eps=0.1, steps=6, keep="last")
    assert casts.count == 1
    assert all(parameter.grad is None for parameter in network.parameters())
    with torch.autocast("cpu", torch.bfloat16, cache_enabled=False):
        assert torch.equal(pgd(Classifier(network), images, labels, eps=0.1, steps=6, keep="last"), found)


def test_a_cut_gradient_is_named_under_autocast_too() -> None:
    class Cut(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.last = nn.Linear(16, 3)

        def forward(self, images):
            return self.last(images.detach().flatten(1))

    images, labels = torch.rand(4, 1, 4, 4), torch.arange(4) % 3
    with torch.autocast("cpu", torch.bfloat16), pytest.raises(ValueError, match="cuts its own gradients"):
        pgd(Classifier(Cut()), images, labels, eps=0.1)


@pytest.mark.parametrize("options", [{}, {"mean": (0.1,)}, {"std": (0.5,)}, {"mean": (0.1,), "std": (0.5,)}])
def test_a_network_may_change_what_it_is_given(options) -> None:
    images = torch.rand(4, 1, 4, 4)
    before = images.clone()
    network = nn.Sequential(nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(16, 3))
    classifier = Classifier(network, **options)
    mean, std = options.get("mean", (0.0,))[0], options.get("std", (1.0,))[0]
    assert torch.equal(classifier.logits(images), network((images - mean) / std).detach())
    pgd(classifier, images, torch.zeros(4).long(), eps=0.1, steps=2)
    assert torch.equal(images, before)
