import pytest
import torch

from attacks.random import normal
from evaluation.features import tiles
from evaluation.features.neighbours import repeated
from evaluation.neighbourhoods.precision_recall import neighbourhoods, null_coverage, precision_recall


def gaussian(seed, count, dim=8, *, scale=1.0, shift=0.0):
    return scale * normal(seed, torch.arange(count), (dim,), dtype=torch.float64) + shift


def values(real, fake):
    return {name: estimate.value for name, estimate in precision_recall(real, fake).items()}


def fidelity(real, fake):
    from torch_fidelity.metric_prc import KEY_METRIC_PRECISION, KEY_METRIC_RECALL, prc_features_to_metric

    found = prc_features_to_metric(fake, real, verbose=False)  # it takes the generated set first
    return found[KEY_METRIC_PRECISION], found[KEY_METRIC_RECALL]


def by_definition(real, fake, k):
    """Density and coverage of Naeem et al. (2020), sample by sample, with closed balls."""

    def distance(x, y):
        return float((x - y).norm())

    radii = [sorted(distance(x, other) for other in real)[k] for x in real]
    inside = [[distance(y, x) <= radius for x, radius in zip(real, radii, strict=True)] for y in fake]
    density = sum(map(sum, inside)) / (k * len(fake))
    coverage = sum(any(row[i] for row in inside) for i in range(len(real))) / len(real)
    return density, coverage


@pytest.mark.parametrize(("scale", "shift"), [(1, 0), (0.5, 0), (2, 0), (1, 0.7)])
def test_precision_and_recall_equal_torch_fidelity(scale, shift):
    real, fake = gaussian(0, 400), gaussian(1, 300, scale=scale, shift=shift)
    found = values(real, fake)
    assert (found["precision"], found["recall"]) == pytest.approx(fidelity(real, fake), abs=1e-6)


def test_density_and_coverage_equal_their_definition():
    real, fake = gaussian(0, 30, 3), gaussian(1, 20, 3, shift=0.5)
    found = values(real, fake)
    assert (found["density"], found["coverage"]) == pytest.approx(by_definition(real, fake, 5))


def test_fakes_at_one_mode_are_precise_but_recall_nothing():
    real = torch.cat([gaussian(0, 100), gaussian(1, 100, shift=20)])
    found = values(real, gaussian(2, 200))
    assert found["precision"] > 0.8
    assert found["recall"] < 0.55
    assert found["coverage"] < 0.55


def test_fakes_far_too_wide_recall_the_reals_but_are_not_precise():
    found = values(gaussian(0, 300, 2), gaussian(1, 300, 2, scale=5))
    assert found["precision"] < 0.3 < 0.7 < found["recall"]


def test_a_set_matches_itself_even_where_every_row_is_there_twice():
    """With open balls (prdc's rule) repeated rows would give 0 throughout."""
    rows = gaussian(0, 40).float().repeat(8, 1)
    assert values(rows, rows) == pytest.approx(
        {"precision": 1, "recall": 1, "density": 320 / 40 / 5 * 1, "coverage": 1}
    )


def test_a_collapsed_generator_on_a_real_image_is_precise_and_covers_little():
    real = gaussian(0, 50)
    found = neighbourhoods(real, real[:1].repeat(20, 1))
    assert found.fake_in_real.all()
    assert found.real_in_fake.tolist() == [True] + [False] * 49


def test_repeated_rows_are_told_from_close_ones():
    fake = gaussian(0, 20).float()
    fake[3] = fake[7]
    fake[5] = fake[8] + 1e-3
    assert repeated(fake).nonzero().flatten().tolist() == [3, 7]
    assert not repeated(fake[:1]).any()


def test_every_repeated_row_is_found_whatever_the_rounding():
    rows = gaussian(0, 200, 50).float()
    assert repeated(torch.cat([rows, rows.flip(0)])).all()
    assert not repeated(rows).any()


def test_far_from_the_origin_nothing_is_lost_to_rounding():
    real, fake = gaussian(0, 100), gaussian(1, 100, scale=0.7)
    assert values(real + 1e6, fake + 1e6) == values(real, fake)


def test_a_sample_exactly_on_the_rim_is_inside():
    real = torch.arange(8.0).reshape(8, 1)
    outside, rim = torch.full((6, 1), 10.001), torch.full((6, 1), 10.0)  # 7 reaches to 4, so to 10
    assert not neighbourhoods(real, outside).fake_in_real.any()
    assert neighbourhoods(real, rim).fake_in_real.all()


