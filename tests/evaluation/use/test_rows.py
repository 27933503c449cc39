"""What known sets of images teach: real ones as fakes, wrong labels, one image a class."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from advgan.config import DataConfig, NetworkConfig
from advgan.data import Data, ImageSet, load_data
from advgan.ranges import to_unit
from attacks import Classifier
from attacks.random import permutation
from evaluation.features.features import Features
from evaluation.features.seen import Row, Sample
from evaluation.statistics.intervals import Estimate
from evaluation.use.findings import below, use_findings
from evaluation.use.rows import USE_METRICS, use_rows

COUNT = 500
NETWORK = NetworkConfig(name="mlp", depth=1, width=64)
PLAIN = {"gan_train", "gan_train_real", "gan_test"}


@pytest.fixture(scope="module")
def data() -> Data:
    return load_data(DataConfig(source="digits"))


@pytest.fixture(scope="module")
def others(data: Data) -> ImageSet:
    """Real images that pass for generated ones."""
    return data.train.select(permutation(5, len(data.train))[:COUNT])


@pytest.fixture(scope="module")
def training_set(data: Data) -> ImageSet:
    return data.train.select(permutation(5, len(data.train))[COUNT : 2 * COUNT])


def sample(images: Tensor, labels: Tensor | None) -> Sample:
    nothing = Features(torch.zeros(len(images), 1), torch.ones(len(images), 1), "none", "")
    return Sample(features=nothing, images=images, labels=labels)


def one_a_class(images: ImageSet) -> Sample:
    """The sixth image of each class, over and over: all of them are digits that the others are like."""
    sixth = torch.stack([images.images[images.labels == number][5] for number in range(10)])
    labels = torch.arange(len(images)) % 10
    return sample(sixth[labels], labels)


def shuffled(images: ImageSet) -> Sample:
    return sample(images.images, images.labels[permutation(1, len(images))])


def found(fake: Sample, real: ImageSet, test: ImageSet, wanted: set[str], **options: object) -> dict[str, Row]:
    options = {"network": NETWORK, "steps": 100, "eps": 0.1, **options}
    return {row[0]: row for row in use_rows(fake, real, test, wanted, **options)}  # type: ignore[arg-type]


def test_real_images_as_fakes_score_like_the_control(data: Data, training_set: ImageSet, others: ImageSet) -> None:
    rows = found(sample(others.images, others.labels), training_set, data.test, PLAIN)
    control = rows["gan_train_real"][1]
    assert control.value > 0.85
    for metric in ("gan_train", "gan_test"):
        assert abs(rows[metric][1].value - control.value) < 0.05
    assert use_findings(rows.values()) == []


def test_shuffled_labels_teach_nothing(data: Data, training_set: ImageSet, others: ImageSet) -> None:
    rows = found(shuffled(others), training_set, data.test, PLAIN)
    assert rows["gan_train"][1].value < 0.35
    assert rows["gan_test"][1].value < 0.2
    assert [finding.code for finding in use_findings(rows.values())] == ["use-wrong-labels"]


def test_one_image_a_class_is_right_and_teaches_little(data: Data, training_set: ImageSet, others: ImageSet) -> None:
    rows = found(one_a_class(others), training_set, data.test, PLAIN)
    assert rows["gan_test"][1].value > 0.95
    assert rows["gan_train"][1].value < 0.8
    (finding,) = use_findings(rows.values())
    assert finding.code == "use-unvaried"


def test_robust_scores_are_of_attacked_images(data: Data, training_set: ImageSet, others: ImageSet) -> None:
    """One image a class teaches less robustness; every robust accuracy is below the plain one of the same images."""
    small = data.test.select(range(150))
    rows = found(one_a_class(others), training_set, small, {*USE_METRICS}, steps=60)
    assert list(rows) == [*USE_METRICS]
    for metric in ("gan_train", "gan_train_real", "gan_test"):
        robust = metric.replace("gan_train", "gan_train_robust").replace("gan_test", "gan_test_robust")
        assert rows[robust][1].value < rows[metric][1].value
    assert "use-less-robust" in [finding.code for finding in use_findings(rows.values())]
    assert rows["gan_train_robust_real"][2] == 150
    assert "5 steps of PGD, then 20 steps of PGD, both within linf 0.1, as given" in rows["gan_test_robust"][3]


def test_a_larger_budget_breaks_more(data: Data, training_set: ImageSet, others: ImageSet) -> None:
    fake, small, wanted = sample(others.images, others.labels), data.test.select(range(100)), {"gan_train_robust_real"}
    weak, strong = (
        found(fake, training_set, small, wanted, steps=20, eps=eps)["gan_train_robust_real"] for eps in (0.02, 0.4)
    )
    assert strong[1].value < weak[1].value - 0.2


def test_both_learn_from_equally_many_images(data: Data, training_set: ImageSet, others: ImageSet) -> None:
    rows = found(sample(others.images[:200], others.labels[:200]), training_set, data.test, PLAIN, steps=10)
    assert "learnt from 200 generated ones (mlp, 12 batches of 64" in rows["gan_train"][3]
    assert "learnt from 200 real ones (mlp, 12 batches of 64" in rows["gan_train_real"][3]
    assert [row[2] for row in rows.values()] == [450, 450, 200]
    assert "asked for" in rows["gan_test"][3]
    assert "asked for" not in rows["gan_train_real"][3]


def test_only_what_is_wanted_is_trained_and_rows_do_not_depend_on_it(
    data: Data, training_set: ImageSet, others: ImageSet
) -> None:
    told: list[tuple[str, int, int]] = []
    fake = sample(others.images, others.labels)
    alone = found(fake, training_set, data.test, {"gan_test"}, steps=8, progress=lambda *step: told.append(step))
    assert told == [("classifier from real images", k, 14) for k in range(1, 15)]
    assert found(fake, training_set, data.test, PLAIN, steps=14)["gan_test"] == alone["gan_test"]
    assert found(fake, training_set, data.test, {"gan_test"}, steps=14, seed=1) != alone
    assert found(fake, training_set, data.test, {"fid"}) == {}


def test_labels_come_from_a_classifier_where_none_were_asked_for(
    data: Data, training_set: ImageSet, others: ImageSet
) -> None:
    """A judge that knows the right answers gives the rows that the labels give, and is named."""

    class Knowing(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            known, rows = to_unit(others.images).flatten(1), images.flatten(1)
            return nn.functional.one_hot(others.labels[torch.cdist(rows, known).argmin(dim=1)], 10).float()

    judge = Classifier(Knowing(), name="oracle")
    told = found(sample(others.images, others.labels), training_set, data.test, PLAIN, steps=8)
    seen = found(sample(others.images, None), training_set, data.test, PLAIN, steps=8, classifier=judge)
    assert {name: row[:3] for name, row in seen.items()} == {name: row[:3] for name, row in told.items()}
    assert "the labels that oracle sees" in seen["gan_train"][3]


@pytest.mark.parametrize(
    ("channels", "words"), [(1, "0.3, the default for grey"), (3, "0.0314, the default for colour")]
)
def test_the_budget_is_said(channels: int, words: str, data: Data) -> None:
    images = data.train.images[:40].expand(-1, channels, -1, -1)
    small = ImageSet(images, data.train.labels[:40], data.classes)
    rows = found(sample(images, small.labels), small, small, {"gan_train_robust"}, steps=1, eps=None)
    assert words in rows["gan_train_robust"][3]


def test_what_cannot_be_learnt_from_is_refused(data: Data, training_set: ImageSet, others: ImageSet) -> None:
    fake = sample(others.images, others.labels)
    for broken, message in (
        (replace(fake, images=None), "needs the generated images themselves"),
        (replace(fake, images=to_unit(others.images)), "in uint8"),
        (replace(fake, images=others.images[:, :, :4]), r"\(1, 4, 8\), real ones \(1, 8, 8\)"),
        (replace(fake, labels=None), "give a classifier"),
        (replace(fake, labels=others.labels + 1), "labels from 0 to 9; got 500 from 1 to 10"),
        (replace(fake, labels=others.labels[:3]), "500 generated images need as many labels"),
        (sample(others.images[:19], others.labels[:19]), "19 generated and 500 training images .* give 20 of each"),
    ):
        with pytest.raises(ValueError, match=message):
            found(broken, training_set, data.test, {"gan_train"})


def test_a_difference_counts_beyond_margin_and_intervals() -> None:
    values = {"a": Estimate(0.5, 0.45, 0.55), "b": Estimate(0.7, 0.6, 0.8), "c": Estimate(0.58, 0.56, 0.6)}
    assert below(values, "a", "b")
    assert not below(values, "b", "a")
    assert not below(values, "a", "c")  # sure, but small
    assert not below({**values, "b": Estimate(0.7, 0.5, 0.9)}, "a", "b")  # large, but unsure
    assert not below(values, "a", "missing")
