import dataclasses

import numpy as np
import pytest
import torch
from torch import Tensor
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_isc import isc_features_to_metric
from torch_fidelity.metric_kid import kid_features_to_metric
from torch_fidelity.metric_prc import prc_features_to_metric

from attacks.random import normal, uniform
from evaluation.features.features import Features
from evaluation.features.protocols import DEFAULT, PROTOCOLS, protocol_named, protocol_of
from evaluation.protocol_scores import frechet_under, kernel_under, protocol_scores, score_under

REAL = uniform(0, torch.arange(1100), (16,)) + 20
FAKE = uniform(1, torch.arange(1200), (16,)) * 1.2 + 20
LOGITS = normal(2, torch.arange(1200), (10,)) * 2


def seen(values: Tensor, logits: Tensor, name: str = "inception") -> Features:
    return Features(values, logits.double().softmax(dim=1), name, "digest")


def frechet(real: Tensor, fake: Tensor, *, ddof: int, dtype: type) -> float:
    """Written out with numpy alone."""
    means = [each.numpy().astype(dtype).mean(axis=0).astype(float) for each in (real, fake)]
    first, second = (np.cov(each.double().numpy(), rowvar=False, ddof=ddof) for each in (real, fake))
    root = np.sqrt(np.linalg.eigvals(first @ second).astype(complex)).real.sum()
    return float(((means[0] - means[1]) ** 2).sum() + np.trace(first) + np.trace(second) - 2 * root)


def test_a_protocol_is_a_frozen_value_found_by_its_name() -> None:
    assert list(PROTOCOLS) == ["torch-fidelity", "pytorch-fid", "clean", "stylegan3"]
    assert PROTOCOLS[DEFAULT].extractor == "inception"
    with pytest.raises(dataclasses.FrozenInstanceError):
        PROTOCOLS[DEFAULT].ddof = 0  # type: ignore[misc]
    with pytest.raises(ValueError, match="no protocol 'cleaner': choose torch-fidelity, pytorch-fid, clean"):
        protocol_named("cleaner")
    for name, protocol in PROTOCOLS.items():
        assert protocol_of(protocol.extractor) is protocol
        assert protocol.words.startswith(f"{name} protocol: 8-bit images, ")
    assert protocol_of("cnn") is PROTOCOLS[DEFAULT]
    assert len({protocol.words for protocol in PROTOCOLS.values()}) == len(PROTOCOLS)


@pytest.mark.parametrize("name", PROTOCOLS)
def test_black_middle_and_white_reach_the_network_in_about_minus_1_to_1(name: str) -> None:
    levels = torch.tensor([0, 128, 255], dtype=torch.uint8)[:, None, None, None].expand(3, 3, 8, 8)
    prepared = PROTOCOLS[name].prepare(levels)
    assert prepared.shape == (3, 3, 299, 299)
    half = name == "pytorch-fid"
    expected = torch.tensor([-1, 1 / 255 if half else 0, 1 if half else 127 / 128])
    torch.testing.assert_close(prepared.mean(dim=(1, 2, 3)), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "ddof", "dtype"),
    [
        ("torch-fidelity", 1, np.float32),
        ("pytorch-fid", 1, np.float64),
        ("clean", 1, np.float32),
        ("stylegan3", 0, np.float64),
    ],
)
def test_the_frechet_distance_follows_ddof_and_dtype_of_each(name: str, ddof: int, dtype: type) -> None:
    found = frechet_under(PROTOCOLS[name], REAL, FAKE)
    assert found == pytest.approx(frechet(REAL, FAKE, ddof=ddof, dtype=dtype), rel=1e-9)


def test_the_four_distances_are_four_numbers_or_three() -> None:
    """Features far from 0 make the float32 mean visible: 1e-5 of the distance."""
    found = {name: frechet_under(protocol, REAL, FAKE) for name, protocol in PROTOCOLS.items()}
    assert found["torch-fidelity"] == found["clean"]
    for first, second in (("torch-fidelity", "pytorch-fid"), ("pytorch-fid", "stylegan3")):
        assert 1e-6 < abs(found[first] / found[second] - 1) < 1e-2


