"""Defects of foolbox 3.3.4 that the adapter refuses or repairs, seen in foolbox itself where that is short."""

import warnings

import eagerpy
import pytest
import torch
from torch import Tensor, nn

from attacks import Classifier, fgsm, fooled
from attacks.foolbox import foolbox_attack
from attacks.random import seeded, uniform

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import foolbox


class Constant(nn.Module):
    """Says the first class whatever it sees, with gradients that are all 0."""

    def forward(self, images: Tensor) -> Tensor:
        return torch.stack([1 + 0 * images.flatten(1).sum(dim=1), 0 * images.flatten(1).sum(dim=1)], dim=1)


@pytest.fixture
def classifier() -> Classifier:
    with seeded(2):
        return Classifier(nn.Sequential(nn.Flatten(), nn.Linear(16, 8), nn.Tanh(), nn.Linear(8, 3)))


@pytest.fixture
def images() -> Tensor:
    return uniform(5, torch.arange(4), (1, 4, 4))


@pytest.fixture
def labels(classifier, images) -> Tensor:
    return classifier.logits(images).argmax(dim=1)


def refused(name: str, way_out: str) -> None:
    with pytest.raises(ValueError, match=f"foolbox:{name} is refused: .*{way_out}"):
        foolbox_attack(name)


def alone_equals_batch(name: str, classifier: Classifier, images: Tensor, labels: Tensor, **options: object) -> bool:
    """Whether each sample gets the same by itself as in the batch."""
    attack = foolbox_attack(name)
    whole = attack(classifier, images, labels, **options)
    assert not torch.equal(whole, images)
    parts = [
        attack(classifier, images[k : k + 1], labels[k : k + 1], indices=torch.tensor([k]), **options)
        for k in range(len(images))
    ]
    return torch.allclose(torch.cat(parts), whole, rtol=0, atol=1e-5)


def test_foolbox_l2_fmn_never_projects(images) -> None:
    """Its factor is the quotient of one norm by itself, so that a perturbation of any size stays as it is."""
    far = foolbox.attacks.L2FMNAttack().project(
        *(eagerpy.astensor(x) for x in (images + 1, images, torch.full((4,), 0.1)))
    )
    assert ((far.raw - images).flatten(1).norm(dim=1) > 3).all()
    refused("L2FMNAttack", "use fmn")


def test_foolbox_linf_momentum_adds_up_signs(images) -> None:
    """Gradients are made signs before the momentum sees them, so that small ones weigh as much as large ones."""
    attack = foolbox.attacks.LinfMomentumIterativeFastGradientMethod()
    seen = attack.normalize(eagerpy.astensor(images - 0.5), x=eagerpy.astensor(images), bounds=(0, 1))
    assert torch.equal(seen.raw, (images - 0.5).sign())
    refused("LinfMomentumIterativeFastGradientMethod", "use mifgsm")


def test_foolbox_ddn_divides_by_a_length_of_0() -> None:
    """A sample with a zero gradient never moves, and its perturbation is 0 / 0 from the first step on."""
    refused("DDNAttack", "use ddn")


def test_foolbox_ead_returns_black_images(images) -> None:
    """Where it finds nothing it returns zeros in place of the image."""
    model = foolbox.PyTorchModel(Constant().eval(), bounds=(0, 1), device="cpu")
    criterion = foolbox.criteria.Misclassification(torch.zeros(4, dtype=torch.int64))
    assert (foolbox.attacks.EADAttack(steps=2, binary_search_steps=1).run(model, images, criterion) == 0).all()
    refused("EADAttack", "use ead")


def test_foolbox_es_gradient_weights_noise_with_the_loss_of_the_batch() -> None:
    """Each sample's noise is multiplied by the sum of all losses, so that the estimate drowns as the batch grows."""
    refused("es_gradient_estimator", "use nes")


@pytest.mark.parametrize("norm", ["Linf", "L2", "L1"])
def test_foolbox_fgsm_refuses_targets(norm, classifier, images, labels) -> None:
    """It raises for targets, although one step towards a class is as well defined as one away from it."""
    with pytest.raises(ValueError, match="targeted=True: it takes no targets: use fgsm"):
        foolbox_attack(f"{norm}FastGradientAttack")(classifier, images, labels, eps=0.1, targeted=True)
    assert not torch.equal(fgsm(classifier, images, labels, eps=0.1, targeted=True), images)


@pytest.mark.parametrize("norm", ["Linf", "L2"])
def test_foolbox_deepfool_ignores_targets(norm, classifier, images, labels) -> None:
    """It takes a target and runs to the nearest class all the same."""
    with pytest.raises(ValueError, match="it runs to the nearest class, whatever the target: use fab"):
        foolbox_attack(f"{norm}DeepFoolAttack")(classifier, images, labels, targeted=True)


def test_foolbox_sparse_l1_inflates_what_is_in_the_ball(classifier, images, labels) -> None:
    """It projects all samples outwards too as soon as one is outside."""
    inside, outside = torch.zeros(1, 16), torch.ones(1, 16)
    inside[0, 0] = 0.1
    both = eagerpy.astensor(torch.cat([inside, outside]))
    sizes = foolbox.attacks.SparseL1DescentAttack().project(both, both * 0, 1.0).raw.abs().sum(dim=1)
    assert sizes[0] > 0.2
    assert alone_equals_batch("SparseL1DescentAttack", classifier, images, labels, eps=1.0, quantile=0.8)


