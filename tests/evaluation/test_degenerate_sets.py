"""Every metric on sets of images that are hardly sets: a ValueError of ours or a number within its interval.

Combinations of what is real, what is generated, how many there are, who looks and what is known beside are drawn by a
seed. A metric that cannot be made must be absent for a reason of ours; what any library says instead is a fault.
"""

import logging
import math
import re
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from advgan.data import Data, ImageSet
from attacks import Classifier
from evaluation.extractors.pixels import pixels_extractor
from evaluation.extractors.python_file import module_extractor
from evaluation.features.features import Extractor, classifier_extractor
from evaluation.inputs import open_source
from evaluation.metric_words import wanted_metrics
from evaluation.record.scores import Score
from evaluation.scoring import score_source
from evaluation.seeing.reference import Reference

ROOT = Path(__file__).parent.parent.parent
OURS = ("attacks", "advgan", "evaluation")
SIDE, CLASSES = 8, 3
SHORT, LONG = 20, 2000
FOUND = (306, 509)
"""Combinations that once had faults which no other one of the short form has."""
SLACK = 1e-9
COUNTS = (2, 3, 5, 6, 9, 12, 20, 33, 48, 110)
SHARES = {
    *("precision", "recall", "coverage", "high_quality", "label_agreement", "label_agreement_shuffled"),
    *("train_preference", "authenticity", "authenticity_held_out", "copied_share", "ndb", "mode_variation"),
}
UNBOUNDED = {"support_size", "support_size_real", "mode_kl"}
"""Infinite where no two images are alike, or a class is drawn that no real image has; the protocol says so."""


class Seer(nn.Module):
    """A user's own network: some features of the pixels, scaled, and as many classes as it is asked for."""

    def __init__(self, *, columns: int = SIDE**2, scale: float = 1.0, classes: int = 0, broken: bool = False) -> None:
        super().__init__()
        self.columns, self.scale, self.broken = columns, scale, broken
        drawn = torch.randn(SIDE**2, max(classes, 1), generator=torch.Generator().manual_seed(classes))
        self.register_buffer("weights", drawn * (classes > 0))
        self.classes = classes

    def forward(self, images: Tensor) -> Any:
        rows = images[:, :1].flatten(1)
        features = self.scale * rows[:, : self.columns]
        if self.broken:  # NaN for a flat image, as of a network that divides by the spread
            features = features * (rows.std(dim=1, keepdim=True) / rows.std(dim=1, keepdim=True))
        return (features, 5 * rows @ self.weights) if self.classes else features


def _classifier() -> Extractor:
    network = nn.Sequential(nn.Flatten(), nn.Linear(SIDE**2, 6), nn.ReLU(), nn.Linear(6, CLASSES))
    for parameter in network.parameters():
        parameter.data = torch.randn(parameter.shape, generator=torch.Generator().manual_seed(parameter.numel()))
    return classifier_extractor(Classifier(network), name="net")


EXTRACTORS: dict[str, Callable[[], Extractor]] = {
    "pixels": pixels_extractor,
    "classifier": _classifier,
    "foreign with classes of its own": lambda: module_extractor(Seer(classes=1000), name="own"),
    "foreign without classes": lambda: module_extractor(Seer(columns=5), name="low"),
    "one column": lambda: module_extractor(Seer(columns=1, classes=CLASSES), name="one"),
    "huge": lambda: module_extractor(Seer(scale=1e30), name="huge"),
    "tiny": lambda: module_extractor(Seer(scale=1e-30, classes=2), name="tiny"),
    "nothing": lambda: module_extractor(Seer(scale=0.0, classes=CLASSES), name="nothing"),
    "NaN": lambda: module_extractor(Seer(broken=True, classes=CLASSES), name="broken"),
}


