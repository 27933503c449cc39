"""A run goes on with the classes that it was begun with: another order is renumbered, other classes are refused."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from safetensors import safe_open

from advgan.storage.documents import read_document, write_document
from advgan.storage.seal import FIELD
from evaluation.jobs.judges import choose_extractor

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


def files() -> list[tuple[Path, bytes]]:
    return sorted((path, path.read_bytes()) for path in Path("run").rglob("*") if path.is_file())


@pytest.mark.parametrize("verb", ["fit", "train", "train baseline"])
def test_other_images_of_the_same_classes_are_refused_with_both_hashes(verb: str, advgan: Advgan) -> None:
    write("cat", "dog")
    assert advgan(*COMMANDS[verb], "--data", "mine.npz", "-o", "run", "-q")[0] == 0
    before = files()
    write("cat", "dog", seed=1)
    code, _, err = advgan(verb.split()[0], "--resume", "run", "-q")
    assert (code, err.count("\n"), err.count("hash ")) == (2, 1, 2)
    assert files() == before


CHANGES = {
    "fit": [("network", "width", 9), ("training", "seed", 4), ("training", "optimizer", "sgd")],
    "train": [("networks", "latent_dim", 9), ("training", "seed", 4), ("training", "ramp", {"learning_rate": 0.5})],
    "train baseline": [("baseline", "latent_dim", 9), ("baseline", "seed", 4)],
}


@pytest.mark.parametrize("sealed", [True, False])
@pytest.mark.parametrize("verb", CHANGES)
def test_a_run_goes_on_by_its_own_recipe_alone(verb: str, sealed: bool, advgan: Advgan) -> None:
    write("cat", "dog")
    assert advgan(*COMMANDS[verb], "--data", "mine.npz", "-o", "run", "-q")[0] == 0
    config, environment = Path("run/config.yaml"), read_document(Path("run/env.json"))
    if not sealed:  # as runs of earlier versions are
        del environment["config_sha256"]
        write_document(Path("run/env.json"), environment)
    kept = config.read_text()
    for section, key, value in CHANGES[verb]:
        values = yaml.safe_load(kept)
        values[section][key] = value
        config.write_text(yaml.safe_dump(values))
        before = files()
        code, _, err = advgan(verb.split()[0], "--resume", "run", "-q")
        assert (code, err.count("\n")) == (2, 1)
        assert files() == before
        if not sealed:
            assert f"{section}.{key}" in err
    config.write_text(kept)
    longer = {"fit": "training.epochs=2", "train": "training.steps=4", "train baseline": "baseline.steps=4"}[verb]
    assert advgan(verb.split()[0], "--resume", "run", "-q", "--set", longer)[0] == 0


@pytest.mark.parametrize("verb", ["fit", "train", "train baseline"])
def test_a_run_whose_checkpoints_are_gone_is_not_begun_anew(verb: str, advgan: Advgan) -> None:
    write("cat", "dog")
    assert advgan(*COMMANDS[verb], "--data", "mine.npz", "-o", "run", "-q")[0] == 0
    for path in Path("run/checkpoints").iterdir():
        path.unlink()
    before = files()
    code, _, err = advgan(verb.split()[0], "--resume", "run", "-q")
    assert (code, err.count("\n")) == (2, 1)
    assert "its checkpoints are gone" in err
    assert files() == before


def test_a_run_goes_on_with_its_own_judge_alone(advgan: Advgan, monkeypatch: pytest.MonkeyPatch) -> None:
    write("cat", "dog")
    assert advgan(*COMMANDS["train"], "--data", "mine.npz", "-o", "run", "-q")[0] == 0
    before = files()
    chosen = choose_extractor
    monkeypatch.setattr(
        "evaluation.jobs.train.job.choose_extractor", lambda *given: replace(chosen(*given), digest="0123")
    )
    code, _, err = advgan("train", "--resume", "run", "-q", "--steps", "4")
    assert (code, err.count("\n")) == (2, 1)
    assert "judge" in err
    assert "0123" in err
    assert files() == before


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
