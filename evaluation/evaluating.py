"""Scores of a generator in one call from Python."""

import logging
from collections.abc import Collection
from dataclasses import replace
from typing import Any

import torch

from advgan.data import Data
from advgan.machine.precision import true_float32
from evaluation.extractors import named_extractor
from evaluation.features.defaults import NUM_REAL
from evaluation.features.features import Extractor
from evaluation.inputs import Source, open_source
from evaluation.metric_words import wanted_metrics
from evaluation.record.scores import Scores
from evaluation.scoring import check_same_form, check_scored, score_source
from evaluation.seeing.reference import Reference

log = logging.getLogger("advgan")


@true_float32()
def evaluate(
    generated: Any,
    real: Any,
    *,
    extractor: Extractor | str = "inception",
    metrics: Collection[str] = (),
    num_samples: int = 2000,
    num_real: int = NUM_REAL,
    batch_size: int = 128,
    seed: int = 0,
    device: torch.device | str = "cpu",
) -> Scores:
    """Score generated images, or a generator, against real images.

    `generated` is whatever `evaluation.inputs.open_source` takes: a function of (indices, seed) that gives images
    (N, C, H, W), float in [0, 1] or uint8; a module with `latent_dim`; a tensor; a path. `real` is the same, or `Data`,
    of which the training images are taken, and the others as held-out control. `extractor` is a name of
    `evaluation.extractors`, or an `Extractor`, such as `classifier_extractor` makes of your own network. `metrics` are
    words or groups of `advgan ls metrics`; none: all but those for which networks are trained.
    A metric that cannot be computed for these images is left out, and the reason is logged. Raises ValueError with a
    one-line message where none can, and for images that cannot be read or compared.
    """
    if isinstance(extractor, str):
        seer = named_extractor(extractor, device=device)
    else:
        seer = replace(extractor, is_foreign=True)
    data = real if isinstance(real, Data) else None
    against = None if data else _source(real, num_samples=num_real, seed=seed, device=device)
    source = _source(generated, num_samples=num_samples, seed=seed, device=device, data=data, like=against)
    if against is not None:
        check_same_form(source, against)
    reference = Reference(data, seer, seed=seed, batch_size=batch_size, num_real=num_real, source=against)
    scored = score_source(source, [reference], wanted=wanted_metrics(metrics), seed=seed)
    assert scored is not None
    check_scored([scored])
    for finding in scored.findings:
        if finding.code == "metric-not-made":
            level = logging.WARNING if finding.level == "warning" else logging.INFO
            log.log(level, "%s: %s", finding.title, finding.evidence)
    return Scores(scored.scores)


def _source(what: Any, **details: Any) -> Source:
    found = open_source(what, **details)
    if not isinstance(found, Source):
        raise ValueError(f"{found.name} holds statistics, of which only a Fréchet distance can be made: give images")
    return found
