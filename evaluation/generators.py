"""Scores of a generator: every metric that can be computed from one set of real and one of generated features."""

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial

from torch import Tensor

from evaluation.diversity.rows import DIVERSITY_METRICS, diversity_rows
from evaluation.features.absent import NOTHING, Made, made
from evaluation.features.features import Features, check_same_extractor
from evaluation.features.seen import Row, Sample, Seen
from evaluation.fidelity.inception_score import INCEPTION_METRICS, inception_rows
from evaluation.fidelity.kernel import KERNEL_METRICS, kernel_rows
from evaluation.fidelity.rows import FIDELITY_METRICS, fidelity_rows
from evaluation.memorisation.rows import MEMORISATION_METRICS, memorisation_rows
from evaluation.metric_words import wanted_metrics
from evaluation.modes.rows import MODE_ROWS, mode_rows
from evaluation.neighbourhoods.precision_recall import DENSITY_NEIGHBOURS
from evaluation.neighbourhoods.rows import NEIGHBOUR_METRICS, neighbour_rows
from evaluation.record.scores import Score, score_rows

ROWS: tuple[tuple[Callable[[Seen, Collection[str]], list[Row]], Mapping[str, str]], ...] = (
    (fidelity_rows, FIDELITY_METRICS),
    (kernel_rows, KERNEL_METRICS),
    (inception_rows, INCEPTION_METRICS),
    (neighbour_rows, NEIGHBOUR_METRICS),
    (mode_rows, MODE_ROWS),
    (diversity_rows, DIVERSITY_METRICS),
    (memorisation_rows, MEMORISATION_METRICS),
)
"""Functions and the metrics they compute, in the order of the table; each returns only wanted, computable rows."""
_FEWEST = DENSITY_NEIGHBOURS + 1


def generator_rows(seen: Seen, wanted: Collection[str]) -> Made:
    """Compare generated with real images in every way that is `wanted` and that their features allow.

    With Inception features the distances are `fid` and `kid`, and classes, which are ImageNet's, are not counted; with
    a classifier of the domain they are `fd[name]` and `kid[name]`, and modes are counted. What needs held-out images,
    labels or the images themselves is left out where there are none; what these images cannot give has its reason.
    Raises ValueError where the sets were seen by different extractors.
    """
    check_same_extractor(seen.real.features, seen.fake.features)
    parts = (made(partial(rows_of, seen), [word for word in words if word in wanted]) for rows_of, words in ROWS)
    return sum(parts, NOTHING)


def seen_scores(rows: Sequence[Row], seen: Seen, *, subject: str = "", data: str = "") -> list[Score]:
    """Turn rows into scores, each with its extractor and the numbers of images."""
    real, fake = seen.real.features, seen.fake.features
    about = "; ".join(filter(None, (f"{len(real)} real, {len(fake)} fake", seen.fake.asked, real.protocol)))
    return score_rows(
        [(metric, estimate, samples, f"{protocol}; {about}") for metric, estimate, samples, protocol in rows],
        subject=subject,
        data=data,
        setting=real.extractor,
        seed=seen.seed,
        num_real=len(real),
        extractor=f"{real.extractor} {real.digest}",
        preparation=real.protocol,
    )


def score_generator(
    real: Features,
    fake: Features,
    *,
    labels: Tensor | None = None,
    held_out: Features | None = None,
    metrics: Collection[str] = (),
    subject: str = "",
    data: str = "",
    seed: int = 0,
) -> list[Score]:
    """Score given features; `labels` (M,) are the classes that the generator was conditioned on.

    `metrics` are words or groups of `evaluation.metric_words`; `seed` is of everything random in them. What cannot be
    made of these features is left out. Raises ValueError as `generator_rows` does, and for too few images of either.
    """
    check_comparable(real, fake)
    seen = Seen(
        real=Sample(features=real),
        fake=Sample(features=fake, labels=labels),
        held_out=Sample(features=held_out) if held_out is not None else None,
        seed=seed,
    )
    return seen_scores(generator_rows(seen, wanted_metrics(metrics)).rows, seen, subject=subject, data=data)


def check_comparable(real: Features, fake: Features) -> None:
    """Refuse features of different extractors, and sets too small for the metrics: ValueError."""
    check_same_extractor(real, fake)
    for name, features in (("real", real), ("fake", fake)):
        if len(features) < _FEWEST:
            raise ValueError(f"{len(features)} {name} images are too few to score: {_FEWEST} are the least")
