"""Looks at a training whose images or extractor give nothing to look at: it goes on, and says what it lacked."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from advgan.config import GanNetworks, GanTraining
from advgan.data import Data, ImageSet
from advgan.gan.state import State
from advgan.gan.training import start
from evaluation.extractors.pixels import pixels_extractor
from evaluation.features.features import Extractor
from evaluation.seeing.reference import Reference
from evaluation.watching.alarms import alarms
from evaluation.watching.diagnostics import Diagnostics
from evaluation.watching.followed_distance import unmade_findings
from evaluation.watching.monitor import Monitor

SMALL = Diagnostics(judged=20, gradients=8, redrawn=64, brightness=4)


def data(images: Tensor) -> Data:
    some = ImageSet(images, torch.arange(len(images)) % 2, ("a", "b"), "some")
    return Data("some", some, some.select(range(10)), some.select(range(10)))


NOISE = torch.randint(0, 256, (40, 1, 8, 8), generator=torch.Generator().manual_seed(0)).byte()


@pytest.fixture
def state() -> State:
    return start(GanNetworks(family="mlp", width=8), GanTraining(batch_size=8), size=8, channels=1, num_classes=2)


def monitor(images: Tensor, extractor: Extractor) -> Monitor:
    return Monitor(Reference(data(images), extractor), "non-saturating", 64, 0, SMALL)


def test_without_classes_none_are_counted(state: State) -> None:
    row = monitor(NOISE, pixels_extractor()).look(state).row
    assert (row["modes_covered"], row["mode_counts"]) == (None, [])
    assert "real_mode_counts" not in row
    assert row["generator"]["class_diversity"] is None
    assert row["generator"]["diversity"] > 0
    assert "not_made" not in row


def test_real_images_that_are_all_alike_stop_no_training(state: State) -> None:
    watch = monitor(torch.zeros_like(NOISE), pixels_extractor())
    first = watch.look(state).row
    again = watch.look(state, first).row
    assert math.isfinite(first["distance"])
    assert first["generator"]["diversity"] is None
    assert again["generator"]["change"] == 0
    looks = [{**row, "step": step, "images_seen": 10**6} for step, row in enumerate((first, again))]
    assert alarms(looks, loss="non-saturating") is not None


def test_an_extractor_that_breaks_on_generated_images_costs_the_look_its_distance_alone(state: State) -> None:
    def look(images: Tensor) -> tuple[Tensor, Tensor]:
        spread = images.flatten(1).std(dim=1, keepdim=True)
        features = images.flatten(1) / (spread > 0.2)  # the grey images of an untrained generator have less
        return features.nan_to_num(nan=math.nan, posinf=math.nan), torch.ones(len(images), 1)

    watch = monitor(NOISE, replace(pixels_extractor(), name="own", function=look))
    row = watch.look(state).row
    assert row["distance"] == math.inf
    assert "fake features hold NaN" in row["not_made"]["distance"]
    assert row["discriminator"]["real_fake_separation"] is not None
    (found, *_) = unmade_findings([{"step": 5, "distance": 1.0}, {**row, "step": 10}])
    assert found.code == "look-not-made"
    assert "distance, at 1 look(s) from step 10 to 10: fake features hold NaN" in found.evidence