@pytest.mark.parametrize("swap", [False, True])
def test_a_sample_mirrored_onto_the_rim_is_inside_whatever_the_rounding(swap):
    """The third neighbour of a lonely sample, mirrored at it, is exactly as far away and near to nothing else."""
    for seed in range(30):
        crowd, lonely = gaussian(seed, 20), 20 + gaussian(99, 1)
        third = crowd[(crowd - lonely).norm(dim=1).argsort()[2]]
        mirrored = (2 * lonely - third).repeat(6, 1) if not swap else torch.cat([2 * lonely - third, crowd[:6] + 200])
        own = torch.cat([crowd, lonely])
        if swap:
            assert neighbourhoods(mirrored, own).real_in_fake[0]
        else:
            assert neighbourhoods(own, mirrored).fake_in_real.all()


def test_chunks_change_nothing(monkeypatch):
    real, fake = gaussian(0, 60), gaussian(1, 45, shift=0.3)
    whole = neighbourhoods(real, fake)
    monkeypatch.setattr(tiles, "_rows_at_once", lambda features: 7)
    assert all(torch.equal(a, b) for a, b in zip(whole, neighbourhoods(real, fake), strict=True))


def test_the_null_coverage_and_density_are_what_equal_distributions_score():
    runs = [neighbourhoods(gaussian(2 * trial, 200, 4), gaussian(2 * trial + 1, 150, 4)) for trial in range(30)]
    covered = sum(float(run.covered.double().mean()) for run in runs) / 30
    assert covered == pytest.approx(null_coverage(200, 150), abs=0.008)
    assert sum(float(run.density.mean()) for run in runs) / 30 == pytest.approx(1, abs=0.03)


def test_the_null_coverage_has_its_known_value():
    assert null_coverage(10_000, 10_000) == pytest.approx(0.96877, abs=1e-5)


def test_too_few_samples_are_refused():
    with pytest.raises(ValueError, match="at least 6 rows"):
        precision_recall(gaussian(0, 50), gaussian(1, 5))


SETS = {
    "gaussian": lambda: (gaussian(0, 1500, 20).float(), gaussian(1, 1100, 20).float()),
    "blurred": lambda: (gaussian(0, 1100, 40).float(), gaussian(1, 1100, 40, scale=0.2).float()),
    "every row twice": lambda: (gaussian(0, 600).float().repeat(2, 1), gaussian(0, 600).float()),
    "all equal": lambda: (torch.ones(600, 4), torch.ones(600, 4)),
    "collapsed": lambda: (gaussian(0, 800).float(), gaussian(1, 1).float().repeat(700, 1)),
    "bits": lambda: tuple(gaussian(seed, 900, 10).sign() for seed in (0, 1)),
    "grid": lambda: tuple((2 * gaussian(seed, 900, 4)).round() for seed in (0, 1)),
    "tight clusters": lambda: tuple(clusters(seed) for seed in (0, 1)),
    "far away": lambda: tuple(gaussian(seed, 900, 5).float() + 3e4 for seed in (0, 1)),
    "huge": lambda: tuple(1e30 * gaussian(seed, 300, 5) for seed in (0, 1)),
    "tiny": lambda: tuple(1e-30 * gaussian(seed, 300, 5) for seed in (0, 1)),
}


def clusters(seed):
    """So tight that float32 cannot tell the distances within them apart."""
    return (100 * gaussian(9, 10, 30)).repeat(80, 1) + 1e-4 * gaussian(seed, 800, 30)


@pytest.mark.parametrize("name", SETS)
def test_float32_changes_no_decision(name):
    real, fake = SETS[name]()
    found, expected = neighbourhoods(real, fake), in_float64(real, fake)
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(found, expected, strict=True))


def in_float64(real, fake):
    """The same from whole matrices of plain differences; distances a millionth of a millionth apart are equal."""

    def squared(x, y):
        mode = "donot_use_mm_for_euclid_dist"
        return torch.cdist(x.double(), y.double(), compute_mode=mode).square()

    def radii(rows, k):
        return squared(rows, rows).kthvalue(k + 1, dim=1).values * (1 + 1e-12)

    across = squared(fake, real)
    inside = across <= radii(real, 5)
    recalled = (across <= radii(fake, 3)[:, None]).any(dim=0)
    return (across <= radii(real, 3)).any(dim=1), recalled, inside.double().sum(dim=1) / 5, inside.any(dim=0)


def test_float32_features_equal_torch_fidelity_too():
    real, fake = gaussian(0, 700, 64).float(), gaussian(1, 500, 64, scale=0.95).float()
    found = values(real, fake)
    assert (found["precision"], found["recall"]) == pytest.approx(fidelity(real, fake), rel=1e-6)


@pytest.mark.slow
def test_the_case_of_the_readme_of_prdc():
    """N(0, I) in 1000 dimensions, 10,000 samples each: density 1.0555 and coverage 0.9735 there, of one draw."""
    found = neighbourhoods(gaussian(0, 10_000, 1000).float(), gaussian(1, 10_000, 1000).float())
    assert float(found.density.mean()) == pytest.approx(1.0555, abs=0.15)  # a few hubs decide in 1000 dimensions
    assert float(found.covered.double().mean()) == pytest.approx(null_coverage(10_000, 10_000), abs=0.006)
