"""Faults planted into real digits: each score moves as theory says, each fault is named, real images raise nothing."""

import importlib.util
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import nn

from advgan.config import DataConfig
from advgan.data import Data, ImageSet, load_data
from attacks import Classifier
from attacks.random import permutation
from evaluation.features.features import Extractor, classifier_extractor
from evaluation.generator_verdict import generator_verdict
from evaluation.inputs import Source, open_source
from evaluation.metric_words import wanted_metrics
from evaluation.record.scores import word_of
from evaluation.scoring import Scored, score_source
from evaluation.seeing.reference import Reference
from evaluation.statistics.intervals import Estimate

COUNT, TRAIN, CONTROL = 450, 700, 500
SEED = 0


def load(name: str) -> ModuleType:
    file = Path(__file__).parents[2] / "benchmarks" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


plantings = load("plantings")


@cache
def parts() -> tuple[Data, ImageSet]:
    """Training images and a control, and new ones to plant faults into."""
    data = load_data(DataConfig(source="digits"))
    splits = (data.train, data.validation, data.test)
    images, labels = (torch.cat([getattr(split, name) for split in splits]) for name in ("images", "labels"))
    everything = ImageSet(images, labels, data.classes, "digits")
    order = permutation(SEED, len(everything))
    train, control, new = (everything.select(rows) for rows in order.tensor_split([TRAIN, TRAIN + CONTROL]))
    return Data("digits", train, everything.select([]), control), new


@cache
def extractor() -> Extractor:
    """A small network that knows the classes."""
    train = parts()[0].train
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = nn.Sequential(nn.Flatten(), nn.Linear(64, 48), nn.ReLU(), nn.Linear(48, 10))
    optimizer = torch.optim.Adam(network.parameters(), 5e-3, weight_decay=1e-3)
    for _ in range(150):
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(train.unit()), train.labels).backward()
        optimizer.step()
    return classifier_extractor(Classifier(network, name="line"))


@cache
def reference() -> Reference:
    return Reference(parts()[0], extractor(), seed=SEED)


@cache
def scored(name: str) -> Scored:
    data, new = parts()
    images = plantings.PLANTINGS[name](data.train, new, COUNT, SEED)
    source = open_source(ImageSet(images, torch.zeros(len(images), dtype=torch.int64), (), name))
    assert isinstance(source, Source)
    wanted = wanted_metrics(("fidelity", "neighbours", "modes", "diversity", "memorisation"))
    found = score_source(source, [reference()], wanted=wanted, seed=SEED)
    assert found is not None
    return found


def of(name: str) -> dict[str, Estimate]:
    return {word_of(score.metric): Estimate(score.value, score.low, score.high) for score in scored(name).scores}


def codes(name: str, level: str = "warning") -> set[str]:
    return {finding.code for finding in scored(name).findings if finding.level == level}


NAMED = {
    "held-out real images": set(),
    "copies of the training set": {"memorised-data", "copied-images"},
    "training set, shifted by a pixel": {"unrealistic-images"},
    "one class alone": {"low-diversity", "low-vendi-score", "over-represented-classes", "uneven-bins"},
    "one class missing": {"missing-classes"},
    "blur": {"too-smooth", "unrealistic-images"},
    "noise": set(),
    "JPEG": set(),
    "fifty images repeated": {"repeats-itself", "few-distinct-images", "low-diversity", "repeated-generated"},
}
"""Warnings that must be there; nothing of noise and JPEG, which digits of 8x8 pixels bear, needs one."""
SILENT = ("held-out real images", "noise", "JPEG")
DEGRADED = ("blur", "noise", "JPEG")


@pytest.mark.parametrize("name", plantings.PLANTINGS)
def test_each_fault_is_named_and_real_images_raise_no_warning(name: str) -> None:
    assert codes(name) >= NAMED[name]
    if name in SILENT:
        assert not codes(name)


def test_only_copies_are_said_to_be_memorised() -> None:
    copies = [name for name in plantings.PLANTINGS if "memorised-data" in codes(name)]
    assert copies == ["copies of the training set"]


def test_held_out_images_score_as_real_ones_do() -> None:
    found = of("held-out real images")
    assert found["train_preference"].low < 0.5 < found["train_preference"].high
    assert found["copying_z"].low < 0 < found["copying_z"].high
    assert found["fid"].low < found["fid_real"].high
    assert "told-from-real" not in codes("held-out real images", "info")
    assert found["modes_covered"].value == 10


def test_copies_are_nearer_to_training_images_and_else_perfect() -> None:
    found, real = of("copies of the training set"), of("held-out real images")
    assert found["train_preference"].low > 0.95
    assert found["authenticity"].value == 0
    assert found["copying_z"].high < -3
    assert found["precision"].value == 1
    assert found["fid"].value < real["fid"].value


def test_shifted_copies_of_digits_are_no_copies_any_more() -> None:
    """A pixel is an eighth of these images: they are seen as unreal, and take no side."""
    found, real = of("training set, shifted by a pixel"), of("held-out real images")
    assert found["train_preference"].low < 0.5 < found["train_preference"].high
    assert found["precision"].high < real["precision"].low
    assert found["fid"].low > found["fid_real"].high


