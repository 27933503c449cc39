"""Our attacks beside those of others, on one trained network, in one run: passes per image first, then time.

    python benchmarks/attacks.py pgd --model runs/fit/00001-cifar10-cnn --eps 8/255
    python benchmarks/attacks.py sweep --model RUN --eps 8/255
    python benchmarks/attacks.py standard --model RUN --eps 8/255 -n 500
    python benchmarks/attacks.py minimal --model RUN --norm l2

Each prints a table in Markdown. Times are of the processor, with one thread. Ratios are between runs that follow each
other; of `--repeats` the median is quoted, and the least and the largest. Only images that the network classifies
rightly are attacked, by all alike. `standard` runs the official code too where `autoattack` can be imported.
"""

import statistics
import sys
import time
from collections.abc import Callable
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import NamedTuple

import click
import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from advgan.classifier.stored import load_trained
from advgan.config import DataConfig
from advgan.data import load_data
from attacks import NORMS, Classifier, pgd
from attacks.table import ATTACKS
from benchmarks import peers
from evaluation.jobs.sources import data_of
from evaluation.under_attack.outcomes import clean_outcome
from evaluation.under_attack.trials import attack_outcome, cascade, sweep


class Setting(NamedTuple):
    """What all are given: a counting network that takes [0, 1], and the images that it gets right."""

    network: peers.Counted
    classifier: Classifier
    images: Tensor
    labels: Tensor
    total: int
    """Images before the wrong ones were left out."""


class Measured(NamedTuple):
    """One tool's result: images left unbroken, passes an image, processor seconds of each repeat."""

    robust: int
    forwards: float
    backwards: float
    seconds: list[float]


def prepare(model: str, num_samples: int, data: str | None) -> Setting:
    """Load network and test images, evenly spaced over the test split."""
    torch.set_num_threads(1)
    source = data_of(DataConfig(source=data) if data else None, model)
    test = load_data(source, workers=0).test
    classifier, _ = load_trained(Path(model))
    chosen = torch.linspace(0, len(test) - 1, num_samples).long()
    images, labels = test.unit(chosen), test.labels[chosen]
    correct = clean_outcome(classifier, images, labels).correct
    network = peers.Counted(Unwrapped(classifier)).eval()
    return Setting(network, classifier, images[correct], labels[correct], num_samples)


class Unwrapped(nn.Module):
    """The same function of images in [0, 1] as a plain module, so that nobody pays for our counting."""

    def __init__(self, classifier: Classifier) -> None:
        super().__init__()
        self.network = classifier.network
        self.register_buffer("mean", classifier.mean)
        self.register_buffer("std", classifier.std)

    def forward(self, images: Tensor) -> Tensor:
        """Images to logits."""
        return self.network((images - self.mean) / self.std)


def measure_peer(setting: Setting, attack: Callable[..., Tensor], eps: float, repeats: int) -> Measured:
    """Run a peer on all images in one batch after the other of 256, as its users do."""
    seconds = []
    for repeat in range(repeats):
        torch.manual_seed(repeat)
        network = setting.network
        network.forwards = network.backwards = 0
        start = time.process_time()
        found = torch.cat([
            attack(network, images, labels, eps).detach()
            for images, labels in zip(setting.images.split(256), setting.labels.split(256), strict=True)
        ])  # fmt: skip
        seconds.append(time.process_time() - start)
    count = len(found)
    with torch.no_grad():
        robust = int((network.network(found).argmax(dim=1) == setting.labels).sum())
    return Measured(robust, network.forwards / count, network.backwards / count, seconds)


def measure_ours(setting: Setting, attack: Callable[..., Tensor], eps: float, repeats: int) -> Measured:
    """Run ours on the same images."""
    seconds = []
    for _ in range(repeats):
        passes = setting.classifier.passes
        forwards, backwards = passes.forwards, passes.backwards
        start = time.process_time()
        found = attack(setting.classifier, setting.images, setting.labels, eps=eps)
        seconds.append(time.process_time() - start)
    count = len(found)
    spent = (passes.forwards - forwards) / count, (passes.backwards - backwards) / count
    robust = int((setting.classifier.logits(found).argmax(dim=1) == setting.labels).sum())
    return Measured(robust, *spent, seconds)