def images(kind: str, count: int, seed: int, real: Tensor | None = None) -> Tensor:
    """(count, 1, SIDE, SIDE) uint8."""
    noise = torch.randint(0, 256, (count, 1, SIDE, SIDE), generator=torch.Generator().manual_seed(seed)).byte()
    known, numbers = noise if real is None else real, torch.arange(count)
    like = known[numbers % len(known)]
    pixels = torch.eye(SIDE**2).mul(255).byte().view(-1, 1, SIDE, SIDE)
    found = {
        "noise": noise,
        "black": torch.zeros_like(noise),
        "white": torch.full_like(noise, 255),
        "grey": torch.full_like(noise, 100),
        "single": noise[:1].expand_as(noise),
        "repeated": noise[numbers // 3],
        "two": noise[numbers % 2],
        "binary": (noise > 127) * torch.tensor(255, dtype=torch.uint8),
        "one black": torch.cat([torch.zeros_like(noise[:1]), noise[1:]]),
        "levels": (numbers % 7 * 30).byte().view(-1, 1, 1, 1).expand_as(noise),
        "pixels": pixels[numbers % len(pixels)],
        "faint": 100 + noise % 2,
        "copies": like,
        "mean": known.float().mean(dim=0, keepdim=True).round().byte().expand_as(noise),
        "blurred": nn.functional.avg_pool2d(like.float(), 3, 1, 1).byte(),
    }
    return found[kind].contiguous()


KINDS = ("noise", "black", "white", "grey", "single", "repeated", "two", "binary", "one black", "levels", "pixels")
FAKES = (*KINDS, "faint", "copies", "mean", "blurred")


def combination(number: int) -> dict[str, Any]:
    """What the combination of a number is: a function of the number alone."""
    generator = torch.Generator().manual_seed(number)

    def pick(items: Any) -> Any:
        return list(items)[int(torch.randint(len(items), (1,), generator=generator))]

    return {
        "real": pick(KINDS),
        "num_real": pick(COUNTS),
        "fake": pick(FAKES),
        "num_fake": pick(COUNTS),
        "extractor": pick(EXTRACTORS),
        "labelled": pick((False, True)),
        "held_out": pick((0, 2, 30, 110)),
    }


def scored(number: int, chosen: dict[str, Any]) -> tuple[list[Score], list[str]]:
    """The scores of a combination, and what its findings say."""
    real = images(chosen["real"], chosen["num_real"], 2 * number)
    fake = images(chosen["fake"], chosen["num_fake"], 2 * number + 1, real)
    extractor = EXTRACTORS[chosen["extractor"]]()
    labels = torch.arange(len(fake)) % CLASSES
    given = (fake, labels) if chosen["labelled"] else fake
    if chosen["held_out"]:
        parts = [Halved(real), *Halved(images(chosen["real"], chosen["held_out"], number)).halves]
        reference = Reference(Data("some", *(part.images for part in parts)), extractor)
        source = open_source(given, data=reference.data)
    else:
        reference, source = Reference(None, extractor, source=open_source(real)), open_source(given)
    found = score_source(source, [reference], wanted=wanted_metrics(()))
    return list(found.scores), [f"{one.title} {one.evidence}" for one in found.findings]


class Halved:
    """Images with labels in turn, and their halves."""

    def __init__(self, images: Tensor) -> None:
        classes = tuple("abcdefgh"[:CLASSES])
        self.images = ImageSet(images, torch.arange(len(images)) % CLASSES, classes, "some")

    @property
    def halves(self) -> list["Halved"]:
        return [Halved(part) for part in self.images.images.split(len(self.images) // 2)][:2]


def is_ours(error: BaseException) -> bool:
    """Whether it is a ValueError, no subclass of a library's, that was raised in a file of ours."""
    place = Path(traceback.extract_tb(error.__traceback__)[-1].filename)
    inside = place.is_relative_to(ROOT) and place.relative_to(ROOT).parts[0] in OURS
    return inside and isinstance(error, ValueError) and type(error).__module__.partition(".")[0] in ("builtins", *OURS)


def faults(number: int, caplog: pytest.LogCaptureFixture) -> list[str]:
    """Everything that is wrong with the scores of a combination."""
    chosen = combination(number)
    caplog.clear()
    try:
        scores, words = scored(number, chosen)
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        return [] if is_ours(error) else [f"{type(error).__name__} {error} in {last.name}, {last.filename}: {chosen}"]
    logged = [record.exc_info[1] for record in caplog.records if record.exc_info]
    found = [f"{type(error).__name__}: {error}" for error in logged if error is not None and not is_ours(error)]
    for score in scores:
        if math.isnan(score.value):
            found.append(f"{score.metric} is NaN")
        if math.isinf(score.value) and score.metric not in UNBOUNDED:
            found.append(f"{score.metric} is infinite")
        if outside(score):
            found.append(f"{score.metric} {score.value} outside {score.low} to {score.high}")
        if score.metric in SHARES and not all(-SLACK <= end <= 1 + SLACK for end in _ends(score)):
            found.append(f"{score.metric} {score.value}, {score.low} to {score.high} is no share")
    found += [text for text in words if re.search(r"\bnan\b", text)]
    return [f"{text}: combination {number}, {chosen}" for text in found]


def outside(score: Score) -> bool:
    """Whether a value is beyond its interval by more than rounding; without an interval it is not."""
    slack = SLACK * max(1.0, abs(score.value)) if math.isfinite(score.value) else 0.0
    return score.value < score.low - slack or score.value > score.high + slack


def _ends(score: Score) -> list[float]:
    return [end for end in (score.value, score.low, score.high) if not math.isnan(end)]


def all_faults(numbers: Iterable[int], caplog: pytest.LogCaptureFixture) -> list[str]:
    caplog.set_level(logging.DEBUG, logger="advgan")
    return [text for number in numbers for text in faults(number, caplog)]


def test_a_few_combinations_of_degenerate_sets_are_scored_or_refused_in_words_of_ours(
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert all_faults([*range(SHORT), *FOUND], caplog) == []


@pytest.mark.slow
@pytest.mark.parametrize("part", range(10))
def test_two_thousand_combinations_of_degenerate_sets(part: int, caplog: pytest.LogCaptureFixture) -> None:
    size = LONG // 10
    assert all_faults(range(part * size, (part + 1) * size), caplog) == []


def test_one_black_image_costs_no_score() -> None:
    """It refused them all: it has no direction for the Vendi score."""
    clear = images("noise", 40, 0)
    black = torch.cat([torch.zeros_like(clear[:1]), clear[1:]])
    words = []
    for real in (clear, black):
        reference = Reference(None, pixels_extractor(), source=open_source(real))
        found = score_source(open_source(black), [reference], wanted=wanted_metrics(()))
        words.append({score.metric for score in found.scores})
        assert "vendi" in words[-1]
    assert words[0] == words[1]


@pytest.mark.parametrize("kind", ["mean", "blurred", "single", "grey"])
def test_blurred_and_collapsed_fakes_have_a_density(kind: str) -> None:
    real = images("noise", 40, 0)
    reference = Reference(None, pixels_extractor(), source=open_source(real))
    found = score_source(open_source(images(kind, 40, 1, real)), [reference], wanted=wanted_metrics(("neighbours",)))
    assert {score.metric for score in found.scores} == {"precision", "recall", "density", "coverage"}
    assert not [score for score in found.scores if outside(score)]
