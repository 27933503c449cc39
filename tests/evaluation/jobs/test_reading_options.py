"""`--resize`, `--channels` and `--skip-bad` reach all stored images that a verb reads."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from advgan.config import DataConfig
from advgan.config.resolve import dump_yaml, read_yaml
from evaluation.jobs.eval.config import EvalConfig
from evaluation.jobs.sources import data_of

Ended = tuple[int, str, str]
METRICS = ["--metrics", "fidelity", "--features", "pixels"]


def write(folder: str, *, side: int = 8, channels: int = 1, count: int = 40, broken: bool = False) -> None:
    Path(folder).mkdir()
    for number in range(count):
        shape = (side, side) if channels == 1 else (side, side, channels)
        pixels = np.random.default_rng(number).integers(0, 256, shape, dtype=np.uint8)
        Image.fromarray(pixels).save(f"{folder}/{number}.png")
    if broken:
        Path(folder, "broken.png").write_text("no image")


@pytest.fixture
def advgan(advgan: Callable[..., Ended]) -> Callable[..., Ended]:
    return lambda *arguments: advgan(*arguments, "-q")


Advgan = Callable[..., Ended]


@pytest.mark.parametrize("against", ["--data", "--reference"])
def test_an_advice_on_form_works_on_the_images_that_caused_it(against: str, advgan: Advgan) -> None:
    write("large", side=12, channels=3)
    write("small")
    command = ["eval", "large", against, "small", *METRICS]
    code, _, err = advgan(*command)
    assert code != 0
    advice = re.findall(r"--[a-z]+ \d+", err)
    assert advice == ["--resize 8", "--channels 1"]
    code, out, err = advgan(*command, *" ".join(advice).split(), "--json", "--out", "run")
    assert (code, err) == (0, "")
    assert {score["metric"] for score in json.loads(out)["scores"]} >= {"fd[pixels]"}
    again = advgan(*command[:2], "-c", "run/config.yaml", "--json")
    assert again[0] == 0
    values = [[score["value"] for score in json.loads(text)["scores"]] for text in (out, again[1])]
    assert values[0] == values[1], "what the run wrote down makes the same numbers"


def test_options_of_reading_alone_do_not_bring_in_the_digits(advgan: Advgan) -> None:
    write("mine", side=12)
    write("real", side=16)
    code, out, err = advgan("eval", "mine", "--reference", "real", "--resize", "10", *METRICS, "--dry-run")
    assert (code, err) == (0, "")
    assert "digits" not in out


@pytest.mark.parametrize("against", ["--data", "--reference"])
def test_unreadable_images_are_left_out_on_both_sides(against: str, advgan: Advgan) -> None:
    write("mine", broken=True)
    write("real", broken=True)
    command = ["eval", "mine", against, "real", *METRICS]
    code, _, err = advgan(*command)
    assert code != 0
    assert "--skip-bad leaves them out" in err
    assert advgan(*command, "--skip-bad", "--out", "run")[0] == 0
    header = json.loads(Path("run/results.json").read_text())["header"]
    assert "1 that cannot be read left out" in str(header)


def test_a_size_that_images_have_already_changes_nothing(advgan: Advgan) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 1), dtype=np.uint8)
    np.savez("mine.npz", images=pixels)
    write("real")
    command = ["eval", "mine.npz", "--data", "real", *METRICS, "--json"]
    plain, sized = advgan(*command), advgan(*command, "--resize", "8", "--channels", "1")
    assert json.loads(plain[1])["scores"] == json.loads(sized[1])["scores"]


def test_a_run_keeps_its_data_when_only_their_reading_is_given(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "config.yaml").write_text(dump_yaml(EvalConfig(data=DataConfig(source="pets", resize=32, seed=3))))
    assert data_of(None, str(run)) == DataConfig(source="pets", resize=32, seed=3)
    assert data_of(DataConfig(resize=16), str(run)) == DataConfig(source="pets", resize=16, seed=3)
    assert data_of(DataConfig(source="digits"), str(run)) == DataConfig(source="digits")
    assert data_of(DataConfig(resize=16)) == DataConfig(source="digits", resize=16)
    assert data_of(DataConfig(source="", channels=3), str(run)).source == "pets"


def test_a_written_configuration_without_a_source_reads_as_one(tmp_path: Path) -> None:
    config = EvalConfig(subjects=("mine",), reference="real", data=DataConfig(resize=16)).complete()
    file = tmp_path / "config.yaml"
    file.write_text(dump_yaml(config))
    again = EvalConfig.model_validate(read_yaml(file)).complete()
    assert again == config
    assert again.data is not None
    assert not again.data.names_source


LEARNT = "learnt from mine (1x8x8"


@pytest.fixture
def bare(advgan: Advgan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A classifier's and a GAN's checkpoints out of their runs, the exports of both, and what they learnt from."""
    monkeypatch.setattr("evaluation.jobs.setup.write_report", lambda folder: folder / "report.html")
    pixels = np.random.default_rng(0).integers(0, 256, (80, 8, 8, 1), dtype=np.uint8)
    np.savez("mine.npz", images=pixels, labels=np.arange(80) % 2, classes=np.array(["cat", "dog"]))
    quick = ["--features", "random", "-n", "20", "--set", "log_every=1", "--set", "evaluate_every=1", "-b", "8"]
    assert advgan("fit", "--data", "mine.npz", "--model", "mlp", "--epochs", "1", "-o", "fitted")[0] == 0
    assert advgan("train", "--data", "mine.npz", "--family", "mlp", "--steps", "1", "-o", "gan", *quick)[0] == 0
    for run in ("fitted", "gan"):
        shutil.copy(f"{run}/checkpoints/best.safetensors", f"{run}.safetensors")
        assert advgan("export", "--ckpt", run, "--format", "pt2", "-o", f"exports/{run}")[0] == 0
    return tmp_path


