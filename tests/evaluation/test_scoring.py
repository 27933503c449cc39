"""A source scored by references: what is computed, by whose class numbers, and how the real images are had."""

import math
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from advgan.config import DataConfig, GanNetworks, GanTraining
from advgan.data import Data, ImageSet, load_data
from advgan.gan.training import start
from advgan.sampling.stored import TrainedGan, load_gan, save_gan
from attacks import Classifier
from evaluation import scoring
from evaluation.extractors.pixels import pixels_extractor
from evaluation.extractors.python_file import module_extractor
from evaluation.features.features import Extractor, classifier_extractor, single_class
from evaluation.game.discriminator_fit import FitConfig
from evaluation.game.match import Match
from evaluation.game.rows import COSTLY as COSTLY_GAME
from evaluation.inputs import Source, open_source
from evaluation.inputs.generated import gan_source
from evaluation.metric_words import ALL, COSTLY, GROUPS, METRICS, wanted_metrics
from evaluation.record.scores import Score, word_of
from evaluation.scoring import Scored, score_source, subject_of
from evaluation.seeing.reference import Reference
from evaluation.use.rows import USE_METRICS, use_rows

COUNT = 40


@pytest.fixture(scope="module")
def data() -> Data:
    return load_data(DataConfig(source="digits"))


@pytest.fixture(scope="module")
def gan(data: Data, tmp_path_factory: pytest.TempPathFactory) -> TrainedGan:
    """Conditional and not trained at all."""
    file = tmp_path_factory.mktemp("gan") / "gan.safetensors"
    networks, training = GanNetworks(width=4, latent_dim=4, conditional=True), GanTraining(batch_size=16)
    state = start(networks, training, size=8, channels=1, num_classes=10)
    save_gan(file, state, networks, training, data=data.describe())
    return load_gan(file)


def reference(data: Data | None, extractor: Extractor | None = None, **options: Any) -> Reference:
    return Reference(data, extractor or pixels_extractor(), **{"num_real": 100, **options})


def source(spec: Any, **options: Any) -> Source:
    found = open_source(spec, **{"num_samples": COUNT, **options})
    assert isinstance(found, Source)
    return found


def scored(what: Source, *references: Reference, metrics: tuple[str, ...], **options: Any) -> Scored:
    found = score_source(what, references, wanted=wanted_metrics(metrics), **options)
    assert found is not None
    return found


def of(found: Scored) -> dict[str, Score]:
    return {score.metric: score for score in found.scores}


def classes_of(images: ImageSet, *digits: int) -> ImageSet:
    """Ten images of each digit, whose classes are these digits alone, in the order given."""
    rows = torch.cat([(images.labels == digit).nonzero()[:10, 0] for digit in digits])
    labels = torch.arange(len(digits)).repeat_interleave(10)
    return ImageSet(images.images[rows], labels, tuple(f"digit {digit}" for digit in digits), "some")


def test_no_metric_named_means_all_but_those_that_train_networks() -> None:
    assert wanted_metrics(()) == frozenset(METRICS) - COSTLY
    assert {"gan_train", "jsd_fresh", "duality_gap"} <= COSTLY
    assert wanted_metrics((ALL,)) == frozenset(METRICS)


def test_words_and_groups_may_be_mixed() -> None:
    assert wanted_metrics(("neighbours", "fid", "gan_train")) == {*GROUPS["neighbours"], "fid", "gan_train"}
    with pytest.raises(ValueError, match=r"^no metric 'fod' \(did you mean fid\?\)"):
        wanted_metrics(("fid", "fod"))


def test_every_metric_is_of_one_group_and_has_its_line() -> None:
    words = [word for group in GROUPS.values() for word in group]
    assert len(set(words)) == len(words)
    assert all(text and "\n" not in text for text in METRICS.values())
    assert not {ALL, *GROUPS} & set(METRICS)


@pytest.mark.parametrize(
    ("metric", "word"),
    [
        ("fd[cnn]", "fid"),
        ("fd_floor[pixels]", "fid_floor"),
        ("fid", "fid"),
        ("kid[a:b]", "kid"),
        ("classifier_score[cnn]", "inception_score"),
        ("code_correlation[1]", "code_correlation"),
    ],
)
def test_a_metric_is_known_by_its_word(metric: str, word: str) -> None:
    assert word_of(metric) == word
    assert word in METRICS


def test_a_subject_is_a_name_with_a_digest(gan: TrainedGan, data: Data) -> None:
    made = gan_source(gan, num_samples=2, seed=0)
    assert subject_of(made) == f"dcgan {gan.digest}"
    kept = source(data.test)
    assert subject_of(kept) == f"{Path(kept.name).name} {kept.digest}"


