"""Scores of a generator: every metric that one look at real and generated images allows."""

from collections.abc import Callable, Collection, Sequence

from torch import Tensor

from evaluation.diversity.rows import diversity_rows
from evaluation.features.features import Features, check_same_extractor
from evaluation.features.seen import Row, Sample, Seen
from evaluation.fidelity.inception_score import inception_rows
from evaluation.fidelity.kernel import kernel_rows
from evaluation.fidelity.rows import fidelity_rows
from evaluation.memorisation.rows import memorisation_rows
from evaluation.metric_words import wanted_metrics
from evaluation.modes.rows import mode_rows
from evaluation.neighbourhoods.precision_recall import DENSITY_NEIGHBOURS
from evaluation.neighbourhoods.rows import neighbour_rows
from evaluation.record.scores import Score, score_rows

ROWS: tuple[Callable[[Seen, Collection[str]], list[Row]], ...] = (
    fidelity_rows,
    kernel_rows,
    inception_rows,
    neighbour_rows,
    mode_rows,
    diversity_rows,
    memorisation_rows,
)
"""In the order of the table; each gives what it can of the metrics that are wanted."""
_FEWEST = DENSITY_NEIGHBOURS + 1


def generator_rows(seen: Seen, wanted: Collection[str]) -> list[Row]:
    """Compare generated with real images in every way that is `wanted` and that their features allow.

    With Inception features the distances are `fid` and `kid`, and classes, which are ImageNet's, are not counted; with
    a classifier of the domain they are `fd[name]` and `kid[name]`, and modes are counted. What needs held-out images,
    labels or the images themselves is left out where there are none.
    Raises ValueError where the sets were seen by different extractors, or there are too few of either.
    """
    check_comparable(seen.real.features, seen.fake.features)
    return [row for rows_of in ROWS for row in rows_of(seen, wanted)]


def seen_scores(rows: Sequence[Row], seen: Seen, *, subject: str = "", data: str = "") -> list[Score]:
    """Scores of rows that were made of these images, each with what saw them and how many there were."""
    real, fake = seen.real.features, seen.fake.features
    about = f"{len(real)} real, {len(fake)} fake; {real.protocol}"
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
    """Score features that are there already; `labels` (M,) are the classes that the fakes were asked for.

    `metrics` are words or groups of `evaluation.metric_words`; `seed` is of everything random in them.
    Raises ValueError as `generator_rows` does.
    """
    seen = Seen(
        real=Sample(features=real),
        fake=Sample(features=fake, labels=labels),
        held_out=Sample(features=held_out) if held_out is not None else None,
        seed=seed,
    )
    return seen_scores(generator_rows(seen, wanted_metrics(metrics)), seen, subject=subject, data=data)


def check_comparable(real: Features, fake: Features) -> None:
    """Refuse features of different extractors, and sets too small for the metrics: ValueError."""
    check_same_extractor(real, fake)
    for name, features in (("real", real), ("fake", fake)):
        if len(features) < _FEWEST:
            raise ValueError(f"{len(features)} {name} images are too few to score: {_FEWEST} are the least")
