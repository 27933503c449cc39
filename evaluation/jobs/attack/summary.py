"""The verdict, header and headline numbers of an attack's report."""

from collections.abc import Collection, Iterable
from dataclasses import replace

from advgan.data import Data
from evaluation.jobs.suites import AttackOptions, attack_entry, format_eps, setting_name
from evaluation.record.findings import Finding
from evaluation.record.scores import Score
from evaluation.report.results import Headline
from evaluation.report.text import format_score
from evaluation.under_attack.rows import PANEL, WORST_CASE

UNDER_ATTACK = {"robust_accuracy", "robust_accuracy_8bit", "success_rate"}


def groups(config: AttackOptions, channels: int, panel: Collection[str] = ()) -> dict[str, list[str]]:
    """The worst case at each budget, over all attacks of the ball and the trust panel; one budget needs no name."""
    in_ball = [settings for name, settings in config.settings(channels).items() if attack_entry(name).norms]
    if in_ball and panel:
        in_ball = [*in_ball, panel_settings(config, channels)]
    if len(in_ball) < 2:
        return {}
    budgets = config.budgets(channels)
    names = [WORST_CASE] if len(budgets) == 1 else [setting_name(WORST_CASE, config.norm, eps) for eps in budgets]
    return {name: [settings[number] for settings in in_ball] for number, name in enumerate(names)}


def panel_settings(config: AttackOptions, channels: int) -> list[str]:
    """The names under which the scores of the trust panel stand, one a budget."""
    return [setting_name(PANEL, config.norm, eps) for eps in config.budgets(channels)]


def struck(findings: Iterable[Finding]) -> str:
    """The warnings against a robust accuracy in a few words, for which it is struck out; empty without any."""
    titles = [found.title for found in findings if found.level == "warning" and not found.is_failure]
    if not titles:
        return ""
    return titles[0] + (f", and {len(titles) - 1} more warning{'s' * (len(titles) > 2)}" if titles[1:] else "")


def marked(scores: Iterable[Score], findings: Iterable[Finding]) -> list[Score]:
    """The scores, those under attack with the warnings in their protocol, for those who read rows alone."""
    codes = dict.fromkeys(found.code for found in findings if found.level == "warning" and not found.is_failure)
    if not codes:
        return list(scores)
    note = f"; struck, as warnings speak against it: {', '.join(codes)}"
    return [
        replace(score, protocol=score.protocol + note) if score.metric in UNDER_ATTACK else score for score in scores
    ]


def header(
    config: AttackOptions, data: Data, subject: str, *, count: int, precision: str
) -> tuple[tuple[str, str], ...]:
    """What was measured and how."""
    options = {"steps": config.steps, "restarts": config.restarts, "queries": config.queries}
    given = ", ".join(f"{value} {name}" for name, value in options.items() if value is not None)
    given = given or ("options as in config.yaml" if config.options else "each with its own defaults")
    return (
        ("threat model", _threat_model(config, config.budgets(data.channels))),
        ("data", data.summary()),
        ("model", subject),
        ("attacks", ", ".join(config.attacks) + f"; {given}"),
        ("order", "a cascade: each gets what those before it left" if config.cascade else "each gets all images"),
        ("images", f"{count:,} of the test split; those classified rightly are attacked"),
        ("precision", precision + ", every success confirmed in float32" * (precision != "float32")),
        ("seed", str(config.seed)),
    )


def _threat_model(config: AttackOptions, budgets: tuple[float, ...]) -> str:
    aim = "reach a random wrong class" if config.targeted else "leave the right class"
    return f"{config.norm}, eps {', '.join(map(format_eps, budgets))}; {aim}; one image at a time"


def headline(scores: list[Score], findings: Iterable[Finding] = ()) -> list[Headline]:
    """The big numbers: clean accuracy, then what the attacks leave, the worst case first, struck by a warning.

    Where there are more attacks than places, the strongest have them.
    """
    shown = [Headline("clean accuracy", next(score for score in scores if score.metric == "clean_accuracy"))]
    robust = [score for score in scores if score.metric == "robust_accuracy"]
    worst = [score for score in robust if _is_worst_case(score)]
    single = [score for score in robust if not _is_worst_case(score)]
    note, why = "over all attacks, image by image", struck(findings)
    return [
        *shown,
        *(Headline(f"under {score.setting}", score, note, why) for score in worst[:4]),
        *(
            Headline(f"under {score.setting}", score, struck=why)
            for score in _strongest(single, max(0, 4 - len(worst)))
        ),
    ]


def _strongest(scores: list[Score], count: int) -> list[Score]:
    """The lowest, in their own order; of equals the later, as suites go from weak to strong."""
    ranked = sorted(range(len(scores)), key=lambda number: (scores[number].value, -number))
    return [scores[number] for number in sorted(ranked[:count])]


def _is_worst_case(score: Score) -> bool:
    return score.setting.startswith(WORST_CASE)


def verdict(scores: list[Score], findings: Iterable[Finding] = ()) -> str:
    """The outcome in one sentence; where warnings speak against it, they come before the number."""
    clean = next(score for score in scores if score.metric == "clean_accuracy")
    robust = min(
        (score for score in scores if score.metric == "robust_accuracy"),
        key=lambda score: (score.value, not _is_worst_case(score)),
    )
    known, found = f"clean accuracy {format_score(clean)}", f"under {robust.setting}: {format_score(robust)}"
    why = struck(findings)
    return f"{known}; the robust accuracy is struck ({why}), found {found}" if why else f"{known}; {found}"
