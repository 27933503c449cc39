"""Eight broken defences raise the right warning and four sound networks raise none, through the library's entry points.

The networks learn the 8x8 digits in a second or two.
"""

import math
from collections.abc import Callable
from functools import cache, partial

import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F

from advgan.models.classifiers.cnn import Cnn
from advgan.models.classifiers.mlp import Mlp
from advgan.models.classifiers.resnet import ResNet
from attacks import LINF, TABLE, Attack, Classifier, fgsm, pgd, uniform_noise
from attacks.random import permutation, seeded
from evaluation.record.findings import Finding
from evaluation.under_attack.attack_findings import outcome_findings
from evaluation.under_attack.bound_attacks import Threat
from evaluation.under_attack.classifier_findings import classifier_findings
from evaluation.under_attack.outcomes import clean_outcome
from evaluation.under_attack.probes import Probes
from evaluation.under_attack.trials import attack_outcome, cascade
from evaluation.under_attack.trust import examined
from evaluation.under_attack.trust.convergence import convergence_findings

EPS = 0.15
SHAPE = {"size": 8, "channels": 1, "num_classes": 10}


@cache
def digits() -> tuple[Tensor, Tensor]:
    """All 1,797 images (N, 1, 8, 8) in [0, 1], shuffled, and their labels; the last 400 are for tests."""
    data = load_digits()
    order = permutation(0, len(data.target))
    return torch.from_numpy(data.images).float()[order, None] / 16, torch.from_numpy(data.target)[order]


# A control, a single step, an iterated attack and one without gradients.
SUITE: dict[str, Attack] = {
    "uniform": partial(uniform_noise, eps=EPS),
    "fgsm": partial(fgsm, eps=EPS),
    "pgd": partial(pgd, eps=EPS, steps=20),
    "square": partial(TABLE["square"].attack, eps=EPS, queries=100),
}


def judged(network: nn.Module, *, attacks: dict[str, Attack] = SUITE, num_probes: int = 64) -> list[Finding]:
    """Attack a network on the first 200 test images, and ask whether the numbers can be trusted."""
    images, labels = (values[-400:-200] for values in digits())
    classifier = Classifier(network)
    clean = clean_outcome(classifier, images, labels)
    outcomes = {
        name: attack_outcome(classifier, images, labels, attack, clean=clean) for name, attack in attacks.items()
    }
    return [
        *classifier_findings(classifier, images, labels, clean),
        *outcome_findings(outcomes, attacks),
        *examined(classifier, images, labels, clean, outcomes, attacks, num_probes=num_probes).findings,
    ]


