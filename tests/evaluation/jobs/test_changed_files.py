"""What a run wrote and was changed since is named, not read."""

from pathlib import Path

import pytest

import cli
from advgan.sampling import load_exported
from advgan.storage.runs import read_config


def flip(file: Path, *, place: int = -20) -> None:
    """Flip one bit."""
    content = bytearray(file.read_bytes())
    content[place] ^= 1
    file.write_bytes(content)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained generator and its export, as folders `gan` and `weights`."""
    folder = tmp_path_factory.mktemp("exported")
    for words in (
        f"train --data digits --preset gaussian-mixture -n 20 --features pixels -q --out {folder}/gan",
        f"export --ckpt {folder}/gan -q --out {folder}/weights",
    ):
        with pytest.raises(SystemExit) as end:
            cli.main(words.split())
        assert not end.value.code
    return folder


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_a_changed_export_is_not_sampled_from(exported: Path, name: str) -> None:
    folder = exported / "weights"
    assert load_exported(folder)
    whole = (folder / name).read_bytes()
    flip(folder / name)
    try:
        with pytest.raises(ValueError, match=f"{name} is not what was written"):
            load_exported(folder)
    finally:
        (folder / name).write_bytes(whole)


def test_a_changed_configuration_says_nothing_of_a_run(exported: Path) -> None:
    run = exported / "gan"
    assert read_config(run)["data"]
    text = (run / "config.yaml").read_text()
    (run / "config.yaml").write_text(text.replace("source: digits", "source: digitr"))
    try:
        with pytest.raises(ValueError, match=r"config\.yaml is not what this run was given"):
            read_config(run)
    finally:
        (run / "config.yaml").write_text(text)
