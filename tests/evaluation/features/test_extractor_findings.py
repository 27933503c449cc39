import pytest
import torch
from torch import Tensor, nn

from attacks.random import normal, uniform
from evaluation.extractors.python_file import module_extractor
from evaluation.features.extractor_findings import (
    batch_dependence,
    batch_findings,
    constant_columns,
    extractor_findings,
)
from evaluation.features.features import Extractor, Features, single_class
from evaluation.inputs.range_findings import range_findings


def seen(values: Tensor) -> Features:
    return Features(values, single_class(values), "judge", "digest")


def codes(real: Tensor, fake: Tensor) -> list[tuple[str, str]]:
    return [(finding.level, finding.code) for finding in extractor_findings(seen(real), seen(fake))]


def test_live_features_are_not_remarked_on() -> None:
    assert codes(normal(0, torch.arange(50), (8,)), normal(1, torch.arange(40), (8,))) == []


@pytest.mark.parametrize(("dead", "level"), [(1, "info"), (3, "info"), (4, "warning"), (8, "warning")])
def test_features_dead_in_both_are_counted(dead: int, level: str) -> None:
    real, fake = normal(0, torch.arange(50), (8,)), normal(1, torch.arange(40), (8,))
    real[:, :dead], fake[:, :dead] = 0.3, 0.3
    (finding,) = extractor_findings(seen(real), seen(fake))
    assert (finding.level, finding.code) == (level, "dead-features")
    assert f"{dead} of 8 features of judge are the same in all 50" in finding.evidence
    assert constant_columns(real).tolist() == [True] * dead + [False] * (8 - dead)


def test_features_that_only_the_fakes_lack_are_the_generators_fault() -> None:
    real, fake = normal(0, torch.arange(50), (8,)), normal(1, torch.arange(40), (8,))
    fake[:, 5:] = 1
    assert codes(real, fake) == [("warning", "frozen-features")]
    real[:, 7] = 1
    assert codes(real, fake) == [("info", "dead-features"), ("warning", "frozen-features")]


def images(count: int = 12) -> Tensor:
    return uniform(0, torch.arange(count), (1, 4, 4))


def test_a_network_that_sees_each_image_by_itself_does_not_depend_on_the_batch() -> None:
    network = nn.Sequential(nn.Conv2d(1, 5, 3), nn.BatchNorm2d(5), nn.Flatten())
    extractor = module_extractor(network.train(), name="own")  # put into eval mode
    assert batch_dependence(extractor, images()) < 1e-5
    assert batch_findings(extractor, images()) == []


def test_a_batch_norm_in_training_mode_is_found_out() -> None:
    network = nn.Sequential(nn.Conv2d(1, 5, 3), nn.BatchNorm2d(5), nn.Flatten()).train()
    extractor = Extractor("careless", "0", lambda batch: (network(batch), single_class(batch)))
    (finding,) = batch_findings(extractor, images())
    assert (finding.level, finding.code) == ("warning", "batch-dependent-features")
    assert "careless" in finding.evidence


def test_an_order_within_the_batch_is_a_dependence_too() -> None:
    extractor = Extractor("numbered", "0", lambda batch: (torch.arange(len(batch))[:, None] + 1.0, single_class(batch)))
    assert batch_dependence(extractor, images()) > 0.5
    flat = Extractor("zero", "0", lambda batch: (0 * batch.flatten(1), single_class(batch)))
    assert batch_dependence(flat, images()) == 0


REAL = (uniform(0, torch.arange(30), (3, 8, 8)) * 256).to(torch.uint8)
FAKE = uniform(1, torch.arange(30), (3, 8, 8))


@pytest.mark.parametrize(
    ("fake", "expected"),
    [
        (FAKE * 256, []),
        (FAKE * 180 + 40, []),
        (FAKE * 1.99, ["narrow-range"]),
        (FAKE * 128 + 127.5, ["narrow-range"]),
        ((FAKE * 512 - 256).clamp(0, 255), ["clipped-black"]),
        ((FAKE * 512).clamp(0, 255), ["clipped-white"]),
        (FAKE * 0 + 90, ["narrow-range"]),
    ],
)
def test_a_wrong_range_that_stays_inside_bytes_is_found(fake: Tensor, expected: list[str]) -> None:
    found = range_findings(REAL, fake.to(torch.uint8))
    assert [finding.code for finding in found] == expected
    assert all(finding.level == "warning" for finding in found)


def test_the_likely_mistake_is_named() -> None:
    twice = range_findings(REAL, (FAKE * 1.99).to(torch.uint8))[0]
    assert "divided by 255 twice" in twice.advice
    assert "level 0 to 1, real ones from 0 to 255" in twice.evidence
    assert "moved from [-1, 1] to [0, 1] twice" in range_findings(REAL, (FAKE * 128 + 127.5).to(torch.uint8))[0].advice


def test_black_backgrounds_of_real_images_are_no_clipping() -> None:
    digits = REAL * (REAL > 200)
    assert range_findings(digits, digits) == []
    assert range_findings(torch.zeros_like(REAL), REAL) == []
