"""`advgan eval --reference STATISTICS`: Fréchet distances to the moments saved by another tool."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from advgan.machine.room import Room
from evaluation.features.features import Extractor
from evaluation.generator_verdict import generator_verdict, joined_verdicts
from evaluation.inputs import Source, Statistics
from evaluation.jobs.eval.config import EvalConfig
from evaluation.jobs.setup import Outcome, Setup, finish, log, now, versions
from evaluation.record.findings import Finding
from evaluation.record.scores import Score
from evaluation.report.results import Headline, Results
from evaluation.scoring import subject_of
from evaluation.statistics_scores import score_against_statistics


def against_statistics(
    config: EvalConfig, setup: Setup, sources: Sequence[Source], extractor: Extractor, real: Statistics
) -> Outcome:
    """Score sources by the Fréchet distance to saved moments, the only metric that can be computed from them."""
    scores, findings, verdicts = list[Score](), list[Finding](), dict[str, str]()
    room = Room.of(config.batch_size)
    for source in sources:
        log.info("scoring %s", source.name)

        def score(size: int, source: Source = source) -> tuple[list[Score], list[Finding]]:
            return score_against_statistics(
                source, extractor, real, subject=subject_of(source), batch_size=size, seed=config.seed
            )

        found, remarks = room.within(score)
        verdicts[subject_of(source)] = generator_verdict(found, remarks)
        scores += found
        findings += remarks
    results = Results(
        command="eval",
        title=f"Images beside {real.name}",
        run="",
        created=now(),
        verdict=joined_verdicts(verdicts),
        header=(("statistics", f"{real.name} {real.digest}"), ("extractor", f"{extractor.name} {extractor.digest}")),
        headline=tuple(Headline(score.metric, score, score.subject) for score in scores),
        scores=tuple(scores),
        findings=tuple(dict.fromkeys(findings)),
        versions=versions(),
    )
    try:
        run = setup.create_run("eval", Path(real.name).stem, config.complete())
    except OSError as error:
        return Outcome(None, results, unwritten=error)
    return finish(run, replace(results, run=str(run.folder)))