def show(rows: dict[str, Measured], total: int, count: int, *, reference: str) -> None:
    """A Markdown table; ratios against the reference, run by run."""
    base = rows[reference]
    click.echo(
        f"| tool | robust accuracy (n = {total}) | forwards | backwards | CPU time / {reference} | median CPU s |"
    )
    click.echo("|---|---|---|---|---|---|")
    for name, row in rows.items():
        ratios = [a / b for a, b in zip(row.seconds, base.seconds, strict=False)]
        click.echo(
            f"| {name} | {100 * row.robust / total:.1f} % | {row.forwards:.1f} | {row.backwards:.1f} "
            f"| {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}) "
            f"| {statistics.median(row.seconds):.2f} |"
        )
    click.echo(f"\n{count} of {total} images are classified rightly and attacked; passes are means over those.")


def fraction(context: click.Context, option: click.Parameter, value: str) -> float:
    """8/255 as a number."""
    return float(Fraction(value))


def options(command: Callable[..., None]) -> Callable[..., None]:
    """What all commands take."""
    for decorate in (
        click.option("--model", required=True, help="Run of advgan fit."),
        click.option("--data", help="Data; else those of the run."),
        click.option("-n", "--num-samples", default=500, show_default=True),
        click.option("--eps", default="8/255", show_default=True, callback=fraction),
        click.option("--norm", default="linf", show_default=True, type=click.Choice(["linf", "l2", "l1"])),
        click.option("--repeats", default=5, show_default=True),
    ):
        command = decorate(command)
    return command


@click.group()
def main() -> None:
    """Compare attacks."""


@main.command("pgd")
@options
@click.option("--steps", default=40, show_default=True)
def pgd_command(
    model: str, data: str | None, num_samples: int, eps: float, norm: str, repeats: int, steps: int
) -> None:
    """PGD by everybody, the same number of steps of the same size from a random start."""
    setting = prepare(model, num_samples, data)
    attacks = {"ours": None, **peers.pgd_peers(steps=steps, norm=norm)}
    rows: dict[str, Measured] = {}
    for _ in range(repeats):  # in turn, so that a machine that drifts is fair to all
        for name, peer in attacks.items():
            if peer is None:
                new = measure_ours(setting, partial(pgd, norm=norm, steps=steps, batch_size=256), eps, 1)
            else:
                new = measure_peer(setting, peer, eps, 1)
            old = rows.get(name)
            rows[name] = new._replace(seconds=[*(old.seconds if old else []), *new.seconds])
    show(rows, num_samples, len(setting.images), reference="bare loop" if norm == "linf" else "ours")


