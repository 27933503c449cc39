"""A run that looks like a real one, for the tests of the report; its numbers are made up, its digits are real."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from advgan.config import GanNetworks, GanTraining
from advgan.gan.training import start
from advgan.models.gans.families import GANS
from advgan.sampling.stored import save_gan
from evaluation.record.findings import Finding
from evaluation.record.scores import Score
from evaluation.report.page import write_report
from evaluation.report.panels import BarPanel, Bars, CurvePanel, Line, Panel, Series, TablePanel
from evaluation.report.pictures import Prediction, grids_panel, triplets_panel
from evaluation.report.results import Headline, Results

HOSTILE = "<script>alert('x')</script>"


def build_score(metric: str, value: float, low: float = math.nan, high: float = math.nan, **details: object) -> Score:
    defaults = {
        "subject": "cnn 3f2a91c07b1e",
        "data": "digits 91abf0021d3e (test)",
        "setting": "",
        "samples": 450,
        "seed": 0,
        "protocol": "fraction of the test images; 95 % interval after Wilson",
    }
    return Score(metric=metric, value=value, low=low, high=high, **{**defaults, **details})  # type: ignore[arg-type]


def build_run(folder: Path, *, name: str = "00001-digits", shift: float = 0.0, hostile: bool = False) -> Results:
    """Write the results and pictures of a made-up run into a folder; `shift` makes its numbers differ."""
    from sklearn.datasets import load_digits

    digits = torch.from_numpy(load_digits().images).float()[:, None] / 16
    noise = torch.rand(64, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    clean = digits[:6]
    adversarial = (clean + 0.3 * (noise[:6] - 0.5).sign()).clamp(0, 1)
    names = [HOSTILE if hostile and digit == 3 else str(digit) for digit in range(10)]
    scores = _scores(shift)
    results = Results(
        command="demo",
        title=f"The whole loop on digits{' ' + HOSTILE if hostile else ''}",
        run=f"runs/demo/{name}",
        created="2026-11-22T16:09:41+00:00",
        verdict="FGSM at linf 0.3 leaves the classifier 4.2 % of its 97.3 % accuracy; the hardened one keeps 71.3 %, "
        "and generated images add nothing that can be told from chance.",
        header=_header(),
        headline=(
            Headline("Clean accuracy", scores[0], "cnn, before hardening"),
            Headline("Robust accuracy before", scores[1], "PGD-40 at linf 0.3"),
            Headline("Hardened on real images", scores[3], "PGD-40 at linf 0.3"),
            Headline("Hardened on real and generated", scores[4], "PGD-40 at linf 0.3"),
            Headline("Fréchet distance", scores[5], "classifier features; lower is better"),
            Headline("Digits generated", "10 of 10", "judged by a classifier that it never saw"),
        ),
        scores=scores,
        findings=(
            Finding("info", "Small test set", "n = 450: an accuracy is known to ± 2 points.", "Use more images."),
            Finding(
                "warning",
                "The budget is large for this data",
                "Noise of the same linf norm costs 11.2 points of accuracy.",
                "Read the curve at smaller eps; 0.3 changes what a person sees.",
            ),
        ),
        panels=(
            *_attack_panels(folder, clean, adversarial, names, shift),
            *_gan_panels(folder, digits, names, shift),
        ),
        versions=(("advgan", "0.1.0"), ("python", "3.11.7"), ("torch", "2.14.1"), ("numpy", "2.4.6")),
    )
    results.save(folder)
    return results


def _header() -> tuple[tuple[str, str], ...]:
    return (
        ("Threat model", "linf, eps 0.3, untargeted, white box"),
        ("Attack", "PGD, 40 steps of 0.01875, 1 random start"),
        ("Data", "digits 91abf0021d3e: 1,077 train, 270 validation, 450 test, 1x8x8"),
        ("Model", "cnn 3f2a91c07b1e, 61,354 parameters"),
        ("Generator", "dcgan conditional 77c1e0b9d2aa, step 3,000"),
        ("Seed", "0"),
        ("Device", "cpu, 2 threads"),
        ("Time", "3 min 41 s"),
    )


def _scores(shift: float) -> tuple[Score, ...]:
    hard = {"subject": "cnn hardened c0ffee123456", "setting": "pgd-linf-0.3"}
    gan = {"subject": "dcgan 77c1e0b9d2aa", "setting": "classifier", "samples": 10_000}
    return (
        build_score("clean_accuracy", 0.9733, 0.954, 0.9856, setting="clean"),
        build_score("robust_accuracy", 0.0422, 0.027, 0.0651, setting="pgd-linf-0.3"),
        build_score("robust_accuracy", 0.8611, 0.826, 0.890, setting="uniform-linf-0.3"),
        build_score("robust_accuracy", 0.7133 - shift, 0.670 - shift, 0.753 - shift, **hard),
        build_score("robust_accuracy", 0.7289, 0.686, 0.768, **{**hard, "subject": "cnn hardened+gan 0badcafe1234"}),
        build_score("fd[classifier]", 12.3456 + 10 * shift, 11.8, 13.4, protocol="jackknife over 20 parts", **gan),
        build_score("modes_covered", 10, **gan, protocol="classes with more than 1 % of the samples"),
        build_score("mode_kl", 0.0132, 0.009, 0.021, **gan, protocol="KL of the class histogram from the real one"),
        build_score("precision", 0.91234, 0.90, 0.925, **gan, protocol="k = 3 nearest neighbours"),
        build_score("recall", 0.6123, 0.59, 0.63, **gan, protocol="k = 3 nearest neighbours"),
    )


def _attack_panels(
    folder: Path, clean: torch.Tensor, adversarial: torch.Tensor, names: list[str], shift: float
) -> tuple[Panel, ...]:
    budgets = (0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4)
    curves = {"fgsm": 9.0, "pgd": 14.0, "uniform noise": 0.6, "worst case": 14.5}
    series = []
    for name, slope in curves.items():
        values = [max(0.004, 0.973 * math.exp(-slope * (eps + shift) ** 1.6)) for eps in budgets]
        series.append(
            Series(
                name=name,
                x=budgets,
                y=tuple(values),
                low=tuple(max(0.0, value - 0.03) for value in values),
                high=tuple(min(1.0, value + 0.03) for value in values),
                style="dashed" if name == "worst case" else "solid",
            )
        )
    return (
        CurvePanel(
            title="Accuracy against the budget",
            caption="Shaded: 95 % intervals after Wilson, n = 450 at each budget.",
            section="Attack",
            x_label="linf eps",
            y_label="accuracy",
            series=tuple(series),
            lines=(Line("chance", 0.1),),
            percent=True,
        ),
        BarPanel(
            title="Accuracy of each class under attack",
            caption="PGD-40 at linf 0.3.",
            section="Attack",
            categories=tuple(names),
            series=(
                Bars(name="clean", values=tuple(0.99 - 0.01 * k for k in range(10))),
                Bars(
                    name="pgd",
                    values=tuple(0.02 + 0.03 * (k * 7 % 10) for k in range(10)),
                    low=tuple(0.01 + 0.02 * (k * 7 % 10) for k in range(10)),
                    high=tuple(0.06 + 0.04 * (k * 7 % 10) for k in range(10)),
                ),
            ),
            percent=True,
            y_label="accuracy",
            x_label="class",
        ),
        triplets_panel(
            folder,
            clean,
            adversarial,
            truth=[names[k] for k in range(6)],
            before=[Prediction(names[k], 0.99 - 0.02 * k) for k in range(6)],
            after=[Prediction(names[(k + 3) % 10], 0.87) for k in range(6)],
            title="What the attack changed",
            caption="The first six test images that the classifier had right. PGD-40 at linf 0.3.",
            name="triplets",
            section="Attack",
        ),
        TablePanel(
            title="Attack ladder",
            section="Attack",
            columns=("attack", "accuracy after", "newly broken", "mean l2", "passes an image"),
            rows=(("fgsm", "13.1 %", 379, 1.88, 2), ("pgd", "4.2 %", 40, 1.7312, 31.4)),
        ),
    )


def _gan_panels(folder: Path, digits: torch.Tensor, names: list[str], shift: float) -> tuple[Panel, ...]:
    steps = tuple(float(step) for step in range(0, 3000, 10))
    real = tuple(0.5 + 0.35 * math.exp(-step / 500) + 0.04 * math.sin(step / 37) for step in steps)
    fake = tuple(0.5 - 0.45 * math.exp(-step / 600) + 0.04 * math.cos(step / 29) for step in steps)
    counts = tuple(float(900 + (k * 37 % 11) * 23 + 1000 * shift) for k in range(10))
    blurred = torch.nn.functional.avg_pool2d(digits[100:164], 3, stride=1, padding=1)
    return (
        grids_panel(
            folder,
            {"Real test images": digits[:64], "Generated, step 3,000": blurred},
            title="Real beside generated",
            caption="64 drawn at random from each, none picked by hand.",
            name="generated",
            section="Generator",
        ),
        CurvePanel(
            title="What the discriminator believes",
            section="Generator",
            x_label="step",
            y_label="probability of being real",
            series=(Series(name="D(x)", x=steps, y=real), Series(name="D(G(z))", x=steps, y=fake)),
            lines=(Line("equilibrium", 0.5),),
        ),
        BarPanel(
            title="How often each class is generated",
            caption="10,000 samples, by a classifier that the GAN never saw.",
            section="Generator",
            categories=tuple(names),
            series=(Bars(name="generated", values=counts),),
            lines=(Line("real share", 1000.0),),
            y_label="samples",
            x_label="class",
        ),
    )


@pytest.fixture
def make_score() -> Callable[..., Score]:
    """Make a score of a classifier on digits; any field may be given by name."""
    return build_score


@pytest.fixture
def make_run() -> Callable[..., Results]:
    """Write a made-up run into a folder."""
    return build_run


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    """A finished run in a folder of its own."""
    folder = tmp_path / "runs" / "demo" / "00001-digits"
    build_run(folder)
    return folder


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run with its page, to be read only."""
    folder = tmp_path_factory.mktemp("finished")
    build_run(folder)
    write_report(folder)
    return folder


