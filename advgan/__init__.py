"""Adversarial attacks, GANs and their evaluation: the one door for scripts and notebooks.

    import advgan

    found = advgan.attack(advgan.Classifier(network, mean=mean, std=std), images, labels, suite="quick")
    found.table()

Everything is loaded when it is first asked for. The packages behind it are `attacks` (attacks on classifiers), this one
(data, networks, training) and `evaluation` (scores, reports, the verbs).
"""

from __future__ import annotations

from importlib import import_module

TYPE_CHECKING = False
"""As in `typing`, which takes as long to import as all that the command needs before it can answer a signal."""
if TYPE_CHECKING:
    from typing import Any

    from advgan.classifier.sources import load_classifier
    from advgan.sampling.stored import load_gan as load_generator
    from attacks import Classifier
    from evaluation import evaluate, robustness
    from evaluation.door.attacking import attack
    from evaluation.door.stored import compare, load_run

    __version__: str

_HOMES = {
    "Classifier": ("attacks", "Classifier"),
    "attack": ("evaluation.door.attacking", "attack"),
    "compare": ("evaluation.door.stored", "compare"),
    "evaluate": ("evaluation", "evaluate"),
    "load_classifier": ("advgan.classifier.sources", "load_classifier"),
    "load_generator": ("advgan.sampling.stored", "load_gan"),
    "load_run": ("evaluation.door.stored", "load_run"),
    "robustness": ("evaluation", "robustness"),
}
__all__ = [
    "Classifier",
    "__version__",
    "attack",
    "compare",
    "evaluate",
    "load_classifier",
    "load_generator",
    "load_run",
    "robustness",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that `import advgan` and `advgan --help` load no torch."""
    if name == "__version__":
        from importlib import metadata

        return metadata.version("advgan")
    if name not in _HOMES:
        raise AttributeError(f"module 'advgan' has no attribute {name!r}")
    module, attribute = _HOMES[name]
    return getattr(import_module(module), attribute)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
