"""How each attack, defence and preset is run once on the device, as small as it goes."""

import yaml

from advgan.config.presets import preset_file
from attacks import TABLE

SHORT_ATTACK = ["--steps", "3", "--queries", "20", "--set", "curve_points=2", "--set", "probes=4"]
FOOLBOX = {"foolbox:LinfProjectedGradientDescentAttack": "linf", "foolbox:L2DeepFoolAttack": "l2"}
"""One that is given a budget, and one that looks for the smallest change."""
SHORT_TRAINING = [
    *("--steps", "3", "-b", "8", "--set", "log_every=1", "--set", "evaluate_every=3"),
    *("--set", "diagnostics.redrawn=64", "--set", "diagnostics.judged=16", "--set", "diagnostics.gradients=8"),
]


def attack_options(name: str) -> list[str]:
    """The norm that an attack takes first, if it takes any."""
    norms = TABLE[name].norms
    return ["--attack", name, *(["--norm", norms[0]] if norms else [])]


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
