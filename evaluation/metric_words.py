"""All metrics of generators by name, the groups in which they are computed, and the choice of metrics by a user."""

from collections.abc import Collection, Mapping

from advgan.config.mistakes import alike
from evaluation.diversity.rows import DIVERSITY_METRICS
from evaluation.fidelity.inception_score import INCEPTION_METRICS
from evaluation.fidelity.kernel import KERNEL_METRICS
from evaluation.fidelity.rows import FIDELITY_METRICS
from evaluation.game.discriminator import DISCRIMINATOR_METRICS
from evaluation.game.rows import COSTLY as COSTLY_GAME
from evaluation.game.rows import GAME_METRICS
from evaluation.latent.rows import LATENT_METRICS
from evaluation.memorisation.rows import MEMORISATION_METRICS
from evaluation.modes.points import MODE_METRICS as PROTOCOL_METRICS
from evaluation.modes.rows import MODE_ROWS
from evaluation.neighbourhoods.rows import NEIGHBOUR_METRICS
from evaluation.own.rows import POINT_METRICS
from evaluation.use.rows import USE_METRICS

GROUPS: Mapping[str, Mapping[str, str]] = {
    "fidelity": {**FIDELITY_METRICS, **KERNEL_METRICS, **INCEPTION_METRICS},
    "neighbours": NEIGHBOUR_METRICS,
    "modes": {**MODE_ROWS, **PROTOCOL_METRICS},
    "diversity": DIVERSITY_METRICS,
    "memorisation": MEMORISATION_METRICS,
    "own": POINT_METRICS,
    "latent": LATENT_METRICS,
    "discriminator": {**DISCRIMINATOR_METRICS, **GAME_METRICS},
    "use": USE_METRICS,
}
METRICS = {word: text for group in GROUPS.values() for word, text in group.items()}
COSTLY = frozenset({*COSTLY_GAME, *USE_METRICS})
"""Metrics for which networks are trained: computed only where they are named."""
ALL = "all"


def wanted_metrics(names: Collection[str]) -> frozenset[str]:
    """Resolve names of metrics and groups to metrics; no name: all but the costly ones; `all`: those too.

    A group means its words without the costly ones, or all where all are costly. Raises ValueError for a name that is
    neither.
    """
    if not names:
        return frozenset(METRICS) - COSTLY
    for name in names:
        if name not in METRICS and name not in GROUPS and name != ALL:
            meant = alike(name, (*METRICS, *GROUPS, ALL))
            hint = f"did you mean {meant}?" if meant else f"groups: {', '.join(GROUPS)}; advgan ls metrics has all"
            raise ValueError(f"no metric {name!r} ({hint})")
    if ALL in names:
        return frozenset(METRICS)
    return frozenset(word for name in names for word in _meant(name))


def _meant(name: str) -> Collection[str]:
    """The metric itself; for a group, its metrics that are not costly, or all where all are."""
    words = GROUPS.get(name)
    return (name,) if words is None else words.keys() - COSTLY or words