def test_data_that_nobody_names_are_never_taken_to_be_the_digits(bare: Path, advgan: Advgan) -> None:
    """Each is refused in words, and works once the data are named as those say."""
    attack = ["--attack", "fgsm", "--dry-run"]
    commands = {
        "attack --model fitted.safetensors": attack,
        "attack --model exports/fitted/model.pt2": attack,
        "augment --attack fgsm --model fitted.safetensors": ["--dry-run"],
        "augment --attack fgsm --model exports/fitted/model.pt2": ["--dry-run"],
        "eval --ckpt gan.safetensors": ["--dry-run"],
        "eval exports/gan": ["--dry-run"],
        "eval exports/gan/model.pt2": ["--dry-run"],
        "eval mine.npz": ["--dry-run"],
        "fit --epochs 1 --model fitted.safetensors": ["--dry-run"],
        "sample --model fitted --ckpt gan.safetensors --arithmetic": ["cat - dog", "-q"],
    }
    for command, options in commands.items():
        code, _, err = advgan(*command.split(), *options)
        assert (code, err.count("\n")) == (2, 1), command
        assert "--data" in err, command
        assert (LEARNT in err) == ("mine.npz" not in command), command
        code, out, err = advgan(*command.split(), *options, "--data", "mine.npz")
        assert (code, err) == (0, ""), command
        assert "digits" not in out


def test_a_fit_from_a_run_goes_on_with_the_data_of_that_run(bare: Path, advgan: Advgan) -> None:
    for start in (["--model", "fitted"], ["--set", "start_from=fitted"]):
        code, out, _ = advgan("fit", "--epochs", "1", *start, "--dry-run")
        assert code == 0
        assert "# mine: " in out
    assert "# digits: " in advgan("fit", "--epochs", "1", "--model", "fitted", "--data", "digits", "--dry-run")[1]


def test_a_checkpoint_of_the_digits_alone_is_known_by_what_it_learnt(advgan: Advgan) -> None:
    assert advgan("fit", "--model", "mlp", "--epochs", "1", "--resize", "10", "-o", "fitted")[0] == 0
    shutil.copy("fitted/checkpoints/best.safetensors", "bare.safetensors")
    code, out, err = advgan("attack", "--model", "bare.safetensors", "--attack", "fgsm", "--dry-run")
    assert (code, err) == (0, "")
    assert "images of 10x10 pixels" in out