def test_one_class_is_realistic_and_little_else() -> None:
    found, real = of("one class alone"), of("held-out real images")
    for word in ("recall", "coverage", "vendi"):
        assert found[word].high < real[word].low / 2, word
    assert found["modes_covered"].value == 1
    assert found["precision"].high > real["precision"].low
    assert found["mode_kl"].low > 1


def test_a_missing_class_is_named() -> None:
    found, real = of("one class missing"), of("held-out real images")
    assert found["mode_kl_forward"].low > 5 * real["mode_kl_forward"].high
    assert found["mode_kl_forward"].value > 2 * found["mode_kl"].value, "what is missing costs forwards"
    assert found["modes_covered"].value == 9
    assert found["recall"].value < real["recall"].value
    assert found["precision"].high > real["precision"].low
    (finding,) = [finding for finding in scored("one class missing").findings if finding.code == "missing-classes"]
    assert finding.evidence.startswith("1 of 10 classes are missing among 450 images: 9.")


@pytest.mark.parametrize("name", DEGRADED)
def test_degraded_images_are_farther_than_real_ones(name: str) -> None:
    found, real = of(name), of("held-out real images")
    assert found["fid"].value > found["fid_real"].value
    assert found["fid"].value > real["fid"].value
    assert found["kid"].low > 0
    assert found["kid"].value > real["kid"].value
    assert found["train_preference"].low < 0.5 < found["train_preference"].high, "they are no copies"


def test_blur_costs_precision_and_recall() -> None:
    found, real = of("blur"), of("held-out real images")
    for word in ("precision", "recall", "coverage", "density"):
        assert found[word].high < real[word].low, word


@pytest.mark.parametrize("name", ["blur", "JPEG", "training set, shifted by a pixel", "fifty images repeated"])
def test_images_that_can_be_told_from_real_ones_of_their_class_are(name: str) -> None:
    """JPEG among them, which is within the noise of a distance of 450 images."""
    assert "told-from-real" in codes(name, "info")


def grey_blobs(count: int) -> torch.Tensor:
    """Lights without a form, of the brightness of digits, at random places."""
    places = torch.rand(count, 2, 1, 1, generator=torch.Generator().manual_seed(SEED)) + 3
    rows = torch.arange(8.0).reshape(1, 8, 1).expand(count, 8, 8)
    squared = (rows - places[:, 0]).square() + (rows.mT - places[:, 1]).square()
    return (200 * torch.exp(-squared / 8)).round().to(torch.uint8)[:, None]


def planted_badly(name: str) -> torch.Tensor:
    _, new = parts()
    some = new.images[:COUNT]
    return {
        "grey blobs": grey_blobs(COUNT),
        "blurred": torch.nn.functional.avg_pool2d(some.float(), 3, 1, 1).round().to(torch.uint8),
        "noise": torch.randint(0, 256, some.shape, generator=torch.Generator().manual_seed(SEED), dtype=torch.uint8),
        "collapsed": some[:1].expand(COUNT, -1, -1, -1).clone(),
        "one colour": torch.full_like(some, 80),
        "mean image": some.float().mean(dim=0, keepdim=True).to(torch.uint8).expand(COUNT, -1, -1, -1).clone(),
    }[name]


@pytest.mark.parametrize("name", ["grey blobs", "blurred", "noise", "collapsed", "one colour", "mean image"])
def test_no_bad_generator_is_praised(name: str) -> None:
    """Whatever a single score says of them: noise falls into every class, a single image has a precision of 1."""
    images = planted_badly(name)
    source = open_source(ImageSet(images, torch.zeros(len(images), dtype=torch.int64), (), name))
    assert isinstance(source, Source)
    wanted = wanted_metrics(("fidelity", "neighbours", "modes", "diversity", "memorisation"))
    found = score_source(source, [reference()], wanted=wanted, seed=SEED)
    assert found is not None
    said = generator_verdict(found.scores, found.findings)
    assert said.startswith("The images fall short of the real ones: "), said
    alone = [[score] for score in found.scores]
    assert all("No score tells" not in generator_verdict(scores, []) for scores in [*alone, found.scores]), name


def test_the_verdict_passes_held_out_images_and_no_planted_fault() -> None:
    passed = [
        name for name in NAMED if "No score tells" in generator_verdict(scored(name).scores, scored(name).findings)
    ]
    assert set(passed) <= set(SILENT)
    assert "held-out real images" in passed


def test_fifty_images_are_realistic_and_few() -> None:
    found, real = of("fifty images repeated"), of("held-out real images")
    assert found["support_size"].high < 100
    assert found["recall"].high < 0.05
    assert found["coverage"].high < real["coverage"].low / 2
    assert found["precision"].high > real["precision"].low
    assert found["train_preference"].low < 0.5 < found["train_preference"].high


def test_a_generator_in_training_is_unlike_real_images(write_gan: Callable[..., Path], tmp_path: Path) -> None:
    """From its checkpoint: bytes, the same for the same seed."""
    plant = plantings.half_trained(write_gan(tmp_path, "dcgan"))
    data, new = parts()
    images = plant(data.train, new, 12, 3)
    assert images.shape == (12, 3, 8, 8)
    assert images.dtype == torch.uint8
    assert torch.equal(images, plant(data.train, new, 12, 3))
    assert not torch.equal(images, plant(data.train, new, 12, 4))
