"""Images unlike real ones are named by precision, by fine detail and by distance; real ones never are."""

import math

import pytest
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, one_hot

from attacks.random import normal
from evaluation.features.features import Features
from evaluation.features.seen import Row, Sample, Seen
from evaluation.neighbourhoods.precision_recall import precision_recall
from evaluation.neighbourhoods.realism_findings import FACTOR, LESS, alike_in_class, fine_share, realism_findings
from evaluation.statistics.intervals import Estimate

COUNT = 200


def smooth(seed: int, count: int = COUNT) -> Tensor:
    """Grey images with little fine detail."""
    noise = normal(seed, torch.arange(count), (1, 16, 16))
    return (128 + 100 * avg_pool2d(noise, 3, 1, 1) + 4 * noise).clamp(0, 255).round().byte()


def sample(seed: int, *, shift: float = 0.0, images: Tensor | None = None, classes: Tensor | None = None) -> Sample:
    values = normal(seed, torch.arange(COUNT), (4,)) + shift
    probabilities = one_hot(classes if classes is not None else torch.zeros(COUNT).long(), 2).double()
    return Sample(features=Features(values, probabilities, "toy", "0"), images=images)


def seen(fake: Sample, *, real_images: Tensor | None = None, classes: Tensor | None = None) -> Seen:
    return Seen(real=sample(1, images=real_images, classes=classes), fake=fake, held_out=sample(2))


def precision(value: float, margin: float = 0.02) -> list[Row]:
    return [("precision", Estimate(value, value - margin, value + margin), COUNT, "")]


def codes(found: Seen, rows: list[Row]) -> list[str]:
    return [finding.code for finding in realism_findings(found, rows)]


def test_precision_below_that_of_held_out_images_is_named() -> None:
    assert codes(seen(sample(3)), precision(0.3)) == ["unrealistic-images"]
    assert codes(seen(sample(3)), precision(0.3, 0.6)) == [], "the whole interval must be below"


def test_high_precision_is_never_asked_for_its_control(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "evaluation.neighbourhoods.realism_findings.neighbourhoods", lambda *_, **__: pytest.fail("costly")
    )
    assert codes(seen(sample(3)), precision(1 - LESS, 0.0)) == []


def test_no_interval_is_made_where_the_control_itself_is_no_better(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is most of the work, on wide features above all."""
    monkeypatch.setattr("evaluation.neighbourhoods.realism_findings.effects_of", lambda *_, **__: pytest.fail("costly"))
    assert codes(seen(sample(3)), precision(0.9)) == []
    with pytest.raises(pytest.fail.Exception, match="costly"):
        codes(seen(sample(3)), precision(0.3))


def test_nothing_is_said_without_rows_or_control() -> None:
    without = Seen(real=sample(1), fake=sample(3, shift=9.0))
    assert codes(without, precision(0.1)) == []
    assert codes(seen(sample(3, shift=9.0)), []) == []


def test_a_pure_wave_is_fine_detail_or_none() -> None:
    side = torch.arange(16)
    fine = (side[:, None] + side) % 2 * 255
    coarse = (127.5 + 100 * torch.cos(2 * math.pi * side / 16)).expand(16, 16)
    flat = torch.full((16, 16), 7)
    stripes = (side % 2 * 255).expand(16, 16)
    images = torch.stack([fine, stripes, stripes.T, coarse.round(), flat])[:, None].byte()
    assert fine_share(images).tolist() == pytest.approx([1.0, 1.0, 1.0, 0.0, 0.0], abs=1e-4)


def test_neither_brightness_nor_contrast_changes_the_share() -> None:
    images = smooth(1, 5).float()
    assert torch.allclose(fine_share(images), fine_share(0.3 * images + 20))


@pytest.mark.parametrize("degree", [0, 1, 2])
def test_only_detail_that_is_far_off_is_named(degree: int) -> None:
    real, fake = smooth(1), smooth(2)
    noise = normal(5, torch.arange(COUNT), (1, 16, 16))
    fakes, code = (
        (fake, []),
        ((fake + 12 * noise).clamp(0, 255).byte(), ["too-rough"]),
        (avg_pool2d(fake.float(), 3, 1, 1).byte(), ["too-smooth"]),
    )[degree]
    found = seen(sample(3, images=fakes), real_images=real)
    assert codes(found, precision(1.0)) == code


def test_a_class_of_rough_images_is_not_taken_for_rough_images() -> None:
    rough = (smooth(7) + 30 * normal(8, torch.arange(COUNT), (1, 16, 16))).clamp(0, 255).byte()
    classes = torch.arange(COUNT) % 10 // 9
    real = torch.where(classes[:, None, None, None] == 1, rough, smooth(1))
    again = (smooth(9) + 30 * normal(10, torch.arange(COUNT), (1, 16, 16))).clamp(0, 255).byte()
    ones = torch.ones(COUNT, dtype=torch.int64)
    assert fine_share(again).mean() > 2 * FACTOR * fine_share(smooth(1)).mean()
    assert codes(seen(sample(3, images=again, classes=ones), real_images=real, classes=classes), precision(1.0)) == []


def test_equally_many_of_each_class_are_compared() -> None:
    first, second = torch.tensor([0, 0, 0, 1, 2]), torch.tensor([1, 1, 0, 0, 3])
    rows = alike_in_class(first, second)
    assert sorted(first[rows[0]].tolist()) == sorted(second[rows[1]].tolist()) == [0, 0, 1]
    assert len(rows[0].unique()) == len(rows[1].unique()) == 3


FAR = [("fd[toy]", Estimate(5.0, 3.1, 7.0), COUNT, "")]


@pytest.mark.parametrize(("shift", "named"), [(0.5, ["told-from-real"]), (0.0, [])])
def test_images_told_from_held_out_ones_are_named_whatever_the_distances_say(shift: float, named: list[str]) -> None:
    assert codes(seen(sample(3, shift=shift)), FAR) == named
    assert codes(Seen(real=sample(1), fake=sample(3, shift=shift)), FAR) == [], "without a control nothing is told"
    assert codes(seen(sample(3, shift=shift)), precision(1.0)) == [], "nor where no distance is asked for"


def test_other_shares_of_the_classes_do_not_tell_images_apart() -> None:
    """Nine to one instead of one to nine, of classes that lie far apart; without them known it would be told."""
    rare, common = torch.arange(COUNT) % 10 // 9, torch.arange(COUNT) % 10 < 9
    for known in (True, False):
        samples = []
        for seed, labels in ((2, rare), (3, common.long())):
            values = normal(seed, torch.arange(COUNT), (4,)) + 5 * labels[:, None]
            probabilities = one_hot(labels, 2).double() if known else torch.ones(COUNT, 1)
            samples.append(Sample(features=Features(values, probabilities, "toy", "0")))
        found = Seen(real=sample(1), held_out=samples[0], fake=samples[1])
        assert codes(found, FAR) == ([] if known else ["told-from-real"])


def test_real_images_are_silent_over_many_draws() -> None:
    """Twenty sets from one law, with their own precision."""
    for seed in range(10, 30):
        fake = sample(seed, images=smooth(seed))
        found = seen(fake, real_images=smooth(1))
        estimate = precision_recall(found.real.features.values, fake.features.values)["precision"]
        assert codes(found, [("precision", estimate, COUNT, ""), *FAR]) == []
