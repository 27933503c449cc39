"""Fréchet distances to saved statistics (mean and covariance of features), as other tools write them."""

from collections.abc import Collection

from advgan.machine.precision import precision_note, true_float32
from evaluation.features.features import INCEPTION, Extractor
from evaluation.features.seen import Row
from evaluation.fidelity.frechet import frechet_from_statistics, frechet_to_statistics
from evaluation.fidelity.frechet_floor import floor_from_covariance
from evaluation.inputs import Source, Statistics, source_findings
from evaluation.metric_words import wanted_metrics
from evaluation.record.findings import Finding
from evaluation.record.scores import Score, noted, score_rows
from evaluation.seeing.collectors import RunningMoments
from evaluation.seeing.one_pass import Advance, stream
from evaluation.statistics.intervals import UNKNOWN, Estimate

NO_INTERVAL = "no interval: of the real images only the moments are known"


def check_enough(real: Statistics, *, features: Collection[str], metrics: Collection[str], compare: bool) -> None:
    """Raise ValueError for metrics and options that mean and covariance cannot give."""
    if len(features) > 1:
        words = f"one extractor, and --features {','.join(features)} are {len(features)}: name the one"
    elif wanted_metrics(metrics).isdisjoint(("fid", "fid_floor")):
        words = f"an extractor, which give no --metrics {','.join(metrics)}: ask for fid, or give images"
    elif compare:
        words = "an extractor, by which no score has an interval: drop --compare, or give images"
    else:
        return
    raise ValueError(f"{real.name} holds statistics of {words}")


@true_float32()
def score_against_statistics(
    source: Source,
    extractor: Extractor,
    real: Statistics,
    *,
    subject: str = "",
    batch_size: int = 128,
    seed: int = 0,
    advance: Advance = lambda count: None,
) -> tuple[list[Score], list[Finding]]:
    """The Fréchet distance of a stream of images to saved moments, and its floor where their sample size is known.

    The features are not kept. Raises ValueError where the extractor gives another number of features than the file.
    """
    passed = stream(source, [extractor], lambda _: RunningMoments(), batch_size=batch_size, advance=advance)
    collected: RunningMoments = passed.collected[0]
    columns = collected.columns
    if columns != len(real.mean):
        raise ValueError(
            f"{real.name} has statistics of {len(real.mean)} features, {extractor.name} gives {columns}: "
            "use the extractor that they were made with"
        )
    name = "fid" if extractor.name.partition("@")[0] == INCEPTION else f"fd[{extractor.name}]"
    value = _distance(real, collected)
    text = f"Fréchet distance in float64 to saved moments, covariances over N - 1 here; {NO_INTERVAL}"
    rows: list[Row] = [(name, Estimate(value, *UNKNOWN), source.count, f"{text}; {extractor.protocol}")]
    if real.num is not None:
        floor = floor_from_covariance(real.covariance, real.num, source.count)
        words = "expected Fréchet distance of a perfect generator, for Gaussian features"
        rows.append((name.replace("fid", "fid_floor").replace("fd[", "fd_floor["), floor, source.count, words))
    scores = score_rows(
        rows,
        subject=subject or source.name,
        data=f"{real.name} {real.digest}",
        setting=extractor.name,
        seed=seed,
        num_real=real.num or 0,
        extractor=f"{extractor.name} {extractor.digest}",
        preparation=extractor.protocol,
    )
    scores = noted(scores, precision_note(collected.device))
    return scores, [*source_findings(real), *source_findings(source)]


def _distance(real: Statistics, fake: RunningMoments) -> float:
    saved = real.mean, real.covariance
    if fake.few is not None and fake.count > 1:
        return frechet_to_statistics(saved, fake.few)
    moments = fake.moments
    return frechet_from_statistics(saved, (moments.mean, moments.covariance()))
