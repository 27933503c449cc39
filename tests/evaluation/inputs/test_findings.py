"""Inputs that make scores doubtful are named with their numbers; good ones are not."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from attacks.random import uniform
from evaluation.features.features import Features
from evaluation.features.seen import Sample
from evaluation.inputs import Source, Statistics, input_findings, open_source, source_findings
from evaluation.inputs.findings import fingerprints, num_repeated, num_shared
from evaluation.record.findings import Finding


def pixels(count: int, seed: int = 0) -> Tensor:
    return (uniform(seed, torch.arange(count), (1, 4, 4)) * 256).to(torch.uint8)


def sample(images: Tensor, *, keep: bool = True) -> Sample:
    features = Features(images.flatten(1).float(), images.flatten(1)[:, :2].double(), "pixels", "d")
    return Sample(features=features, images=images if keep else None)


def source(spec: object, **options: object) -> Source:
    found = open_source(spec, **options)  # type: ignore[arg-type]
    assert isinstance(found, Source)
    return found


def by_code(findings: list[Finding]) -> dict[str, Finding]:
    assert len({finding.code for finding in findings}) == len(findings)
    assert all(finding.code for finding in findings)
    return {finding.code: finding for finding in findings}


def test_good_inputs_are_not_mentioned() -> None:
    images = [pixels(300, seed) for seed in range(3)]
    sources = [source(each) for each in images]
    assert input_findings(sources, *(sample(each) for each in images)) == []


def test_repeats_are_counted_and_many_are_a_warning() -> None:
    images = pixels(300)
    few, many = images.clone(), images.clone()
    few[7] = few[3]
    many[:30] = many[40]
    found = by_code(input_findings([], sample(few), sample(pixels(300, 1))))
    assert list(found) == ["repeated-real"]
    assert found["repeated-real"].level == "info"
    assert "1 of 300 real images" in found["repeated-real"].evidence
    found = by_code(input_findings([], sample(pixels(300, 1)), sample(many)))
    assert list(found) == ["repeated-generated"]
    assert found["repeated-generated"].level == "warning"
    assert "30 of 300 generated images" in found["repeated-generated"].evidence


@pytest.mark.parametrize(
    ("first", "second", "code", "words"),
    [
        (0, 1, "copied-images", "2 of 300 generated images are byte for byte among the real ones"),
        (2, 1, "held-out-copied", "2 of 300 generated images are byte for byte among the held-out ones"),
        (0, 2, "train-test-leakage", "2 of 300 held-out images are byte for byte among the real ones"),
    ],
)
def test_images_in_two_sets_are_a_warning(first: int, second: int, code: str, words: str) -> None:
    sets = [pixels(300, seed) for seed in range(3)]
    sets[second][[5, 9]] = sets[first][[1, 250]]
    found = by_code(input_findings([], *(sample(each) for each in sets)))
    assert list(found) == [code]
    assert found[code].level == "warning"
    assert words in found[code].evidence


def test_unequal_numbers_are_said() -> None:
    found = by_code(input_findings([], sample(pixels(300)), sample(pixels(200, 1))))
    assert list(found) == ["unequal-counts"]
    assert "300 real against 200 generated" in found["unequal-counts"].evidence


def test_without_images_there_is_nothing_to_compare() -> None:
    images = pixels(10)[[0] * 10]
    assert input_findings([], sample(images, keep=False), sample(images, keep=False)) == []


def test_fingerprints_are_of_every_byte() -> None:
    images = pixels(50)
    other = images.clone()
    other[20, 0, 3, 3] ^= 1
    assert num_repeated(fingerprints(images)) == 0
    assert num_shared(fingerprints(images), fingerprints(other)) == 49
    assert num_shared(fingerprints(images), fingerprints(images[[4, 4, 4, 7]])) == 4
    points = torch.zeros(3, 2, 1, 1)
    points[2, 1] = 1e-30
    assert num_repeated(fingerprints(points)) == 1
    assert fingerprints(images.permute(0, 1, 3, 2)) == fingerprints(images.permute(0, 1, 3, 2).contiguous())


def test_jpeg_files_are_a_warning(tmp_path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setenv("ADVGAN_CACHE_DIR", str(tmp_path / "cache"))
    (tmp_path / "set").mkdir()
    for number, image in enumerate(pixels(4)):
        ending = "jpg" if number < 3 else "png"
        Image.fromarray(image[0].numpy()).save(tmp_path / "set" / f"{number}.{ending}")
    found = by_code(source_findings(source(tmp_path / "set")))
    assert list(found) == ["jpeg-images"]
    assert (found["jpeg-images"].level, found["jpeg-images"].evidence[:7]) == ("warning", "3 files")


def test_lost_levels_are_said_with_their_number() -> None:
    levels = pixels(20).float() / 255
    assert source_findings(source(levels)) == []
    between = (pixels(20).float().clamp(max=254) + 0.25) / 255
    found = by_code(source_findings(source(between)))["rounded-images"]
    assert found.level == "info"
    assert found.evidence.startswith("100.0% of the values")
    halves = torch.linspace(0, 1, 511).repeat(2)[: 2 * 256].view(2, 1, 16, 16)
    lost = source(halves).rounding
    assert lost is not None
    assert (lost.before, lost.after) == (511, 256)


def test_unknown_classes_are_said() -> None:
    from dataclasses import replace

    found = by_code(source_findings(replace(source(pixels(4)), unmatched=("elk", "cat"))))
    assert "has the class elk and 1 more" in found["unknown-classes"].evidence


def test_statistics_warn_that_their_protocol_and_number_are_unknown(tmp_path) -> None:  # type: ignore[no-untyped-def]
    np.savez(tmp_path / "s.npz", mu=np.zeros(3), sigma=np.eye(3))
    np.savez(tmp_path / "n.npz", mu=np.zeros(3), sigma=np.eye(3), num=10)
    unknown, counted = (open_source(tmp_path / name) for name in ("s.npz", "n.npz"))
    assert isinstance(unknown, Statistics)
    assert isinstance(counted, Statistics)
    found = by_code(source_findings(unknown))["precomputed-statistics"]
    assert "how many images" in found.evidence
    assert "no noise floor" in found.evidence
    assert "no noise floor" not in by_code(source_findings(counted))["precomputed-statistics"].evidence
