"""`advgan eval`: score generators, their discriminators, and sets of images, each image seen once by each network."""

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from advgan.data import Data
from advgan.machine.precision import true_float32
from advgan.machine.processes import Processes, joined
from advgan.machine.room import Room
from advgan.sampling.stored import TrainedGan
from advgan.storage.atomic import write_atomically
from advgan.storage.runs import Run
from attacks import Classifier
from evaluation.comparing import comparison_findings, difference_scores, differences
from evaluation.extractors import named_extractor
from evaluation.features.features import INCEPTION, Extractor
from evaluation.features.protocols import DEFAULT, protocol_of
from evaluation.generator_verdict import generator_verdict, joined_verdicts, nearest_verdict
from evaluation.inputs import Source, Statistics
from evaluation.inputs.asked import Shares
from evaluation.inputs.generated import gan_source
from evaluation.jobs.afterwards import spared, with_panels
from evaluation.jobs.eval.config import EvalConfig
from evaluation.jobs.eval.panels import comparison_panel, scored_parts, set_apart
from evaluation.jobs.eval.reading import read_subjects
from evaluation.jobs.eval.statistics import against_statistics
from evaluation.jobs.judges import check_extractor_name, choose_extractor, labelling_judge
from evaluation.jobs.looking_threads import looking_threads
from evaluation.jobs.setup import Outcome, Setup, finish, keep, log, now, progress, versions
from evaluation.metric_words import wanted_metrics
from evaluation.protocol_scores import protocol_scores
from evaluation.record.findings import Finding
from evaluation.report.results import Headline, Results
from evaluation.scoring import Scored, check_scored, score_source
from evaluation.seeing.feature_cache import FeatureCache, arithmetic
from evaluation.seeing.reference import Reference
from evaluation.unanswered import unanswered
from evaluation.use.rows import USE_METRICS

__all__ = ["EvalConfig", "evaluate_gan", "plan", "run"]


@true_float32()
def evaluate_gan(
    gan: TrainedGan, reference: Reference, *, num_samples: int, seed: int = 0, metrics: Sequence[str] = ()
) -> Scored:
    """Draw images from a GAN once, extract their features once, and compute all scores and findings."""
    like = Shares.of(reference.data) if reference.data.num_classes else None
    source = gan_source(gan, num_samples=num_samples, seed=seed, device="cpu", like=like)
    found = score_source(source, [reference], wanted=wanted_metrics(metrics), seed=seed)
    assert found is not None
    return found


def plan(config: EvalConfig, setup: Setup) -> list[str]:
    """Say what a run would do, after reading its input."""
    for name in config.features:
        check_extractor_name(name)
    sources, data, real = read_subjects(config, setup)
    against = [data.summary()] if data else []
    against += [f"against {real.name}"] if real else []
    return [*against, *(f"{each.name}: {each.count:,} images" for each in sources)]


@true_float32()
def run(config: EvalConfig, setup: Setup) -> Outcome | None:
    """Score every subject against the same real images by the same extractors; None in all but the first process."""
    with joined(setup.device) as processes:
        setup = replace(setup, device=processes.device(setup.device))
        sources, data, real = read_subjects(config, setup)
        extractors = [_extractor(name, data, config, setup) for name in config.features]
        room = _room(config, processes)
        threads = looking_threads(
            [*sources, *([real] if isinstance(real, Source) else [])],
            extractors,
            batch_size=room.size,
            device=setup.torch_device(),
            processes=processes,
        )
        with threads:
            if isinstance(real, Statistics):
                return against_statistics(config, setup, sources, extractors[0], real) if processes.is_first else None
            return _scored(config, setup, sources, data, real, extractors, room, processes)


def _scored(
    config: EvalConfig,
    setup: Setup,
    sources: Sequence[Source],
    data: Data | None,
    real: Source | None,
    extractors: Sequence[Extractor],
    room: Room,
    processes: Processes,
) -> Outcome | None:
    wanted, scored = wanted_metrics(config.metrics), list[Scored]()
    references = room.within(lambda _: _references(config, setup, data, real, extractors, room, processes))
    for source in sources:
        log.info("scoring %s", source.name)
        labeller = _labeller(source, data, wanted, setup)

        def score(_: int, source: Source = source, labeller: Classifier | None = labeller) -> Scored | None:
            with progress(source.count, source.name) as bar:
                return score_source(
                    source,
                    references,
                    wanted=_of_form(wanted, source, config),
                    seed=config.seed,
                    classifier=labeller,
                    processes=processes,
                    advance=bar.update,
                )

        scored += [found] if (found := room.within(score)) else []
    return _report(config, setup, scored, references) if processes.is_first else None


