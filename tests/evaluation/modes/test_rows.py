import math

import pytest
import torch
from torch import Tensor

from attacks.random import integers
from evaluation.features.features import Features
from evaluation.features.seen import Sample, Seen
from evaluation.modes.modes import label_agreement, shuffled_agreement
from evaluation.modes.points import mode_scores
from evaluation.modes.rows import MODE_ROWS, mode_rows


def features(classes: Tensor, *, sure: float = 0.97, name: str = "cnn", confidence: float = 0.0) -> Features:
    probabilities = torch.full((len(classes), 4), (1 - sure) / 3, dtype=torch.float64)
    probabilities[torch.arange(len(classes)), classes] = sure
    return Features(torch.zeros(len(classes), 2), probabilities, name, "0", confidence=confidence)


def seen(real: Features, fake: Features, labels: Tensor | None = None) -> Seen:
    return Seen(real=Sample(features=real), fake=Sample(features=fake, labels=labels), seed=3)


REAL, FAKE = integers(0, torch.arange(300), 4), integers(1, torch.arange(200), 3)


def test_every_word_makes_a_row_with_its_interval() -> None:
    fake = features(FAKE)
    rows = {row[0]: row for row in mode_rows(seen(features(REAL), fake, FAKE), MODE_ROWS)}
    assert rows.keys() == MODE_ROWS.keys()
    for _, estimate, samples, protocol in rows.values():
        assert estimate.low <= estimate.value <= estimate.high
        assert samples == 200
        assert "interval" in protocol
    assert rows["modes_covered"][1].value == 3
    assert "of 4 classes" in rows["modes_covered"][3]
    assert rows["mode_kl"][1].value == pytest.approx(math.log(4 / 3), abs=0.1)
    assert 0.5 < rows["mode_kl_forward"][1].low < rows["mode_kl_forward"][1].high < math.inf
    assert rows["mode_variation"][1].value == pytest.approx(0.25, abs=0.1)
    assert rows["high_quality"][1].value == 1
    assert rows["label_agreement"][1] == label_agreement(fake, FAKE)
    assert rows["label_agreement_shuffled"][1] == shuffled_agreement(fake, FAKE, seed=3)


def test_only_what_is_wanted_and_known_is_made() -> None:
    given = seen(features(REAL), features(FAKE))
    assert [row[0] for row in mode_rows(given, ["mode_kl", "fid"])] == ["mode_kl"]
    assert "label_agreement" not in {row[0] for row in mode_rows(given, MODE_ROWS)}
    assert mode_rows(seen(features(REAL, name="inception"), features(FAKE, name="inception")), MODE_ROWS) == []
    single = Features(torch.zeros(9, 2), torch.ones(9, 1), "pixels", "0")
    assert mode_rows(seen(single, single), MODE_ROWS) == []


def test_an_extractor_with_a_rule_of_its_own_says_high_quality_elsewhere() -> None:
    fake = features(FAKE, confidence=0.9)
    assert "high_quality" not in {row[0] for row in mode_rows(seen(features(REAL), fake), MODE_ROWS)}
    assert "high_quality" in {score.metric for score in mode_scores(fake)}


def test_an_infinite_divergence_says_why_it_has_no_interval() -> None:
    ((_, estimate, _, protocol),) = mode_rows(seen(features(FAKE), features(REAL)), ["mode_kl"])
    assert estimate.value == math.inf
    assert "no interval" in protocol
