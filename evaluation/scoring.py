"""Score one generator or set of images: images are drawn once, and pass once through each extractor."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from advgan.data import Data
from advgan.data.class_names import numbers_among
from advgan.machine.precision import precision_note, true_float32
from advgan.machine.processes import Processes
from advgan.ranges import to_unit
from advgan.sampling.stored import TrainedGan
from attacks import Classifier
from evaluation.features.absent import absent_findings, judged, made
from evaluation.features.seen import Row, Sample, Seen
from evaluation.game.discriminator import DISCRIMINATOR_METRICS, discriminator_rows
from evaluation.game.discriminator_findings import discriminator_findings
from evaluation.game.findings import game_findings
from evaluation.game.match import Match
from evaluation.game.rows import GAME_METRICS, game_rows
from evaluation.generator_findings import seen_findings
from evaluation.generators import generator_rows, seen_scores
from evaluation.inputs import Source, input_findings
from evaluation.inputs.opening import alike
from evaluation.inputs.range_findings import range_findings
from evaluation.latent.findings import latent_findings
from evaluation.latent.rows import LATENT_METRICS, latent_rows
from evaluation.metric_words import GROUPS
from evaluation.modes.points import MODE_METRICS, captured_rows
from evaluation.own.rows import POINT_METRICS, own_rows
from evaluation.record.findings import Finding
from evaluation.record.scores import Score, noted, score_rows, word_of
from evaluation.seeing.one_pass import Advance, look
from evaluation.seeing.reference import Reference
from evaluation.use.findings import use_findings
from evaluation.use.rows import USE_METRICS, use_rows

HEADLINE = (
    "fid_unseen",
    "fid",
    "modes_covered",
    "high_quality",
    "reverse_kl",
    "code_accuracy",
    "class_accuracy",
    "precision",
    "recall",
    "label_agreement",
)
MOST_KEPT = 1 << 30
"""Bytes of images that are kept beside their features; above it, metrics that need the images are left out."""


@dataclass(frozen=True, kw_only=True)
class Scored:
    """The result of one generator's evaluation: images, features, scores and findings."""

    subject: str
    source: Source
    scores: tuple[Score, ...]
    findings: tuple[Finding, ...]
    seen: tuple[Seen, ...]
    """By each extractor."""
    match: Match | None
    """The discriminator's evaluation; None where there is no discriminator."""

    @property
    def headline(self) -> tuple[Score, ...]:
        """The scores that say most, by the first extractor.

        Where there are held-out images the distance is that to them: nearness to the images that a generator learnt
        from is no merit of its own.
        """
        settings = (self.seen[0].real.features.extractor, "discriminator")
        first = [score for score in self.scores if score.setting in settings]
        told = {word_of(score.metric) for score in first}
        words = [word for word in HEADLINE if not (word == "fid" and "fid_unseen" in told)]
        chosen = tuple(score for name in words for score in first if word_of(score.metric) == name)
        return chosen or self.scores[:5]

    @property
    def samples(self) -> Tensor | None:
        """The generated images as bytes, or as points."""
        return self.seen[0].fake.images