@pytest.fixture
def two_runs(tmp_path: Path) -> list[Path]:
    """Two runs of the same kind with different numbers."""
    folders = [tmp_path / "00001-digits", tmp_path / "00002-weaker"]
    for folder, shift in zip(folders, (0.0, 0.2), strict=True):
        build_run(folder, name=folder.name, shift=shift)
    return folders


@pytest.fixture
def write_gan() -> Callable[..., Path]:
    """Write a small GAN of a family into a folder; its running statistics are not those of the start."""

    def write(folder: Path, family: str, class_counts: Sequence[int] = (), **options: object) -> Path:
        size, channels = (8, 3) if GANS[family].sizes(8) else (1, 2)
        networks = GanNetworks.model_validate({"family": family, "width": 8, "latent_dim": 6, **options})
        training = GanTraining()
        state = start(networks, training, size=size, channels=channels, num_classes=4)
        state.average.train()
        for rows in torch.arange(16).split(8):
            state.average(state.average.space.draw(1, rows), rows % 4 if state.average.num_classes else None)
        data: dict[str, Any] = {"name": "toy", "digest": "d1", "classes": tuple("abcd")}
        data |= {"size": size, "channels": channels, "class_counts": list(class_counts)}
        save_gan(folder / "gan.safetensors", state, networks, training, data=data)
        return folder / "gan.safetensors"

    return write