def _report(config: EvalConfig, setup: Setup, scored: Sequence[Scored], references: Sequence[Reference]) -> Outcome:
    scored = [replace(one, findings=(*one.findings, *unanswered(config.metrics, one))) for one in scored]
    check_scored(scored)
    first = references[0]
    name = first.known_data.name if first.known_data else Path(first.source.name).stem
    compared = differences(sides := [one.scores for one in scored] if config.compare else [])
    between = comparison_findings(compared, sides)
    verdicts = {one.subject: generator_verdict(one.scores, one.findings) for one in scored}
    said = joined_verdicts(verdicts), nearest_verdict(compared), generator_verdict((), between)
    results = Results(
        command="eval",
        title=f"Generators of {name}" if any(one.source.gan for one in scored) else f"Images beside {name}",
        run="",
        created=now(),
        verdict=" ".join(filter(None, said)),
        header=(
            ("data", first.known_data.summary() if first.known_data else first.source.name),
            ("real images", f"{len(first.sample):,}, {first.source.protocol}"),
            *((f"subject {number}", _described(one.source)) for number, one in enumerate(scored, start=1)),
            *(("extractor", f"{each.extractor.name} {each.extractor.digest}") for each in references),
        ),
        headline=tuple(Headline(score.metric, score, one.subject) for one in scored for score in one.headline[:4]),
        scores=(*(score for one in scored for score in one.scores), *difference_scores(compared)),
        findings=(*_findings(scored), *between),
        panels=(comparison_panel(compared),) if compared else (),
        versions=versions(),
    )
    try:
        run = setup.create_run("eval", name, config.complete())
    except OSError as error:
        return Outcome(None, results, unwritten=error)
    keep(run, results := replace(results, run=str(run.folder)))
    return finish(run, _explained(results, scored, first, run))


def _explained(results: Results, scored: Sequence[Scored], reference: Reference, run: Run) -> Results:
    """The same with numbers as other tools print them, and panels; one that fails becomes a finding."""
    for one in scored:
        _, failed = spared("Numbers as other tools print them", partial(_write_protocol_scores, run.folder, one))
        results = replace(results, findings=(*results.findings, *failed))
    parts = {one.subject: scored_parts(run.folder, one, reference) for one in scored}
    if len(parts) > 1:
        parts = {subject: set_apart(some, subject) for subject, some in parts.items()}
    return with_panels(results, *parts.values())


def _extractor(name: str, data: Data | None, config: EvalConfig, setup: Setup) -> Extractor:
    """The feature extractor of a name; without data there is no classifier for `auto`."""
    protocol = config.protocol if name == INCEPTION else DEFAULT
    if config.protocol != DEFAULT and INCEPTION not in config.features:
        raise ValueError(f"--protocol {config.protocol} is a rule for Inception: add --features inception")
    if data is None:
        if name == "auto":
            raise ValueError(
                "--features auto is a classifier of the data, and --reference has none: add --data, or name "
                "--features random, pixels or inception"
            )
        return named_extractor(name, device=setup.torch_device(), protocol=protocol)
    return choose_extractor(name, data, setup, protocol=protocol)


def _room(config: EvalConfig, processes: Processes) -> Room:
    """The batch size; with several processes it is fixed, as they share every batch."""
    if config.batch_size == "auto" and processes.count > 1:
        raise ValueError("--batch-size auto: the processes of torchrun share every batch; give a number")
    return Room.of(config.batch_size)


def _references(
    config: EvalConfig,
    setup: Setup,
    data: Data | None,
    real: Source | None,
    extractors: Sequence[Extractor],
    room: Room,
    processes: Processes,
) -> list[Reference]:
    """Features of the real images by each extractor, computed by all processes together."""
    references = [
        Reference(
            data,
            extractor,
            seed=config.seed,
            batch_size=room,
            num_real=config.num_real,
            cache=FeatureCache(arithmetic=arithmetic(setup.torch_device())),
            source=real,
        )
        for extractor in extractors
    ]
    for reference in references:
        with progress(reference.source.count, f"real images, {reference.extractor.name}") as bar:
            reference.see(processes, bar.update)
    return references


def _labeller(source: Source, data: Data | None, wanted: Collection[str], setup: Setup) -> Classifier | None:
    """A classifier of the data to label images without labels, where metrics of use are wanted."""
    if source.labels is not None or data is None or not data.has_classes or data.train.are_points:
        return None
    if USE_METRICS.keys().isdisjoint(wanted):
        return None
    return labelling_judge(data, setup)


def _of_form(wanted: Collection[str], source: Source, config: EvalConfig) -> Collection[str]:
    """Nothing learns from points: `all` leaves that out, and where it is named it is an error."""
    return set(wanted) - USE_METRICS.keys() if source.points and "all" in config.metrics else wanted


def _findings(scored: Sequence[Scored]) -> list[Finding]:
    """Every finding once: what not all subjects have says whose it is."""
    everyone = [finding for finding in scored[0].findings if all(finding in one.findings for one in scored)]
    own = [
        replace(finding, title=f"{finding.title}: {one.subject}")
        for one in scored
        for finding in one.findings
        if finding not in everyone
    ]
    return [*everyone, *own]


def _write_protocol_scores(folder: Path, scored: Scored) -> Iterator[Path]:
    """What the tool of the protocol would print for these features, by its own key names; the files."""
    for seen in scored.seen:
        if not seen.real.features.is_inception:
            continue
        protocol = protocol_of(seen.real.features.extractor).name
        try:
            found = protocol_scores(seen.real.features, seen.fake.features)
        except ValueError as error:  # too few images for the tool's own rules, not for ours
            log.warning("no numbers as %s prints them: %s", protocol, error)
            continue
        yield write_atomically(folder / f"{protocol}-{scored.source.digest}.json", json.dumps(found, indent=1) + "\n")


def _described(source: Source) -> str:
    return f"{source.name} ({source.digest}), {source.count:,} images: {source.protocol}"