@true_float32()
def score_source(
    source: Source,
    references: Sequence[Reference],
    *,
    wanted: Collection[str],
    seed: int = 0,
    classifier: Classifier | None = None,
    processes: Processes | None = None,
    advance: Advance = lambda count: None,
) -> Scored | None:
    """Score a source's images against real ones by each reference's extractor; None in all but the first process.

    The scores of a latent space, of a discriminator, of use, and of what only some GANs have are made for the first
    reference. For use, `classifier` names the class of images that have no label.
    A metric that cannot be computed is left out, and a finding gives the reason. Raises ValueError where images
    cannot be read or compared.
    """
    keep = source.count * source.channels * source.size**2 <= MOST_KEPT
    first = references[0]
    own = source
    source = _numbered_alike(source, first.known_data.classes if first.known_data else first.source.classes)
    samples = look(
        source,
        [reference.extractor for reference in references],
        batch_size=first.batch_size,
        processes=processes,
        keep_images=keep,
        advance=advance,
    )
    if processes is not None and not processes.is_first:
        return None
    subject = subject_of(source)
    seen = [_seen(reference, sample, seed) for reference, sample in zip(references, samples, strict=True)]
    scores, findings = list[Score](), list[Finding]()
    for reference, one in zip(references, seen, strict=True):
        found = generator_rows(one, wanted)
        if reference.counts_modes:
            found += made(partial(captured_rows, one), _asked(MODE_METRICS, wanted))
        scores += seen_scores(found.rows, one, subject=subject, data=reference.name)
        findings += absent_findings(found.absent, extractor=reference.extractor.name)
        findings += [*seen_findings(one, found.rows), *reference.extractor_findings]
    findings = [*judged("the images", lambda: _of_images(source, first, seen[0])), *findings]
    if first.known_data is not None and keep and _any(wanted, "use"):
        more, remarks = _of_use(first, seen[0], wanted, subject, classifier)
        scores, findings = [*scores, *more], [*findings, *remarks]
    match = None
    if source.gan is not None and first.known_data is not None and keep:
        more, remarks, match = _of_gan(source.gan, first, seen[0], own.labels, wanted, subject)
        scores, findings = [*scores, *more], [*findings, *remarks]
    return Scored(
        subject=subject,
        source=source,
        scores=tuple(noted((score for score in scores if word_of(score.metric) in wanted), _note(seen))),
        findings=tuple(dict.fromkeys(findings)),
        seen=tuple(seen),
        match=match,
    )


def check_scored(scored: Sequence[Scored]) -> None:
    """Refuse, with the first reason, where nothing could be scored for want of anything to score by: ValueError."""
    reasons = [finding.evidence for one in scored for finding in one.findings if finding.code == "metric-not-made"]
    if reasons and not any(one.scores for one in scored):
        raise ValueError(f"nothing can be scored here: {reasons[0]}")


def check_same_form(source: Source, real: Source) -> None:
    """Refuse images of another size or number of channels than the real ones: ValueError."""
    if (source.size, source.channels) != (real.size, real.channels):
        raise ValueError(
            f"{source.name} has {source.channels}x{source.size}x{source.size} images, {real.name} "
            f"{real.channels}x{real.size}x{real.size}: bring both to one form with "
            + alike(source, size=real.size, channels=real.channels)
        )


def subject_of(source: Source) -> str:
    """What was scored, by name and digest."""
    if source.gan is not None:
        return f"{source.gan.networks.family} {source.gan.digest}"
    return f"{Path(source.name).name} {source.digest}"


def _numbered_alike(source: Source, known: tuple[str, ...] | None) -> Source:
    """Give labels the class numbers of the real images, by name; where a name is unknown there, no labels."""
    if source.labels is None or not source.classes or not known or source.classes == known:
        return source
    numbers = numbers_among(source.classes, known)
    if numbers is None:
        strangers = tuple(name for name in source.classes if name not in known)
        return replace(source, labels=None, classes=None, unmatched=strangers)
    return replace(source, labels=torch.tensor(numbers)[source.labels], classes=known)


def _seen(reference: Reference, fake: Sample, seed: int) -> Seen:
    classes = reference.known_data.classes if reference.known_data else reference.source.classes or ()
    return Seen(real=reference.sample, fake=fake, held_out=reference.held_out, classes=classes, seed=seed)


def _of_images(source: Source, reference: Reference, seen: Seen) -> list[Finding]:
    found = input_findings([reference.source, source], seen.real, seen.fake, seen.held_out)
    if seen.real.images is not None and seen.fake.images is not None and not source.points:
        found += range_findings(seen.real.images, seen.fake.images)
    return found


def _of_use(
    reference: Reference, seen: Seen, wanted: Collection[str], subject: str, classifier: Classifier | None
) -> tuple[list[Score], list[Finding]]:
    """Scores of the images as training data of classifiers; costly."""
    data, device = reference.data, seen.fake.features.values.device

    def rows_of(words: Collection[str]) -> list[Row]:
        return use_rows(seen.fake, data.train, data.test, words, classifier=classifier, seed=seen.seed, device=device)

    found = made(rows_of, _asked(USE_METRICS, wanted))
    details = {"subject": subject, "data": reference.name, "seed": seen.seed}
    scores = score_rows(found.rows, setting="classifier", **details)  # type: ignore[arg-type]
    return scores, [*absent_findings(found.absent), *use_findings(found.rows)]


