"""The generated part of an augmented set: each class has its quota, or it is said which has not."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from advgan.sampling.drawing import sample
from advgan.sampling.stored import TrainedGan, load_gan
from evaluation.jobs.augment.config import AugmentConfig
from evaluation.jobs.augment.generated import confirmed, quotas, shortfall_findings
from evaluation.jobs.augment.job import _note
from evaluation.record.scores import Score

WriteGan = Callable[..., Path]
CLASSES = tuple("abcd")


@pytest.fixture(params=[True, False])
def gan(request: pytest.FixtureRequest, tmp_path: Path, write_gan: WriteGan) -> TrainedGan:
    return load_gan(write_gan(tmp_path, "mlp", conditional=request.param))


def judged(hard: int, share: float) -> Callable[[Tensor], Tensor]:
    """A judge that is sure of every image, but seldom that one is of the hard class."""

    def judge(images: Tensor) -> Tensor:
        answers = (images.flatten(1).sum(dim=1) * 1e4).long() % 1000 / 1000
        kinds = torch.where(answers < share, hard, (answers * 997).long() % hard)
        return 20 * torch.nn.functional.one_hot(kinds, 4).float()

    return judge


def kept_by(gan: TrainedGan, judge: Callable[[Tensor], Tensor], wanted: list[int]) -> list[int]:
    kept = confirmed(gan, judge, wanted, min_confidence=0.5, seed=3, batch_size=64)
    again = sample(
        gan.generator, kept.indices, seed=3, labels=kept.labels if gan.generator.num_classes else None, device="cpu"
    )
    torch.testing.assert_close(kept.images, again, atol=1e-5, rtol=0)
    assert torch.equal(judge(kept.images).argmax(dim=1), kept.labels)
    assert len(kept.indices.unique()) == len(kept.indices)
    return kept.labels.bincount(minlength=4).tolist()


def test_a_class_that_seldom_succeeds_still_gets_its_quota(gan: TrainedGan) -> None:
    wanted = [20, 20, 10, 30]
    assert kept_by(gan, judged(hard=3, share=0.15), wanted) == wanted


def test_a_class_that_never_succeeds_takes_nothing_from_the_others_and_is_named(gan: TrainedGan) -> None:
    wanted = [20, 20, 10, 30]
    counts = kept_by(gan, judged(hard=3, share=0.0), wanted)
    assert counts == [20, 20, 10, 0]
    (finding,) = shortfall_findings(counts, wanted, CLASSES, min_confidence=0.5)
    assert "50 of 80: d 0 of 30 reach confidence 0.5" in finding.evidence
    assert not shortfall_findings(wanted, wanted, CLASSES, min_confidence=0.5)


def test_an_accuracy_that_the_choice_of_images_made_is_not_shown_as_theirs() -> None:
    score = Score(subject="cnn", data="d", setting="generated", metric="accuracy", value=1, samples=9, protocol="p")
    assert _note(score, AugmentConfig()).startswith("high by choice: kept are images to whose label it gives 0.")
    assert _note(replace(score, setting="real"), AugmentConfig()) == "training images"


def test_none_at_all_is_an_error(gan: TrainedGan) -> None:
    with pytest.raises(ValueError, match=r"--min-confidence 0.5: none of [\d,]+ generated images reaches it"):
        confirmed(
            gan, lambda images: torch.zeros(len(images), 4), [2, 2, 2, 2], min_confidence=0.5, seed=0, batch_size=9
        )


def test_quotas_add_up_and_follow_the_largest_remainders() -> None:
    assert quotas([90, 10], 10) == [9, 1]
    assert quotas([1, 1, 1], 10) == [4, 3, 3]
    assert quotas([5, 0, 3], 4) == [3, 0, 1]
    assert quotas([1, 0], 0) == [0, 0]
