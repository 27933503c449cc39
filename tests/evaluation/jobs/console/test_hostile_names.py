"""Names of folders, classes and keys, and errors of foreign code, reach neither the terminal nor a spreadsheet."""

import csv
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import cli

RED, BACKWARDS = "\x1b[31mred\x9b0m", "\u202egnp.exe"


def shown(capfd: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What a command says on both streams."""
    with pytest.raises(SystemExit):
        cli.main([*arguments])
    captured = capfd.readouterr()
    return captured.out + captured.err


def images(folder: Path, classes: tuple[str, ...]) -> None:
    for number, name in enumerate(classes):
        (folder / name).mkdir(parents=True)
        for index in range(12):
            pixels = np.random.default_rng(20 * number + index).integers(0, 256, (8, 8), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{index}.png")


def is_plain(text: str) -> bool:
    return all(sign.isprintable() or sign == "\n" for sign in text)


SCRIPT = f"""
import warnings
from torch import nn
class Net(nn.Module):
    def forward(self, images):
        raise RuntimeError({RED + BACKWARDS!r})
def warns():
    warnings.warn({RED!r})
    raise ValueError({BACKWARDS!r})
"""
LINES = {
    "class names": ["fit", "--data", f"in{RED}", "--epochs", "1", "--model", "mlp", "-v", "--dry-run"],
    "no such data": ["fit", "--data", RED, "--epochs", "1"],
    "no such model": ["attack", "--model", RED + BACKWARDS],
    "a click error": ["attack", "--norm", RED],
    "a stray option": ["attack", f"--{RED}"],
    "a key": ["attack", "--set", f"{RED}=1"],
    "a YAML key": ["config", "validate", "attack", "keys.yaml"],
    "a pass": ["attack", "--model", "model.py:Net", "-n", "10", "-vv"],
    "a builder": ["attack", "--model", "model.py:warns", "-n", "10", "-vv"],
    "a setting": ["config", "validate", "attack", f"no{RED}"],
}


@pytest.mark.parametrize("name", LINES)
@pytest.mark.filterwarnings("ignore")
def test_no_name_steers_the_terminal(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ADVGAN_CACHE_DIR", str(tmp_path / "cache"))
    Path("model.py").write_text(SCRIPT)
    Path("keys.yaml").write_text(f'"{RED.encode("unicode_escape").decode()}": 1\n')
    images(Path(f"in{RED}"), (f"a{RED}", f"b{BACKWARDS}"))
    said = shown(capfd, *LINES[name])
    assert is_plain(said), ascii(said)
    assert said.strip()


def test_warnings_steer_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    shown(capfd, "ls", "losses")
    assert is_plain(warnings.formatwarning(RED + BACKWARDS, UserWarning, "model.py", 1))


def test_formulas_are_text_in_the_tables_of_a_set_and_its_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ADVGAN_CACHE_DIR", str(tmp_path / "cache"))
    images(Path("=data"), ("=2+2", "@b"))
    line = ["--data", "=data", "--model", "mlp", "-q"]
    shown(capfd, "fit", *line, "--epochs", "1", "-o", "fitted")
    line = ["augment", "--data", "=data", "--model", "fitted", "--attack", "fgsm", "--eps", "0.1", "-o", "set", "-q"]
    shown(capfd, *line, "--set", "checkpoint=null")
    shown(
        capfd, "fit", "--data", "=data", "--model", "mlp", "--epochs", "1", "--extra", "set/images", "-o", "more", "-q"
    )
    for table in ("set/images/metadata.csv", "set/scores.csv", "fitted/scores.csv"):
        with Path(table).open(newline="") as file:
            cells = [each for row in csv.reader(file) for each in row]
        assert not [each for each in cells if each.startswith(("=", "+", "-", "@", "\t", "\r")) and not is_number(each)]
    assert "'=2+2" in Path("set/images/metadata.csv").read_text()
    assert (Path("more") / "results.json").is_file()


def is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
