"""Agreement with foolbox, an independent implementation, in the norms that both define alike.

Not l1: foolbox scales back onto the ball, which is no projection, and steps along the whole gradient, which is not the
steepest direction. There the tests of norms and gradients compare with closed forms and scipy.
"""

import warnings
from collections.abc import Iterator
from types import ModuleType

import pytest
import torch
from torch import Tensor, nn

from attacks import Classifier, bim, fgsm, pgd
from attacks.random import seeded

MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)


@pytest.fixture(scope="module")
def foolbox() -> Iterator[ModuleType]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import foolbox

        yield foolbox


@pytest.fixture(params=range(3))
def network(request: pytest.FixtureRequest) -> nn.Module:
    with seeded(request.param):
        return nn.Sequential(
            nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6), nn.Tanh(), nn.Flatten(), nn.Linear(6 * 64, 4)
        ).double().eval()  # fmt: skip


@pytest.mark.parametrize("targeted", [False, True])
@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("name", ["fgsm", "bim", "pgd"])
def test_results_equal_those_of_foolbox(name, norm, targeted, network, draw, foolbox: ModuleType) -> None:
    images, labels = draw(16, (3, 8, 8)), torch.arange(16) % 4
    preprocessing = {"mean": list(MEAN), "std": list(STD), "axis": -3}
    model = foolbox.PyTorchModel(network, bounds=(0, 1), device="cpu", preprocessing=preprocessing)
    criteria = foolbox.criteria.TargetedMisclassification if targeted else foolbox.criteria.Misclassification
    prefix = {"linf": "Linf", "l2": "L2"}[norm]

    def theirs(eps: float) -> Tensor:
        if name == "fgsm" and targeted:  # foolbox's own refuses targets; one step of its iterated form is the same
            attack = getattr(foolbox.attacks, f"{prefix}BasicIterativeAttack")(rel_stepsize=1.0, steps=1)
        elif name == "fgsm":
            attack = getattr(foolbox.attacks, f"{prefix}FastGradientAttack")()
        elif name == "bim":
            attack = getattr(foolbox.attacks, f"{prefix}BasicIterativeAttack")(rel_stepsize=0.2, steps=10)
        else:
            attack = getattr(foolbox.attacks, f"{prefix}ProjectedGradientDescentAttack")(
                rel_stepsize=0.1, steps=25, random_start=False
            )
        return attack.run(model, images, criteria(labels), epsilon=eps)

    def ours(eps: float) -> Tensor:
        classifier = Classifier(network, mean=MEAN, std=STD)
        options = {"eps": eps, "norm": norm, "targeted": targeted}
        if name == "fgsm":
            return fgsm(classifier, images, labels, **options)
        if name == "bim":
            return bim(classifier, images, labels, steps=10, step_size=0.2 * eps, keep="last", **options)
        return pgd(classifier, images, labels, steps=25, random_start=False, keep="last", **options)

    for eps in {"linf": (0.01, 0.3), "l2": (0.1, 3.0)}[norm]:
        torch.testing.assert_close(ours(eps), theirs(eps), rtol=0, atol=1e-6)