def trained(network: nn.Module, *, seed: int, epochs: int = 8, attack: Attack | None = None) -> nn.Module:
    """Fit a network to the first 1,397 digits, to attacked ones where there is an attack."""
    images, labels = (values[:-400] for values in digits())
    classifier = Classifier(network)
    optimizer = torch.optim.Adam(network.parameters(), 3e-3)
    for epoch in range(epochs):
        for batch in permutation(seed, len(images), stream=epoch).split(64):
            inputs = images[batch] if attack is None else attack(classifier, images[batch], labels[batch])
            loss = F.cross_entropy(network.train()(inputs), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return network.eval()


def plain(seed: int = 0) -> nn.Module:
    with seeded(seed):
        return trained(Cnn(**SHAPE, hidden=64), seed=seed)


def hardened(seed: int = 0) -> nn.Module:
    with seeded(seed):
        return trained(Cnn(**SHAPE, hidden=64), seed=seed, attack=partial(pgd, eps=EPS, steps=4, keep="last"))


def residual(seed: int = 0) -> nn.Module:
    with seeded(seed):
        return trained(ResNet(**SHAPE, depth=1, width=8), seed=seed)


def perceptron(seed: int = 0) -> nn.Module:
    with seeded(seed):
        return trained(Mlp(**SHAPE, width=128), seed=seed)


class Before(nn.Module):
    """Change the images before a network sees them."""

    def __init__(self, change: Callable[[Tensor], Tensor], network: nn.Module) -> None:
        super().__init__()
        self.change, self.network = change, network

    def forward(self, images: Tensor) -> Tensor:
        return self.network(self.change(images))


class After(nn.Module):
    """Change the logits of a network."""

    def __init__(self, network: nn.Module, change: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.network, self.change = network, change

    def forward(self, images: Tensor) -> Tensor:
        return self.change(self.network(images))


def quantised(images: Tensor) -> Tensor:
    """Seven grey levels; no digit has a pixel at the edge of one."""
    return (images * 6.1).round() / 6


def quantised_straight_through(images: Tensor) -> Tensor:
    """The same with the gradient of the identity."""
    return images + (quantised(images) - images).detach()


def noisy(images: Tensor) -> Tensor:
    return images + 0.2 * torch.randn_like(images)


def clamped(images: Tensor) -> Tensor:
    """All but black and white, by a steep ramp between 0.4 and 0.6."""
    return ((images - 0.4) / 0.2).clamp(0, 1)


def compressed(images: Tensor) -> Tensor:
    """JPEG of a single block: the cosine transform, rounded."""
    place = torch.arange(8, dtype=images.dtype)
    basis = torch.cos(math.pi / 8 * (place + 0.5) * place[:, None]) * 0.5
    basis[0] /= math.sqrt(2)
    rounded = (basis @ images @ basis.T / 0.3).round() * 0.3
    return basis.T @ rounded @ basis


def centred(logits: Tensor) -> Tensor:
    """The largest logit above 0, all others below."""
    return logits - logits.topk(2).values.mean(dim=1, keepdim=True)


def squashed(logits: Tensor) -> Tensor:
    return 10 * torch.tanh(5 * centred(logits))


def rectified(logits: Tensor) -> Tensor:
    """Bounded to 0..8 by two rectifiers, of which one is inactive at nearly every logit."""
    return 8 - torch.relu(8 - torch.relu(8 * centred(logits) + 4))


class Detector(nn.Module):
    """Answers class 10, `rejected`, to images whose pixels are between the 17 levels of grey that digits have."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        logits = self.network(images)
        between = torch.sin(16 * math.pi * images).square().mean(dim=(1, 2, 3))
        return torch.cat([logits, logits.amax(dim=1, keepdim=True) + 100 * (between[:, None] - 0.1)], dim=1)


def forgetful(classifier, images, labels, *, eps, norm="linf", indices=None):
    """PGD that goes half of the way back at the end."""
    found = pgd(classifier, images, labels, eps=eps, norm=norm, indices=indices)
    return (images + found) / 2


def shrinking(classifier, images, labels, *, eps, norm="linf", indices=None):
    return pgd(classifier, images, labels, eps=eps if eps <= EPS else EPS / 10, norm=norm, indices=indices)


def warnings(findings: list[Finding]) -> set[str]:
    return {finding.code for finding in findings if finding.level == "warning"}


SOUND = {"cnn": plain, "adversarially trained": hardened, "resnet": residual, "mlp": perceptron}


@pytest.mark.parametrize("name", SOUND)
def test_a_sound_network_raises_no_warning(name):
    found = judged(SOUND[name](0))
    assert [finding for finding in found if finding.level == "warning"] == []


@pytest.fixture(scope="module")
def network():
    return perceptron(0)


DEFENCES: dict[str, tuple[Callable[[nn.Module], nn.Module], set[str]]] = {
    "quantisation": (lambda network: Before(quantised, network), {"zero-gradients", "staircase"}),
    "saturation": (lambda network: After(network, lambda logits: 1000 * logits), {"saturated-logits"}),
    "randomness": (lambda network: Before(noisy, network), {"random-model"}),
    "softmax": (lambda network: nn.Sequential(network, nn.Softmax(dim=1)), {"probability-outputs"}),
    "dead rectifiers": (lambda network: After(network, rectified), {"zero-gradients", "dead-units"}),
    "clamped input": (lambda network: Before(clamped, network), {"input-clamp"}),
    "compression": (lambda network: Before(compressed, network), {"zero-gradients", "non-differentiable-step"}),
    "detector": (Detector, {"reject-class"}),
    "tanh": (lambda network: After(network, squashed), {"zero-gradients"}),
    "substitute gradient": (lambda network: Before(quantised_straight_through, network), {"gradient-disagreement"}),
}


FURTHER = ("tanh", "substitute gradient")  # beside eight


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name in FURTHER else name for name in DEFENCES]
)
def test_a_broken_defence_raises_its_warning(name, network):
    build, codes = DEFENCES[name]
    assert codes <= warnings(judged(build(network)))


@pytest.mark.parametrize("name", ["quantisation", pytest.param("compression", marks=pytest.mark.slow)])
def test_a_way_round_a_hidden_gradient_is_found(name, network):
    found = warnings(judged(DEFENCES[name][0](network), attacks={"pgd": SUITE["pgd"]}))
    assert {"transfer-beats-direct", "black-box-beats-white-box", "unbounded-attack-fails"} <= found


FAILURES: dict[str, tuple[Attack, str]] = {
    "too short": (partial(pgd, eps=EPS, steps=2, step_size=EPS / 10, random_start=False), "not-converged"),
    "steps too small": (
        partial(pgd, eps=EPS, steps=20, step_size=EPS / 60, random_start=False),
        "incomplete-optimisation",
    ),
    "forgets": (partial(forgetful, eps=EPS, norm="linf"), "silent-success"),
}


@pytest.mark.parametrize("name", FAILURES)
def test_a_failing_attack_is_found_out(name, network):
    attack, code = FAILURES[name]
    assert code in warnings(judged(network, attacks={name: attack}))


def test_an_attack_that_wastes_twice_the_budget_is_found_out(network):
    images, labels = (values[-400:-200] for values in digits())
    classifier, attack = Classifier(network), partial(shrinking, eps=EPS)
    clean = clean_outcome(classifier, images, labels)
    outcome = attack_outcome(classifier, images, labels, attack, clean=clean)
    probes = Probes.of(classifier, images, labels, clean, count=64, seed=0)
    threat = Threat("shrinking", attack, LINF, EPS, outcome.robust)
    assert "larger-eps-weaker" in warnings(convergence_findings(probes, threat, {"shrinking": outcome}))


NEAREST: dict[str, Attack] = {
    "fmn": partial(TABLE["fmn"].attack, eps=0.08, steps=20),
    "fab": partial(TABLE["fab"].attack, eps=0.08, steps=5),
    "deepfool": partial(TABLE["deepfool"].attack, eps=0.08, norm="linf"),
    "ddn": partial(TABLE["ddn"].attack, eps=0.5, steps=20),
}


@pytest.mark.parametrize("name", NEAREST)
def test_an_attack_that_looks_for_the_nearest_image_raises_no_warning_on_a_sound_network(name, network):
    assert warnings(judged(network, attacks={name: NEAREST[name]}, num_probes=24)) == set()


def test_a_cascade_that_ends_with_the_nearest_image_raises_no_warning_on_a_sound_network(network):
    images, labels = (values[-400:-300] for values in digits())
    classifier = Classifier(network)
    attacks = {"pgd": partial(pgd, eps=0.08, steps=10, loss="margin"), "fmn": NEAREST["fmn"]}
    clean = clean_outcome(classifier, images, labels)
    outcomes = cascade(classifier, images, labels, attacks, clean=clean)
    found = examined(classifier, images, labels, clean, outcomes, attacks, num_probes=24).findings
    assert warnings([*outcome_findings(outcomes, attacks), *found]) == set()


def test_what_more_steps_break_is_no_merit_of_another_way(network):
    found = judged(network, attacks={"fgsm": partial(fgsm, eps=0.8, norm="l2")}, num_probes=32)
    assert "transfer-beats-direct" not in warnings(found)
