import math

import numpy as np
import pytest
import torch

from evaluation.fidelity import kernel_pairs
from evaluation.fidelity.cmmd import cmmd


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def drawn(count, dim, generator, *, shift=0.0):
    return torch.randn(count, dim, dtype=torch.float64, generator=generator) + shift


def by_definition(real, fake):
    """The authors' formula over whole kernel matrices: (unbiased, biased)."""
    real, fake = (features / features.norm(dim=1, keepdim=True) for features in (real, fake))
    k = [torch.exp(-torch.cdist(x, y).square() / 200) for x, y in ((real, real), (fake, fake), (real, fake))]
    biased = k[0].mean() + k[1].mean() - 2 * k[2].mean()
    n, m = len(real), len(fake)
    unbiased = (k[0].sum() - n) / (n * (n - 1)) + (k[1].sum() - m) / (m * (m - 1)) - 2 * k[2].mean()
    return 1000 * float(unbiased), 1000 * float(biased)


def test_it_equals_the_formula_of_its_authors():
    real, fake = drawn(70, 12, seeded()), drawn(50, 12, seeded(1), shift=0.5)
    found, expected = cmmd(real, fake), by_definition(real, fake)
    assert found.unbiased.value == pytest.approx(expected[0], rel=1e-9)
    assert found.biased == pytest.approx(expected[1], rel=1e-9)


def test_two_points_have_a_closed_form():
    """Sets of copies of two points at distance 2: 2000 (1 - exp(-4 / 200)); nothing of it is bias."""
    point = torch.tensor([[1.0, 0.0]]).repeat(5, 1)
    found = cmmd(point, -point)
    assert found.biased == pytest.approx(2000 * (1 - math.exp(-0.02)), rel=1e-6)
    assert found.unbiased.value == pytest.approx(found.biased, rel=1e-6)


def test_equal_sets_are_at_0_by_the_biased_value_and_below_it_by_the_other():
    real = drawn(30, 6, seeded())
    found = cmmd(real, real)
    assert found.biased == pytest.approx(0, abs=1e-9)
    assert found.unbiased.value < 0


def test_on_average_equal_distributions_are_at_0_by_the_unbiased_value_only():
    generator = seeded()
    found = [cmmd(drawn(40, 8, generator), drawn(30, 8, generator)) for _ in range(100)]
    values = np.array([each.unbiased.value for each in found])
    assert abs(values.mean()) < 3 * values.std() / 10
    assert np.mean([each.biased for each in found]) == pytest.approx(1000 * (1 / 40 + 1 / 30) / 100, rel=0.1)


def test_the_length_of_an_embedding_does_not_matter_unless_it_is_asked_to():
    real, fake = drawn(30, 6, seeded()), drawn(20, 6, seeded(1), shift=0.3)
    assert cmmd(3 * real, 5 * fake).unbiased.value == pytest.approx(cmmd(real, fake).unbiased.value, rel=1e-9)
    as_they_are = cmmd(3 * real, 3 * fake, normalise=False).unbiased.value
    assert as_they_are != pytest.approx(cmmd(real, fake, normalise=False).unbiased.value, rel=0.1)


def test_tiles_and_float32_change_nothing_but_rounding(monkeypatch):
    real, fake = drawn(50, 20, seeded()), drawn(43, 20, seeded(1), shift=0.2)
    whole = cmmd(real, fake)
    single = cmmd(real.float(), fake.float())
    assert single.unbiased.value == pytest.approx(whole.unbiased.value, rel=1e-4)
    monkeypatch.setattr(kernel_pairs, "_TILE", 7)
    assert np.allclose(cmmd(real, fake).unbiased, whole.unbiased, rtol=1e-10)


@pytest.mark.parametrize("shift", [0.0, 0.1, 0.4])
@pytest.mark.parametrize("counts", [(50, 50), (40, 90)])
def test_its_interval_holds_the_limit(shift, counts):
    generator = seeded()
    found = np.array(
        [
            cmmd(drawn(counts[0], 8, generator), drawn(counts[1], 8, generator, shift=shift), normalise=False).unbiased
            for _ in range(100)
        ]
    )
    between = 4 * math.log1p(2 / 100)  # E k = (1 + 2 / sigma^2)^(-D / 2) exp(-|shift|^2 / (2 sigma^2 + 4)), D = 8
    truth = 2000 * math.exp(-between) * -math.expm1(-8 * shift**2 / 204)
    assert ((found[:, 1] < truth) & (truth < found[:, 2])).mean() >= 0.87


def test_few_rows_have_a_value_without_an_interval_and_an_embedding_of_0_is_refused():
    found = cmmd(drawn(3, 4, seeded()), drawn(9, 4, seeded(1)))
    assert math.isfinite(found.unbiased.value)
    assert math.isnan(found.unbiased.low)
    with pytest.raises(ValueError, match="has no direction"):
        cmmd(torch.zeros(5, 3), torch.ones(5, 3))
