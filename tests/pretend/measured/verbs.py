"""How each attack, defence and preset is run once on the device, as small as it goes."""

import inspect

import yaml

from advgan.config.presets import preset_file
from attacks import TABLE

SHORT = {"steps": "3", "queries": "20"}
FOOLBOX = {"foolbox:LinfProjectedGradientDescentAttack": "linf", "foolbox:L2DeepFoolAttack": "l2"}
"""One that is given a budget, and one that looks for the smallest change."""
SHORT_TRAINING = [
    *("--steps", "3", "-b", "8", "--set", "log_every=1", "--set", "evaluate_every=3"),
    *("--set", "diagnostics.redrawn=64", "--set", "diagnostics.judged=16", "--set", "diagnostics.gradients=8"),
]


def attack_options(names: str, *, norm: bool = True) -> list[str]:
    """Attacks, with the norm that the first takes first, if any, for the few steps and queries that they have."""
    attacks = [TABLE[name] for name in names.split(",")]
    known = {option for entry in attacks for option in inspect.signature(entry.attack).parameters}
    limits = [word for option, value in SHORT.items() if option in known for word in (f"--{option}", value)]
    first = ["--norm", attacks[0].norms[0]] if norm and attacks[0].norms else []
    return ["--attack", names, *first, *limits, "--set", "curve_points=2", "--set", "probes=4"]


def train_options(name: str) -> list[str]:
    """A preset on few tiny images, or few points, for three steps."""
    settings = yaml.safe_load(preset_file("train", name).read_text())
    source = settings.get("data", {}).get("source", "digits")
    options = ["train", "--preset", name]
    options += ["--set", "baseline.steps=3"] if "baseline" in settings else SHORT_TRAINING
    if name.startswith("paper/"):
        options += ["--features", "auto", "--resize", "16", "--set", "networks.width=8"]
    if "discriminator_width" in settings.get("networks", {}):
        options += ["--set", "networks.discriminator_width=8"]
    if source.startswith("stacked"):
        return [*options, "--data", "stacked:digits", "--set", "data.count=300", "-n", "100"]
    if source in ("ring", "grid", "gaussian"):
        return [*options, "--set", "data.count=300", "-n", "100"]
    return [*options, "--data", "digits", "-n", "40"]