def test_foolbox_sparse_l1_masks_the_wrong_pixels_for_targets(classifier, images, labels) -> None:
    """Pixels at a bound are masked by the sign of an untargeted step."""
    with pytest.raises(ValueError, match="its mask of pixels at their bounds is that of an untargeted attack: use pgd"):
        foolbox_attack("SparseL1DescentAttack")(classifier, images, labels, eps=1.0, targeted=True)


def test_foolbox_hopskipjump_divides_by_the_norm_of_the_batch(classifier, images, labels) -> None:
    """Its steps shrink as the batch grows; the adapter shows it one sample at a time."""
    options = {"steps": 1, "initial_gradient_eval_steps": 5}
    assert alone_equals_batch("HopSkipJumpAttack", classifier, images[:2], labels[:2], **options)


def test_foolbox_hopskipjump_grid_search_has_a_dimension_too_many(classifier, images, labels) -> None:
    """The best step of each sample indexes steps alone, and brings all samples with it."""
    with pytest.raises(ValueError, match="stepsize_search='grid_search' mixes up samples"):
        foolbox_attack("HopSkipJumpAttack")(classifier, images, labels, stepsize_search="grid_search")


def test_foolbox_carlini_wagner_stops_all_samples_at_once(classifier, images, labels) -> None:
    """It gives up when the sum of all losses stalls, so that a sample's result depends on its neighbours."""
    options = {"steps": 20, "binary_search_steps": 3, "initial_const": 1.0, "stepsize": 0.05}
    assert alone_equals_batch("L2CarliniWagnerAttack", classifier, images, labels, **options)


@pytest.mark.parametrize("name", ["L2CarliniWagnerAttack", "BinarySearchContrastReductionAttack", "NewtonFoolAttack"])
def test_foolbox_returns_images_that_do_not_fool(name, images) -> None:
    """Where nothing is found the result is black, grey or NaN; the adapter returns the image itself."""
    options = {} if name.startswith("Binary") else {"steps": 2}
    adversarial = foolbox_attack(name)(Classifier(Constant()), images, torch.zeros(4, dtype=torch.int64), **options)
    assert torch.equal(adversarial, images)


def test_foolbox_virtual_adversarial_fails_for_all_if_one_gradient_vanishes(images) -> None:
    """It raises RuntimeError for the batch; the adapter leaves that sample as it is and goes on."""

    class Flat(nn.Module):
        def forward(self, inputs: Tensor) -> Tensor:
            value = inputs.flatten(1).square().sum(dim=1) * (inputs[:, 0, 0, 0] > 0.5)
            return torch.stack([value, -value - 1], dim=1)

    images = torch.cat([images[:1] * 0, images[1:] * 0.4 + 0.55])
    attack = foolbox_attack("VirtualAdversarialAttack")
    adversarial = attack(Classifier(Flat()), images, torch.zeros(4, dtype=torch.int64), eps=0.1, steps=1, xi=0.1)
    assert (adversarial[1:] != images[1:]).flatten(1).any(dim=1).all()
    assert ((adversarial >= 0) & (adversarial <= 1)).all()


def test_foolbox_genattack_depends_on_a_constant_added_to_the_logits(classifier, images, labels) -> None:
    """Its fitness subtracts a logit from a sum of exponentials, and overflows where logits are large."""

    class Shifted(nn.Module):
        def forward(self, inputs: Tensor) -> Tensor:
            return classifier.network(inputs) + 200

    options = {"eps": 0.1, "steps": 3, "population": 4, "targeted": True}
    plain = foolbox_attack("GenAttack")(classifier, images, (labels + 1) % 3, **options)
    shifted = foolbox_attack("GenAttack")(Classifier(Shifted()), images, (labels + 1) % 3, **options)
    torch.testing.assert_close(shifted, plain, rtol=0, atol=1e-5)
    assert not torch.equal(plain, images)


def test_foolbox_boundary_fails_for_all_if_one_start_fails(images) -> None:
    """One sample without a start is a ValueError for the batch; the adapter leaves it as it is and goes on."""

    class Stubborn(nn.Module):
        """Bright images are of the second class, but nothing is of the third."""

        def forward(self, inputs: Tensor) -> Tensor:
            mean = inputs.flatten(1).mean(dim=1)
            return torch.stack([torch.full_like(mean, 0.4), mean, torch.full_like(mean, -1)], dim=1)

    images, targets = images * 0.3, torch.tensor([1, 2, 1, 2])
    classifier = Classifier(Stubborn())
    adversarial = foolbox_attack("BoundaryAttack")(classifier, images, targets, targeted=True, steps=3)
    assert fooled(classifier.logits(adversarial), targets, targeted=True).tolist() == [True, False, True, False]
    assert torch.equal(adversarial[1::2], images[1::2])


def test_foolbox_pointwise_forgets_its_distance(classifier, images, labels) -> None:
    """Its constructor never sets a distance, so that it fails with any eps."""
    with pytest.raises(AttributeError):
        assert foolbox.attacks.PointwiseAttack().distance
    adversarial = foolbox_attack("PointwiseAttack")(classifier, images[:1], labels[:1], eps=2.0, norm="l1")
    assert 0 < (adversarial - images[:1]).abs().sum() <= 2.0 + 1e-5
