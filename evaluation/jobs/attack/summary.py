"""The words and big numbers at the top of an attack's report."""

from advgan.data import Data
from evaluation.jobs.suites import AttackOptions, attack_entry, format_eps, setting_name
from evaluation.record.scores import Score
from evaluation.report.results import Headline
from evaluation.report.text import format_score
from evaluation.under_attack.rows import WORST_CASE


def groups(config: AttackOptions, channels: int) -> dict[str, list[str]]:
    """The worst case at each budget, over all attacks of the ball; one budget needs no name."""
    in_ball = [settings for name, settings in config.settings(channels).items() if attack_entry(name).norms]
    if len(in_ball) < 2:
        return {}
    budgets = config.budgets(channels)
    names = [WORST_CASE] if len(budgets) == 1 else [setting_name(WORST_CASE, config.norm, eps) for eps in budgets]
    return {name: [settings[number] for settings in in_ball] for number, name in enumerate(names)}


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


def headline(scores: list[Score]) -> list[Headline]:
    """The big numbers: clean accuracy, then what the attacks leave, the worst case first."""
    shown = [Headline("clean accuracy", next(score for score in scores if score.metric == "clean_accuracy"))]
    robust = [score for score in scores if score.metric == "robust_accuracy"]
    worst = [score for score in robust if _is_worst_case(score)]
    single = [score for score in robust if not _is_worst_case(score)]
    note = "over all attacks, image by image"
    return [
        *shown,
        *(Headline(f"under {score.setting}", score, note) for score in worst[:4]),
        *(Headline(f"under {score.setting}", score) for score in single[: max(0, 4 - len(worst))]),
    ]


def _is_worst_case(score: Score) -> bool:
    return score.setting.startswith(WORST_CASE)


def verdict(scores: list[Score]) -> str:
    """The outcome in one sentence."""
    clean = next(score for score in scores if score.metric == "clean_accuracy")
    robust = min(
        (score for score in scores if score.metric == "robust_accuracy"),
        key=lambda score: (score.value, not _is_worst_case(score)),
    )
    return f"clean accuracy {format_score(clean)}; under {robust.setting}: {format_score(robust)}"
