"""SimBA takes each direction of its basis once, and finds the boundary of a linear model."""

import pytest
import torch

from attacks import fooled
from attacks.black_box.simba import _Pixels, _Waves, simba
from attacks.random import normal, uniform


@pytest.mark.parametrize("basis", [_Pixels, _Waves])
@pytest.mark.parametrize("shape", [(1, 4, 6), (3, 5, 2)])
def test_a_basis_is_orthonormal(basis, shape) -> None:
    images = torch.zeros(1, *shape, dtype=torch.float64)
    count = images.numel()
    vectors = basis(images).at(torch.arange(count)).flatten(1)
    torch.testing.assert_close(vectors @ vectors.T, torch.eye(count, dtype=torch.float64))


def test_low_frequencies_come_first() -> None:
    rank = _Waves(torch.zeros(1, 1, 32, 32)).rank
    assert (rank[:4, :4] == 0).all()
    assert rank[4, 0] == rank[0, 4] == rank[4, 4] == 1
    assert rank[31, 31] == 28


@pytest.mark.parametrize(("norm", "basis", "enough"), [("linf", "pixel", 1.001), ("l2", "pixel", 2), ("l2", "dct", 2)])
def test_a_sample_falls_exactly_when_eps_exceeds_its_distance(norm, basis, enough, linear) -> None:
    """In linf two queries decide each value for good."""
    weight = normal(3, torch.arange(1), (1, 4, 4), dtype=torch.float64)
    images = 0.5 + 0.1 * (uniform(1, torch.arange(16), (1, 4, 4), dtype=torch.float64) - 0.5)
    classifier = linear(weight, -0.5 * weight.sum().item())
    score = classifier.logits(images)[:, 1]
    labels = (score > 0).long()
    size = weight.abs().sum() if norm == "linf" else weight.square().sum().sqrt()
    for ratio, falls in ((1 - 1e-6, False), (enough, True)):
        eps = ratio * score.abs() / size
        step_size = eps if norm == "linf" else eps / 3
        with classifier.tallied(16) as tally:
            adversarial = simba(
                classifier, images, labels, eps=eps, norm=norm, basis=basis, step_size=step_size, queries=100
            )
        assert fooled(classifier.logits(adversarial), labels).tolist() == [falls] * 16
        assert (tally.forwards <= 2 + 2 * 16).all() if falls and norm == "linf" else (tally.forwards <= 100).all()
        assert falls or (tally.forwards == 100).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"norm": "l1"}, "simba has no form for l1: choose from l2, linf"),
        ({"basis": "wavelet"}, "unknown basis 'wavelet': choose from pixel, dct"),
        ({"queries": 0}, "queries must be 1 or more; got 0"),
    ],
)
def test_wrong_options_are_named(options, message, rowwise, draw) -> None:
    with pytest.raises(ValueError, match=message):
        simba(rowwise, draw(2), torch.zeros(2, dtype=torch.int64), **{"eps": 0.1, **options})
