"""Scores of a generator: every metric from one look at the real images and one at the fakes."""

import math

from torch import Tensor

from evaluation.features import Features
from evaluation.frechet import frechet_estimate, frechet_floor
from evaluation.inception_score import NUM_SPLITS, inception_score
from evaluation.intervals import NUM_GROUPS, Estimate, wilson
from evaluation.kernel import KERNEL_PROTOCOL, kernel_estimate
from evaluation.modes import covered_estimate, divergence_estimate, label_agreement, modes
from evaluation.precision_recall import DENSITY_NEIGHBOURS, MANIFOLD_NEIGHBOURS, null_coverage, precision_recall
from evaluation.scores import Score, score_rows

METRICS = {
    "fid": "Fréchet Inception distance; fd[NAME] with the features of a classifier NAME; lower is better",
    "fid_floor": "what a perfect generator would score at these sample sizes; fd_floor[NAME]",
    "kid": "kernel Inception distance, 0 for a perfect generator at any sample size; kid[NAME]",
    "inception_score": "sure and varied answers of Inception-v3; classifier_score with another classifier",
    "precision": "share of fakes near real images",
    "recall": "share of real images near fakes",
    "density": "how many real images each fake is near to, 1 for a perfect generator",
    "coverage": "share of real images with a fake near by",
    "modes_covered": "classes of the real images that are generated at all",
    "mode_kl": "divergence of the generated classes' histogram from the real one",
    "label_agreement": "share of fakes that are of the class they were drawn for",
}
_JACKKNIFE = f"95 % interval by the jackknife over {NUM_GROUPS} groups, at these sample sizes"
_FEWEST_PER_METRIC = DENSITY_NEIGHBOURS + 1

Row = tuple[str, Estimate, str]


def score_generator(
    real: Features,
    fake: Features,
    *,
    labels: Tensor | None = None,
    subject: str = "",
    data: str = "",
    seed: int = 0,
) -> list[Score]:
    """Compare fakes with real images in every way that their features allow.

    With Inception features the distances are `fid` and `kid`, and classes, which are ImageNet's, are not counted; with
    a classifier of the domain they are `fd[name]` and `kid[name]`, and modes are counted. `labels` (M,) are the classes
    that a conditional generator was asked for. `seed` deals the samples into the jackknife's groups.
    Raises ValueError where the two were seen by different extractors, or there are too few of either.
    """
    check_comparable(real, fake)
    rows = [*_distances(real, fake, seed), *_neighbours(real, fake)]
    if len(fake) >= 2 * NUM_SPLITS:
        rows.append(_classifier_score(fake))
    if not real.is_inception:
        rows += _modes(real, fake, seed)
        if labels is not None:
            agreement = label_agreement(fake, labels)
            rows.append(
                ("label_agreement", agreement, f"share that {fake.extractor} assigns as wanted; Wilson interval")
            )
    sizes = f"{len(real)} real, {len(fake)} fake"
    complete = [
        (metric, estimate, len(fake), f"{protocol}; {sizes}; {real.protocol}") for metric, estimate, protocol in rows
    ]
    return score_rows(complete, subject=subject, data=data, setting=real.extractor, seed=seed)


def metric_name(metric: str, features: Features) -> str:
    """The fixed word of a distance: `fid`, `kid`, `fid_floor` with Inception, else `fd[name]`, `kid[name]`, ..."""
    if features.is_inception:
        return metric
    return f"{metric.replace('fid', 'fd')}[{features.extractor}]"


def check_comparable(real: Features, fake: Features) -> None:
    """Refuse features of different extractors, and sets too small for the metrics: ValueError."""
    if (real.extractor, real.digest) != (fake.extractor, fake.digest):
        raise ValueError(
            f"real images were seen by {real.extractor} {real.digest}, fake ones by {fake.extractor} {fake.digest}: "
            "extract both with one"
        )
    for name, features in (("real", real), ("fake", fake)):
        if len(features) < _FEWEST_PER_METRIC:
            raise ValueError(f"{len(features)} {name} images are too few to score: {_FEWEST_PER_METRIC} are the least")


def _distances(real: Features, fake: Features, seed: int) -> list[Row]:
    floor = frechet_floor(real.values, len(fake))
    return [
        (
            metric_name("fid", real),
            frechet_estimate(real.values, fake.values, seed=seed),
            f"Fréchet distance in float64, covariances over N - 1, no offset; {_JACKKNIFE}",
        ),
        (
            metric_name("fid_floor", real),
            Estimate(floor, math.nan, math.nan),
            "expected Fréchet distance of a perfect generator, for Gaussian features",
        ),
        (
            metric_name("kid", real),
            kernel_estimate(real.values, fake.values),
            KERNEL_PROTOCOL,
        ),
    ]


def _neighbours(real: Features, fake: Features) -> list[Row]:
    found = precision_recall(real.values, fake.values)
    expected = null_coverage(len(real), len(fake))
    manifold, density = f"closed balls, k = {MANIFOLD_NEIGHBOURS}", f"closed balls, k = {DENSITY_NEIGHBOURS}"
    given = "given the other set"
    return [
        ("precision", found["precision"], f"{manifold}; Wilson interval over fakes, {given}"),
        ("recall", found["recall"], f"{manifold}; Wilson interval over reals, {given}"),
        ("density", found["density"], f"{density}; t interval over fakes, {given}"),
        (
            "coverage",
            found["coverage"],
            f"{density}, {expected:.4f} for a perfect generator; Wilson interval over reals, {given}",
        ),
    ]


def _classifier_score(fake: Features) -> Row:
    name = "inception_score" if fake.is_inception else "classifier_score"
    protocol = f"exp of the mean divergence in nats, {NUM_SPLITS} shuffled splits; t interval over the splits"
    return name, inception_score(fake.probabilities), protocol


def _modes(real: Features, fake: Features, seed: int) -> list[Row]:
    found = modes(real, fake)
    wanted = int((found.real_counts > 0).sum())
    bound = wilson(0, len(fake)).high
    null = (wanted - 1) * (1 / len(fake) + 1 / len(real)) / 2
    return [
        (
            "modes_covered",
            covered_estimate(found),
            f"of {wanted} classes, those that at least 1 fake is assigned to, with any confidence; "
            f"a class missed has a share below {bound:.2g} (Wilson, 95 %); 95 % interval about the expectation",
        ),
        (
            "mode_kl",
            divergence_estimate(real, fake, seed=seed),
            f"KL(fake || real) of class histograms in nats, about {null:.2g} for a perfect generator; 95 % interval "
            "about the expectation at these sizes",
        ),
    ]
