from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from advgan.config import DataConfig, GanNetworks, GanTraining
from advgan.data import Data, load_data
from advgan.gan.rounds import labelled_indices
from advgan.gan.training import start
from advgan.sampling.classes import sample_labels
from advgan.sampling.drawing import sample
from advgan.sampling.stored import TrainedGan, load_gan, save_gan
from evaluation.game.hidden_features import hidden_features
from evaluation.game.match import Match
from evaluation.own.codes import matched_accuracy
from evaluation.own.rows import own_scores
from evaluation.record.scores import Score


@pytest.fixture(scope="module")
def data() -> Data:
    return load_data(DataConfig(source="digits"))


def gan(folder: Path, data: Data, training: GanTraining | None = None, **networks: Any) -> TrainedGan:
    """One that was not trained at all, read back from its file."""
    training, built = training or GanTraining(), GanNetworks(width=4, latent_dim=4, **networks)
    shape = {"size": data.size, "channels": data.channels, "num_classes": data.num_classes}
    state = start(built, training, **shape)
    save_gan(folder / "gan.safetensors", state, built, training, data=data.describe())
    return load_gan(folder / "gan.safetensors")


def look(images: Tensor) -> tuple[Tensor, Tensor]:
    return images.flatten(1), images.flatten(1)[:, :10].softmax(dim=1)


def scored(found: TrainedGan, data: Data, count: int = 200) -> dict[str, Score]:
    indices = torch.arange(count)
    fakes, labels = sample(found.generator, indices), sample_labels(found.generator, indices)
    return {score.metric: score for score in own_scores(found, data, fakes, labels)}


def test_before_training_the_probe_equals_its_control(tmp_path: Path, data: Data) -> None:
    found = gan(tmp_path, data, discriminator_norm="none")
    scores = scored(found, data)
    assert set(scores) == {"probe_accuracy", "probe_accuracy_pixels", "probe_accuracy_untrained"}
    assert scores["probe_accuracy"].value == scores["probe_accuracy_untrained"].value
    assert scores["probe_accuracy_pixels"].value > 0.85
    assert scores["probe_accuracy"].samples == len(data.test)
    with torch.no_grad():
        for parameter in found.game.discriminator.parameters():
            parameter.zero_()
    emptied = scored(found, data)
    assert emptied["probe_accuracy"].value < 0.2
    assert emptied["probe_accuracy_untrained"].value == scores["probe_accuracy_untrained"].value


def test_codes_are_read_from_real_images_and_from_generated_ones(tmp_path: Path, data: Data) -> None:
    found = gan(tmp_path, data, categorical=10, continuous=2)
    scores = scored(found, data)
    network = found.game.discriminator
    features = hidden_features(network, data.test.unit())
    expected = matched_accuracy(network.head.guess(features)[:, :10].argmax(dim=1), data.test.labels)
    assert scores["code_accuracy"].value == pytest.approx(expected.value, abs=0.05)  # another shuffle of the batches
    assert scores["code_accuracy_random"].value < 0.5
    assert {"code_correlation[0]", "code_correlation[1]"} < set(scores)
    assert scores["code_correlation[0]"].samples == 200


def test_a_head_that_knows_the_codes_correlates_with_those_that_were_drawn(tmp_path: Path, data: Data) -> None:
    """A generator that paints its two continuous codes and a discriminator that looks at these pixels."""
    found = gan(tmp_path, data, categorical=2, continuous=2)

    class Painter(nn.Module):
        space, num_classes = found.generator.space, 0

        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(()))

        def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
            images = torch.zeros(len(latents), 1, 8, 8)
            images[:, 0, 0, :4] = latents[:, :4]
            return images * self.scale

    class Reader(nn.Module):
        num_classes = 0

        def __init__(self) -> None:
            super().__init__()
            self.scale, self.head = nn.Parameter(torch.ones(())), Head()

        def features(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
            return images[:, 0, 0, :4] * self.scale

    class Head(nn.Module):
        names_classes, num_codes = False, 4

        def guess(self, features: Tensor) -> Tensor:
            return features

    known = TrainedGan(**{**vars(found), "generator": Painter(), "discriminator": Reader()})
    scores = scored(known, data)
    assert scores["code_correlation[0]"].value > 0.999
    assert scores["code_correlation[1]"].value > 0.999


def test_the_classifier_of_a_semi_supervised_gan_stands_beside_its_own_labels(tmp_path: Path, data: Data) -> None:
    training = GanTraining(labelled=100, feature_matching=1)
    found = gan(tmp_path, data, training, discriminator_labels="classes", discriminator_norm="none")
    scores = scored(found, data)
    assert set(scores) == {"class_accuracy", "class_accuracy_pixels"}
    with torch.no_grad():
        network = found.game.discriminator
        logits = network.head.classify(network.features(data.test.unit() * 2 - 1))
    assert scores["class_accuracy"].value == pytest.approx((logits.argmax(dim=1) == data.test.labels).double().mean())
    assert scores["class_accuracy_pixels"].value > 0.75
    assert "100 labelled training images" in scores["class_accuracy_pixels"].protocol
    assert len(labelled_indices(data.train, training)) == 100


def test_a_conditional_generator_has_no_probe(tmp_path: Path, data: Data) -> None:
    found = gan(tmp_path, data, conditional=True)
    assert scored(found, data) == {}


def test_packs_and_points_have_no_probe(tmp_path: Path, data: Data) -> None:
    assert scored(gan(tmp_path, data, packing=2), data) == {}


def test_real_images_sorted_by_class_are_judged_in_mixed_batches(tmp_path: Path, data: Data) -> None:
    """A discriminator whose logit is a batch norm's would say 0 of every image of a batch of one kind."""

    class Normed(nn.Module):
        num_classes = 0

        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(()))

        def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
            rows = images.flatten(1).mean(dim=1) * self.scale
            return rows - rows.mean()

    dark, bright = (data.train.select(torch.zeros(100, dtype=torch.int64)) for _ in range(2))
    dark.images.zero_()
    bright.images.fill_(255)
    joined = type(dark)(torch.cat([dark.images, bright.images]), torch.arange(200) // 100, dark.classes, "sorted")
    normed = replace(gan(tmp_path, data), discriminator=Normed())  # type: ignore[arg-type]
    judged = Match(gan=normed, train=joined, held_out=joined, fakes=torch.rand(200, 1, 8, 8), batch_size=50).judgements
    assert judged.train.abs().min() > 0.5
    assert judged.held_out.abs().min() > 0.5