def _of_gan(
    gan: TrainedGan, reference: Reference, seen: Seen, labels: Tensor | None, wanted: Collection[str], subject: str
) -> tuple[list[Score], list[Finding], Match | None]:
    """Scores of a GAN beyond its images: codes and classifiers, the latent space, the discriminator.

    Its networks number classes as its training data did; so do `labels`, those that it was asked for, and the data
    here.
    """
    data, fake = _data_of_gan(gan, reference.data), seen.fake
    assert fake.images is not None
    fakes = to_unit(fake.images)
    details = {"subject": subject, "data": reference.name, "seed": seen.seed}
    scores, findings = list[Score](), list[Finding]()
    own = made(
        partial(own_rows, gan, data or reference.data, fakes, labels, seed=seen.seed),
        _asked(POINT_METRICS, wanted) if data is not None else (),
    )
    scores += score_rows(own.rows, setting="discriminator", **details)  # type: ignore[arg-type]
    if _any(wanted, "latent"):
        rows_of = partial(latent_rows, gan, reference.extractor, seen, batch_size=reference.batch_size)
        latent = made(rows_of, _asked(LATENT_METRICS, wanted))
        seer = reference.extractor.title
        scores += score_rows(latent.rows, setting=reference.extractor.name, extractor=seer, **details)  # type: ignore[arg-type]
        findings += absent_findings(latent.absent, extractor=reference.extractor.name)
        findings += judged("the latent space", partial(latent_findings, latent.rows, gan, seen))
    findings += absent_findings(own.absent)
    if data is None or gan.discriminator is None or not _any(wanted, "discriminator"):
        return scores, findings, None
    match = Match(
        gan=gan,
        train=data.train,
        held_out=data.held_out,
        fakes=fakes,
        labels=labels,
        extractor=reference.extractor,
        real=reference.real,
        batch_size=reference.batch_size,
        seed=seen.seed,
    )
    more, remarks = _of_game(match, wanted, subject, reference.name)
    return [*scores, *more], [*findings, *remarks], match


def _of_game(match: Match, wanted: Collection[str], subject: str, data: str) -> tuple[list[Score], list[Finding]]:
    """Scores of the discriminator and of what both players do."""
    standing = judged(
        "the discriminator",
        lambda: discriminator_findings(match.judgements, loss=match.loss, seed=match.seed),
    )
    if any(finding.code == "diverged-discriminator" for finding in standing):
        return [], standing
    told = made(
        lambda _: discriminator_rows(match.judgements, loss=match.loss, seed=match.seed),
        _asked(DISCRIMINATOR_METRICS, wanted),
    )
    game = made(partial(game_rows, match), _asked(GAME_METRICS, wanted))
    scores = score_rows(
        [*told.rows, *game.rows],
        subject=subject,
        data=data,
        setting=f"discriminator-{match.loss}",
        seed=match.seed,
    )
    absent = absent_findings({**told.absent, **game.absent})
    return scores, [*standing, *absent, *game_findings(game.rows, loss=match.loss)]


def _data_of_gan(gan: TrainedGan, data: Data) -> Data | None:
    """The data with the GAN's class numbers; None where they have classes that the GAN does not know."""
    judge = gan.discriminator
    told = gan.generator.num_classes or (judge is not None and (judge.num_classes or judge.head.names_classes))
    if not told or not data.classes:
        return data
    known = numbers_among(data.classes, gan.classes) is not None
    return data.numbered_as(gan.classes, of=str(gan.path)) if known else None


def _note(seen: Sequence[Seen]) -> str:
    return precision_note(seen[0].fake.features.values.device)


def _asked(words: Collection[str], wanted: Collection[str]) -> list[str]:
    return [word for word in words if word in wanted]


def _any(wanted: Collection[str], group: str) -> bool:
    return not GROUPS[group].keys().isdisjoint(wanted)
