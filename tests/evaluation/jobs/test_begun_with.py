"""A run goes on with the classes that it was begun with: another order is renumbered, other classes are refused."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open

from advgan.storage.seal import FIELD

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


@pytest.mark.parametrize("name", ["fit", "train", "train baseline"])
def test_a_run_whose_newest_checkpoint_is_damaged_goes_on_from_the_one_before(name: str, advgan: Advgan) -> None:
    command = [word.replace("_every=2", "_every=1") for word in COMMANDS[name]]
    assert advgan(*command, *(["--epochs", "2"] if name == "fit" else []), "-o", "run", "-q")[0] == 0
    folder = Path("run/checkpoints")
    whole = contents(folder)
    assert set(whole) == {"last.safetensors", "previous.safetensors", "best.safetensors"}
    kept = Path("run/log.jsonl").read_bytes(), Path("run/scores.csv").read_bytes()

    damage(folder / "last.safetensors")
    code, _, err = advgan(command[0], "--resume", "run")
    assert code == 0
    assert "is damaged (its content is not what was written); going on from the checkpoint before it" in err
    assert (Path("run/log.jsonl").read_bytes(), Path("run/scores.csv").read_bytes()) == kept
    assert contents(folder) == whole

    damage(folder / "best.safetensors")
    code, _, err = advgan(command[0], "--resume", "run", "-q")
    assert (code, err.count("\n")) == (2, 1)
    assert "best.safetensors is damaged" in err
    assert "put back a copy, or begin a new run" in err


def contents(folder: Path) -> dict[str, tuple[dict[str, str], dict[str, bytes]]]:
    """Header and tensors of each checkpoint; safetensors leaves their order open, and so the digest of the file."""
    found = {}
    for path in folder.iterdir():
        with safe_open(path, framework="np") as file:
            header = {key: value for key, value in file.metadata().items() if key != FIELD}
            found[path.name] = header, {name: file.get_tensor(name).tobytes() for name in file.keys()}  # noqa: SIM118
    return found


def damage(file: Path) -> None:
    """Flip a bit in the middle, of this file alone: the best checkpoint may share its content with the last."""
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 4
    file.unlink()
    file.write_bytes(content)
