import math

import pytest
import torch

from attacks.random import normal
from evaluation.features.features import Features, TooFewError
from evaluation.features.seen import Sample, Seen
from evaluation.fidelity.cmmd import cmmd
from evaluation.fidelity.frechet_floor import frechet_floor
from evaluation.fidelity.frechet_infinity import frechet_infinity
from evaluation.fidelity.frechet_interval import frechet_estimate
from evaluation.fidelity.mind import mind_estimate
from evaluation.fidelity.rows import FIDELITY_METRICS, fidelity_findings, fidelity_rows


def sample(seed, count, *, name="cnn", dim=6, shift=0.0):
    values = normal(seed, torch.arange(count), (dim,)) + shift
    return Sample(features=Features(values, torch.ones(count, 1), name, "abc", f"{name} abc"))


def seen(counts=(80, 60), *, held_out=40, **options):
    real, fake = (sample(seed, count, **options) for seed, count in enumerate(counts))
    return Seen(real=real, fake=fake, held_out=sample(2, held_out, **options) if held_out else None, seed=3)


def named(rows):
    return {metric: (estimate, samples, protocol) for metric, estimate, samples, protocol in rows}


DISTANCES = ("fd", "fd_floor", "fd_infinity", "fd_real", "fd_unseen", "fd_unseen_floor", "mind")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("cnn", {f"{word}[cnn]" for word in DISTANCES}),
        ("inception", {word.replace("fd", "fid") for word in DISTANCES}),
        ("clip-vit-b-32", {f"{word}[clip-vit-b-32]" for word in DISTANCES} | {"cmmd"}),
    ],
)
def test_rows_are_named_after_the_features(name, expected):
    rows = fidelity_rows(seen(name=name), FIDELITY_METRICS)
    assert {metric for metric, *_ in rows} == expected


def test_rows_hold_the_numbers_of_the_measures_in_the_order_real_fake():
    given = seen()
    real, fake = given.real.features.values, given.fake.features.values
    found = named(fidelity_rows(given, FIDELITY_METRICS))
    assert found["fd[cnn]"][0] == frechet_estimate(real, fake, seed=3)
    assert found["fd_floor[cnn]"][0].value == frechet_floor(real, 60)
    assert found["fd_infinity[cnn]"][0] == frechet_infinity(real, fake, seed=3).limit
    assert found["mind[cnn]"][0] == mind_estimate(real, fake, seed=3)
    assert found["fd_real[cnn]"][1] == 40
    assert all(samples == 60 for name, (_, samples, _) in found.items() if name != "fd_real[cnn]")
    clip = named(fidelity_rows(seen(name="clip-rn50"), ["cmmd"]))["cmmd"]
    assert clip[0] == cmmd(real, fake).unbiased
    assert f"{cmmd(real, fake).biased:.4g}" in clip[2]


def test_every_row_has_an_interval_and_says_what_it_is_about():
    for _, estimate, _, protocol in fidelity_rows(seen(name="clip-rn50"), FIDELITY_METRICS):
        assert estimate.low <= estimate.value < estimate.high
        assert "95 % interval" in protocol


@pytest.mark.parametrize("word", FIDELITY_METRICS)
def test_only_what_is_wanted_is_computed(word):
    rows = fidelity_rows(seen(name="clip-rn50"), [word])
    assert [metric.partition("[")[0].replace("fd", "fid") for metric, *_ in rows] == [word]
    assert fidelity_rows(seen(), []) == []


def test_what_these_images_do_not_allow_is_left_out():
    assert fidelity_rows(seen(held_out=0), ["fid_real"]) == []
    assert fidelity_rows(seen(), ["cmmd"]) == []
    with pytest.raises(TooFewError, match="at least 32 rows"):
        fidelity_rows(seen((80, 31)), ["fid_infinity"])


def test_held_out_images_stand_in_for_as_many_fakes_drawn_from_all_of_them():
    """They come sorted by class, so the first ones would be of other classes."""
    given = seen((200, 50), held_out=200)
    given.held_out.features.values[100:] += 8
    given.real.features.values[100:] += 8
    (_, estimate, samples, protocol) = fidelity_rows(given, ["fid_real"])[0]
    assert samples == 50
    assert "50 held-out real images in place of 50 generated" in protocol
    assert estimate.value < 20


def test_few_images_are_a_finding_of_the_extrapolation_alone():
    given = seen((40, 40), dim=30)
    rows = fidelity_rows(given, ["fid", "fid_infinity"])
    assert [finding.code for finding in fidelity_findings(given, rows)] == ["frechet-infinity-few"]
    assert fidelity_findings(given, [row for row in rows if "infinity" not in row[0]]) == []
    assert fidelity_findings(seen(), fidelity_rows(seen(), FIDELITY_METRICS)) == []


def test_a_third_point_off_the_line_is_told():
    told = named(fidelity_rows(seen(), ["fid_infinity"]))["fd_infinity[cnn]"][2]
    assert "halves and quarters" in told
    assert "off;" in told
    two = named(fidelity_rows(seen(dim=20), ["fid_infinity"]))["fd_infinity[cnn]"]
    assert "fit not tested by a third point" in two[2]
    assert math.isfinite(two[0].low)