def test_only_what_is_wanted_is_computed(gan: TrainedGan, data: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("own_rows", "latent_rows", "Match", "use_rows"):
        monkeypatch.setattr(scoring, name, lambda *args, **options: pytest.fail("nobody asked for this"))
    found = scored(gan_source(gan, num_samples=COUNT, seed=0), reference(data), metrics=("precision", "vendi"))
    assert of(found).keys() == {"precision", "vendi"}
    assert found.match is None


def test_scores_of_the_discriminator_come_by_its_group(gan: TrainedGan, data: Data) -> None:
    found = scored(gan_source(gan, num_samples=COUNT, seed=0), reference(data), metrics=("discriminator",))
    assert {score.setting for score in found.scores} == {"discriminator-non-saturating"}
    assert {"jsd_lower_bound", "wasserstein_estimate", "r1"} <= of(found).keys()
    assert not of(found).keys() & COSTLY, "a group leaves costly words to be named"
    assert found.match is not None
    one = scored(gan_source(gan, num_samples=COUNT, seed=0), reference(data), metrics=("r1",))
    assert list(of(one)) == ["r1"]
    assert of(one)["r1"] == of(found)["r1"]


def test_a_diverged_discriminator_is_a_finding_and_leaves_the_other_scores(gan: TrainedGan, data: Data) -> None:
    broken = deepcopy(gan)
    with torch.no_grad():
        next(broken.game.discriminator.parameters()).fill_(torch.nan)
    found = scored(gan_source(broken, num_samples=COUNT, seed=0), reference(data), metrics=("fid", "discriminator"))
    assert list(of(found)) == ["fd[pixels]"]
    assert "diverged-discriminator" in {finding.code for finding in found.findings}


def test_latent_scores_say_what_saw_the_images(gan: TrainedGan, data: Data) -> None:
    found = scored(gan_source(gan, num_samples=COUNT, seed=0), reference(data), metrics=("path_length",))
    assert found.scores[0].extractor == "pixels levels"
    assert found.scores[0].setting == "pixels"


def test_costly_scores_are_made_where_they_are_named(
    gan: TrainedGan, data: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scoring, "use_rows", partial(use_rows, steps=2))
    monkeypatch.setattr(scoring, "Match", partial(Match, fit=FitConfig(steps=2, batch_size=8)))
    made = gan_source(gan, num_samples=COUNT, seed=0)
    found = of(scored(made, reference(data), metrics=("gan_train", "gan_train_real", "jsd_fresh", "jsd_own")))
    assert found.keys() == {"gan_train", "gan_train_real", "jsd_fresh", "jsd_own"}
    assert {found[word].setting for word in USE_METRICS if word in found} == {"classifier"}
    assert found.keys() & COSTLY_GAME == {"jsd_fresh", "jsd_own"}
    for score in found.values():
        assert score.low <= score.value <= score.high
        assert score.data.startswith("digits/train ")


def test_images_without_labels_learn_from_the_classifier_that_is_given(
    data: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scoring, "use_rows", partial(use_rows, steps=2))
    images = source(data.test.images)
    assert images.labels is None
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))
    found = scored(images, reference(data), metrics=("gan_train",), classifier=Classifier(network, name="line"))
    assert of(found).keys() == {"gan_train"}


def test_each_reference_has_its_rows_and_the_first_those_of_the_gan(gan: TrainedGan, data: Data) -> None:
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))
    line = classifier_extractor(Classifier(network, name="line"))
    references = (reference(data), reference(data, line))
    wanted = ("precision", "path_length", "modes_covered")
    found = scored(gan_source(gan, num_samples=COUNT, seed=0), *references, metrics=wanted)
    assert [(score.metric, score.setting) for score in found.scores] == [
        ("precision", "pixels"),
        ("precision", "line"),
        ("modes_covered", "line"),
        ("path_length", "pixels"),
    ]
    assert [score.metric for score in found.headline] == ["precision"]
    assert [one.real.features.extractor for one in found.seen] == ["pixels", "line"]


def test_an_extractor_whose_features_depend_on_the_batch_is_named(data: Data) -> None:
    def centred(images: Tensor) -> tuple[Tensor, Tensor]:
        features = images.flatten(1)
        return features - features.mean(dim=0), single_class(features)

    careless, careful = Extractor("careless", "0", centred, is_foreign=True), module_extractor(nn.Flatten(), name="own")
    for extractor, expected in ((careless, 1), (careful, 0)):
        found = scored(source(data.test), reference(data, extractor), metrics=("fid",))
        codes = [finding.code for finding in found.findings]
        assert codes.count("batch-dependent-features") == expected