@main.command("sweep")
@options
@click.option("--steps", default=40, show_default=True)
def sweep_command(
    model: str, data: str | None, num_samples: int, eps: float, norm: str, repeats: int, steps: int
) -> None:
    """Eight budgets in one sweep, against the largest alone, and against each apart."""
    setting = prepare(model, num_samples, data)
    budgets = [eps * number / 8 for number in range(1, 9)]
    attack = partial(pgd, norm=norm, steps=steps)
    given = (setting.classifier, setting.images, setting.labels)

    def cost(call: Callable[[], object]) -> tuple[float, float]:
        passes = setting.classifier.passes
        before = passes.forwards + passes.backwards
        start = time.process_time()
        call()
        return (passes.forwards + passes.backwards - before) / len(setting.images), time.process_time() - start

    runs = {
        "one (the largest)": lambda: attack_outcome(*given, partial(attack, eps=eps)),
        "one, no early exit": lambda: attack_outcome(*given, partial(attack, eps=eps, keep="last")),
        "eight in a sweep": lambda: sweep(*given, attack, budgets),
        "eight apart": lambda: [attack_outcome(*given, partial(attack, eps=budget)) for budget in budgets],
    }
    costs: dict[str, list[tuple[float, float]]] = {name: [] for name in runs}
    for _ in range(repeats):
        for name, call in runs.items():
            costs[name].append(cost(call))
    one, full = costs["one (the largest)"], costs["one, no early exit"]
    columns = ("run", "passes an image, with the looks", "/ one", "/ one full", "time / one", "time / one full")
    click.echo(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
    for name, found in costs.items():
        ratios = [statistics.median(a[1] / b[1] for a, b in zip(found, base, strict=True)) for base in (one, full)]
        click.echo(
            f"| {name} | {found[0][0]:.1f} | {found[0][0] / one[0][0]:.2f} | {found[0][0] / full[0][0]:.2f} "
            f"| {ratios[0]:.2f} | {ratios[1]:.2f} |"
        )


@main.command("standard")
@options
@click.option("--ours/--no-ours", "with_ours", default=True)
@click.option("--suite", default="standard", show_default=True, help="Ours, by its preset's name.")
def standard_command(
    model: str, data: str | None, num_samples: int, eps: float, norm: str, repeats: int, with_ours: bool, suite: str
) -> None:
    """The ensemble of AutoAttack by its authors' code and by ours."""
    from advgan.config.presets import preset_file
    from advgan.config.resolve import resolve
    from evaluation.jobs.attack.job import AttackConfig

    setting = prepare(model, num_samples, data)
    chosen = resolve(AttackConfig, file=preset_file("attack", suite), overrides={"norm": norm, "eps": [eps]})
    attacks = {trial.name: partial(trial.attack, eps=eps) for trial in chosen.trials(setting.images.shape[1])}
    rows: dict[str, Measured] = {}
    for _ in range(repeats):
        if with_ours:
            start = time.process_time()
            outcomes = cascade(setting.classifier, setting.images, setting.labels, attacks)
            seconds = time.process_time() - start
            robust = int(next(reversed(outcomes.values())).robust.sum())
            spent = [
                sum(int(getattr(outcome, kind).sum()) for outcome in outcomes.values()) / len(setting.images)
                for kind in ("forwards", "backwards")
            ]
            old = rows.get("ours")
            rows["ours"] = Measured(robust, *spent, [*(old.seconds if old else []), seconds])
            if old is None:
                for name, outcome in outcomes.items():
                    given = max(int(outcome.attacked.sum()), 1)
                    click.echo(
                        f"{name}: given {given}, left {int(outcome.robust.sum())}, "
                        f"forwards {int(outcome.forwards.sum()) / given:.1f}, "
                        f"backwards {int(outcome.backwards.sum()) / given:.1f}"
                    )
        if peers.has("autoattack"):
            new = measure_peer(setting, partial(peers.official_autoattack, norm=norm), eps, 1)
            old = rows.get("official AutoAttack")
            rows["official AutoAttack"] = new._replace(seconds=[*(old.seconds if old else []), *new.seconds])
    if not peers.has("autoattack"):
        click.echo("The official code is not installed: pip install git+https://github.com/fra31/auto-attack", err=True)
    reference = "official AutoAttack" if "official AutoAttack" in rows else "ours"
    show(rows, num_samples, len(setting.images), reference=reference)


@main.command("minimal")
@options
@click.option("--steps", default=100, show_default=True)
def minimal_command(
    model: str, data: str | None, num_samples: int, eps: float, norm: str, repeats: int, steps: int
) -> None:
    """Attacks that look for the nearest image: median size, success, and passes; and the share within eps."""
    setting = prepare(model, num_samples, data)
    rows = []
    for name, attack in {**ours_minimal(norm, steps), **peers.minimal_peers(norm=norm, steps=steps)}.items():
        is_ours = name.startswith("ours")
        network = setting.network
        network.forwards = network.backwards = 0
        passes = setting.classifier.passes
        before = passes.forwards, passes.backwards
        torch.manual_seed(0)
        start = time.process_time()
        found = attack(setting.classifier if is_ours else network, setting.images, setting.labels).detach()
        seconds = time.process_time() - start
        forwards, backwards = (
            (passes.forwards - before[0], passes.backwards - before[1])
            if is_ours
            else (network.forwards, network.backwards)
        )
        with torch.no_grad():
            fooled = network.network(found).argmax(dim=1) != setting.labels
        size = NORMS[norm].size(found - setting.images).masked_fill(~fooled, torch.inf)
        count = len(found)
        rows.append(
            f"| {name} | {100 * float(fooled.double().mean()):.1f} % | {float(size.median()):.4f} "
            f"| {100 * int((size > eps * (1 + 1e-6)).sum()) / num_samples:.1f} % "
            f"| {forwards / count:.1f} | {backwards / count:.1f} | {seconds:.1f} |"
        )
    click.echo(f"| attack ({norm}) | success | median size | left at eps {eps:.4g} | forwards | backwards | s |")
    click.echo("|---|---|---|---|---|---|---|")
    click.echo("\n".join(rows))


def ours_minimal(norm: str, steps: int) -> dict[str, Callable[..., Tensor]]:
    """Ours in that norm, under their own defaults but for the steps."""
    from attacks.table import TABLE

    names = ("fab", "fab-t", "deepfool", "ddn", "fmn", "cw", "ead", "sparsefool")
    chosen = [name for name in names if name in TABLE and norm in TABLE[name].norms]
    return {
        f"ours {name}": partial(
            ATTACKS[name], norm=norm, **({} if name in ("deepfool", "sparsefool", "cw", "ead") else {"steps": steps})
        )
        for name in chosen
    }


if __name__ == "__main__":
    main()
