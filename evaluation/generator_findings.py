"""Findings on a generator's scores: limits of their validity, and failures such as mode collapse and copies."""

from collections.abc import Mapping, Sequence

from evaluation.diversity.findings import diversity_findings
from evaluation.features.absent import judged
from evaluation.features.extractor_findings import extractor_findings
from evaluation.features.features import Features, metric_name
from evaluation.features.seen import Row, Seen
from evaluation.fidelity.floor_findings import below_floor_findings
from evaluation.fidelity.rows import fidelity_findings
from evaluation.memorisation.findings import memorisation_findings
from evaluation.modes.findings import mode_findings
from evaluation.modes.label_findings import label_findings
from evaluation.neighbourhoods.findings import neighbour_findings
from evaluation.neighbourhoods.realism_findings import realism_findings
from evaluation.record.findings import Finding
from evaluation.statistics.intervals import Estimate

REPEATED = 0.01
"""Share of repeated fakes, beyond that of the reals, that counts as a failure."""


def seen_findings(seen: Seen, rows: Sequence[Row]) -> list[Finding]:
    """Findings on rows of `generator_rows` and on the features that they were computed from."""
    real, fake = seen.real.features, seen.fake.features
    values = {metric: estimate for metric, estimate, *_ in rows}
    if broken := _broken_features(seen):
        return [broken]
    found = [_too_few_for_features(real, fake), _near_the_floor(seen, values), _low_diversity(values)]
    found.append(_repeats_itself(seen))
    found += judged("the classes", lambda: mode_findings(real, fake, classes=seen.classes))
    found += judged("labels", lambda: label_findings(seen))
    found += [*fidelity_findings(seen, rows), *below_floor_findings(seen, rows)]
    found += judged("neighbourhoods", lambda: neighbour_findings(seen, rows))
    found += judged("realism", lambda: realism_findings(seen, rows))
    found += [*diversity_findings(rows), *memorisation_findings(rows)]
    found += extractor_findings(real, fake)
    return [finding for finding in found if finding is not None]


def _broken_features(seen: Seen) -> Finding | None:
    sets = {"real": seen.real.features, "generated": seen.fake.features}
    broken = {name: int((~each.values.isfinite()).any(dim=1).sum()) for name, each in sets.items()}
    if not any(broken.values()):
        return None
    counts = " and ".join(f"{count} of {len(sets[name])} {name} images" for name, count in broken.items() if count)
    return Finding(
        "warning",
        "Features are no numbers",
        f"{seen.real.features.extractor} gives NaN or infinity for {counts}.",
        "Nothing that reads features can be scored: mend the extractor, which may divide by the spread of an image, or "
        "choose another one with --features.",
        code="broken-features",
    )


def _too_few_for_features(real: Features, fake: Features) -> Finding | None:
    smaller, columns = min(len(real), len(fake)), real.values.shape[1]
    if smaller > columns:
        return None
    return Finding(
        "warning",
        "Fewer images than features",
        f"{len(real)} real and {len(fake)} generated images against {columns} features: the covariances are singular, "
        "and the Fréchet distance is biased upwards.",
        f"Use more than {columns} images of each, or read the kernel distance, which is unbiased at any number.",
        code="fewer-images-than-features",
    )


def _near_the_floor(seen: Seen, values: Mapping[str, Estimate]) -> Finding | None:
    real = seen.real.features
    name = metric_name("fid", real)
    distance, floor = values.get(name), values.get(metric_name("fid_floor", real))
    if distance is None or floor is None or distance.value >= 2 * floor.value:
        return None
    return Finding(
        "info",
        "The Fréchet distance is mostly its noise floor",
        f"{name} is {distance.value:.3g}; a perfect generator would score about {floor.value:.3g} with "
        f"{len(real)} real and {len(seen.fake)} generated images.",
        "Compare generators at equal numbers of images, use more, or read the kernel distance.",
        code="near-the-floor",
    )


def _low_diversity(values: Mapping[str, Estimate]) -> Finding | None:
    precision, recall = values.get("precision"), values.get("recall")
    if precision is None or recall is None or not (precision.low > 0.5 and recall.high < 0.2):
        return None
    return Finding(
        "warning",
        "The generator lacks diversity",
        f"Recall is {recall.value:.3f} ({recall.low:.3f} to {recall.high:.3f}): few real images have their like among "
        f"the generated ones. Precision, {precision.value:.3f}, only says that these lie between real images in the "
        "features: blurred and grey ones do too.",
        "It has collapsed to part of the data, or draws no detail: look at the images. Lower the learning rates, use "
        "larger batches or another loss.",
        code="low-diversity",
    )


def _repeats_itself(seen: Seen) -> Finding | None:
    share_real, share_fake = seen.real.repeated_share, seen.fake.repeated_share
    if share_fake <= share_real + REPEATED:
        return None
    return Finding(
        "warning",
        "The generator repeats itself",
        f"{share_fake:.1%} of the generated images have the features of another one, {share_real:.1%} of the real.",
        "It ignores its latents, at least in part: a collapsed generator, or one seed used twice.",
        code="repeats-itself",
    )
