"""A run goes on with the classes that it was begun with: another order is renumbered, other classes are refused."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

Advgan = Callable[..., tuple[int, str, str]]
LOOKS = ["-n", "20", "--features", "random", "--set", "log_every=2", "--set", "evaluate_every=2"]
COMMANDS = {
    "fit": ["fit", "--epochs", "1", "--model", "mlp"],
    "train": ["train", "--steps", "2", "-b", "8", "--family", "mlp", *LOOKS],
    "train conditional": ["train", "--conditional", "--steps", "2", "-b", "8", "--family", "mlp", *LOOKS],
    "train baseline": [
        "train",
        "--set",
        "baseline.kind=vae",
        "--set",
        "baseline.steps=2",
        "--set",
        "baseline.batch_size=32",
        *LOOKS,
    ],
}


@pytest.fixture(autouse=True)
def without_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evaluation.jobs.setup.write_report", lambda folder: folder / "report.html")


def write(*classes: str, seed: int = 0) -> None:
    """Images of one grey a class; the order of the names says which number each has."""
    names = sorted(classes)
    rng = np.random.default_rng(seed)
    images = np.concatenate([
        rng.integers(40 * number, 40 * number + 40, (40, 8, 8, 1), dtype=np.uint8) for number in range(len(names))
    ])  # fmt: skip
    labels = np.repeat([classes.index(name) for name in names], 40)
    np.savez("mine.npz", images=images, labels=labels, classes=np.array(classes))


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_a_run_goes_on_with_the_classes_that_it_was_begun_with(command: list[str], advgan: Advgan) -> None:
    write("cat", "dog")
    assert advgan(*command, "--data", "mine.npz", "-o", "run", "-q")[0] == 0
    before = Path("run/checkpoints/best.safetensors").read_bytes(), Path("run/scores.csv").read_bytes()
    resume = [command[0], "--resume", "run", "-q"]

    write("dog", "cat")
    assert advgan(*resume)[::2] == (0, ""), "the same classes in another order are numbered as they were"
    assert (Path("run/checkpoints/best.safetensors").read_bytes(), Path("run/scores.csv").read_bytes()) == before

    for others in (("cat", "fox"), ("cat", "dog", "fox"), ("cat",)):
        write(*others)
        code, _, err = advgan(*resume)
        assert (code, err.count("\n")) == (2, 1)
        assert "run" in err


def test_other_images_of_the_same_classes_are_said(advgan: Advgan) -> None:
    write("cat", "dog")
    assert advgan(*COMMANDS["fit"], "--data", "mine.npz", "-o", "run", "-q")[0] == 0
    write("cat", "dog", seed=1)
    code, _, err = advgan("fit", "--resume", "run")
    assert code == 0
    assert "have changed since" in err