def test_what_too_few_images_cannot_give_is_absent_with_its_reason(data: Data) -> None:
    found = scored(source(data.test, num_samples=3), reference(data), metrics=("fid", "precision", "recall"))
    assert [score.metric for score in found.scores] == ["fd[pixels]"]
    (absent,) = [finding for finding in found.findings if finding.code == "metric-not-made"]
    assert absent.level == "info"
    assert "precision, recall with the features of pixels: fake features are (3, 64): at least 6" in absent.evidence


def test_beyond_what_memory_holds_no_images_are_kept(data: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = ("precision", "ms_ssim")
    kept = scored(source(data.test), reference(data), metrics=wanted)
    assert {"precision", "ms_ssim"} <= of(kept).keys()
    monkeypatch.setattr(scoring, "MOST_KEPT", COUNT * 64 - 1)
    streamed = scored(source(data.test), reference(data), metrics=wanted)
    assert streamed.samples is None
    assert of(streamed)["precision"] == of(kept)["precision"]
    assert "ms_ssim" not in of(streamed)


def test_without_data_labels_become_the_class_numbers_of_the_real_images(data: Data) -> None:
    """Sevens and threes against threes, fives and sevens: each class is held against its own."""
    real = source(classes_of(data.train, 3, 5, 7), num_samples=None)
    fake = source(classes_of(data.test, 7, 3), num_samples=None)
    found = scored(fake, reference(None, source=real), metrics=("class_diversity",))
    assert found.seen[0].fake.labels is not None
    assert found.seen[0].fake.labels.tolist() == [2] * 10 + [0] * 10
    same = source(classes_of(data.test, 3, 7), num_samples=None)
    again = scored(same, reference(None, source=real), metrics=("class_diversity",))
    assert of(again)["class_diversity"].value == pytest.approx(of(found)["class_diversity"].value)


def test_without_data_classes_that_the_real_images_lack_leave_no_labels(data: Data) -> None:
    real = source(classes_of(data.train, 3, 5), num_samples=None)
    fake = source(classes_of(data.test, 3, 7), num_samples=None)
    found = scored(fake, reference(None, source=real), metrics=("class_diversity", "precision"))
    assert found.seen[0].fake.labels is None
    (finding,) = [finding for finding in found.findings if finding.code == "unknown-classes"]
    assert "digit 7" in finding.evidence


def test_real_images_are_a_seeded_draw_with_held_out_ones_beside(data: Data) -> None:
    first, again, other = (reference(data, seed=seed) for seed in (0, 0, 1))
    assert len(first.sample) == 100
    assert first.held_out is not None
    assert len(first.held_out) == 100
    assert torch.equal(first.sample.images, again.sample.images)  # type: ignore[arg-type]
    assert not torch.equal(first.sample.images, other.sample.images)  # type: ignore[arg-type]
    assert first.name == f"digits/train {data.train.digest}"
    assert len(first.held_out_images) == len(data.validation) + len(data.test)


def test_a_set_of_images_has_no_held_out_ones_and_no_modes(data: Data) -> None:
    given = source(data.train)
    found = reference(None, source=given)
    assert (found.held_out, found.held_out_source, found.counts_modes) == (None, None, False)
    assert found.source is given
    assert found.name == f"{given.name} {given.digest}"
    with pytest.raises(AssertionError):
        reference(None)


def test_each_real_image_is_seen_once(data: Data) -> None:
    shown = list[int]()

    def spying(images: Tensor) -> tuple[Tensor, Tensor]:
        shown.append(len(images))
        return images.flatten(1), torch.ones(len(images), 1)

    against = reference(data, Extractor("spy", "0", spying), batch_size=30)
    for _ in range(2):
        found = scored(source(data.test), against, metrics=("precision", "authenticity", "vendi"))
        assert all(math.isfinite(score.value) for score in found.scores)
    assert sum(shown) == 100 + 100 + 2 * COUNT


def test_the_headline_quotes_the_distance_to_held_out_images_where_there_are_any(data: Data) -> None:
    found = scored(source(data.test), reference(data), metrics=("fid", "fid_unseen", "precision"))
    assert [score.metric for score in found.headline] == ["fd_unseen[pixels]", "precision"]
    assert "fd[pixels]" in of(found)
    alone = scored(source(data.test), Reference(None, pixels_extractor(), source=source(data.train)), metrics=("fid",))
    assert [score.metric for score in alone.headline] == ["fd[pixels]"]