def test_every_number_is_torch_fidelitys_on_the_same_features(monkeypatch: pytest.MonkeyPatch) -> None:
    """The mean in float32 is what makes the FID agree to 1e-6 here; float64 is 5e-6 away.

    KID, precision and recall are compared near the origin: its float32 distances and kernels are wrong further away.
    """
    statistics = [fid_features_to_statistics(features) for features in (FAKE, REAL)]
    theirs = {
        **fid_statistics_to_metric(*statistics, False),
        **isc_features_to_metric(LOGITS),
    }
    rules = PROTOCOLS[DEFAULT]
    assert rules.kernel is not None
    quick = dataclasses.replace(rules, kernel=dataclasses.replace(rules.kernel, subsets=5))
    monkeypatch.setitem(PROTOCOLS, DEFAULT, quick)
    ours = protocol_scores(seen(REAL, LOGITS[:1100]), seen(FAKE, LOGITS))
    assert {key: ours[key] for key in theirs} == pytest.approx(theirs, rel=1e-6)
    statistics_distance = theirs["frechet_inception_distance"]
    near = protocol_scores(seen(REAL - 20, LOGITS[:1100]), seen(FAKE - 20, LOGITS))
    theirs = {
        **kid_features_to_metric(FAKE - 20, REAL - 20, kid_subsets=5, verbose=False),
        **prc_features_to_metric(FAKE - 20, REAL - 20, verbose=False),
    }
    assert {key: near[key] for key in theirs} == pytest.approx(theirs, rel=1e-6)
    exact = frechet_under(PROTOCOLS["pytorch-fid"], REAL, FAKE)
    assert exact != pytest.approx(statistics_distance, rel=1e-6)


def test_only_what_a_protocol_defines_is_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    scores = {}
    for name, rules in PROTOCOLS.items():
        if rules.kernel is not None:
            few = dataclasses.replace(rules, kernel=dataclasses.replace(rules.kernel, size=30))
            monkeypatch.setitem(PROTOCOLS, name, few)
        real, fake = seen(REAL[:60], LOGITS[:60], rules.extractor), seen(FAKE[:50], LOGITS[:50], rules.extractor)
        scores[name] = protocol_scores(real, fake).keys()
    assert not any("inception_score" in key or "kernel" in key for key in scores["pytorch-fid"])
    assert "kernel_inception_distance_mean" in scores["clean"]
    assert "inception_score_mean" not in scores["clean"]
    assert scores["stylegan3"] == scores["torch-fidelity"]


def test_stylegans_score_is_in_float32_and_in_order() -> None:
    rule = PROTOCOLS["stylegan3"].score
    assert rule is not None
    probabilities = LOGITS.softmax(dim=1)
    parts = [part.double() for part in probabilities.tensor_split(10)]
    expected = [float((part * (part.log() - part.mean(dim=0).log())).sum(dim=1).mean().exp()) for part in parts]
    mean, spread = score_under(rule, probabilities)
    assert mean == pytest.approx(np.mean(expected), rel=1e-5)
    assert spread == pytest.approx(np.std(expected), rel=1e-3)


def test_small_sets_shrink_the_subsets_or_are_refused() -> None:
    clean, fidelity = PROTOCOLS["clean"].kernel, PROTOCOLS[DEFAULT].kernel
    assert clean is not None
    assert fidelity is not None
    mean, spread = kernel_under(clean, REAL[:50], FAKE[:50])
    assert spread == pytest.approx(0, abs=1e-3 * mean)  # each subset is all of them, in another order
    with pytest.raises(ValueError, match="subsets of 1000: there are 50 images"):
        kernel_under(fidelity, REAL[:50], FAKE)
    rule = PROTOCOLS[DEFAULT].score
    assert rule is not None
    with pytest.raises(ValueError, match="over 10 splits needs 20 images, not 19"):
        score_under(rule, LOGITS[:19].softmax(dim=1))
