"""The fenced blocks of a page, and a folder in which what they name exists."""

import contextlib
import io
import logging
import os
import re
import shlex
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from PIL import Image
from torchvision.transforms.v2.functional import resize

import cli
from advgan.config import DataConfig
from advgan.data import load_data

ROOT = Path(cli.__file__).parent
MARK = re.compile(r"<!-- (not tested|tested with (?P<options>-.+?)): (?P<reason>.+) -->")
"""A comment on the line before a block: why it is not run, or what its `advgan` commands get on top, and why."""


class Block(NamedTuple):
    """A fenced block of a page, and what the comment before it says."""

    place: str
    language: str
    text: str
    options: Sequence[str]
    reason: str

    @property
    def is_run(self) -> bool:
        return bool(self.options) or not self.reason


class Typed(NamedTuple):
    """A command of a block, and the lines printed below it."""

    arguments: list[str]
    shown: list[str]


class Ended(NamedTuple):
    """How a command ended: its code, what it printed, and its notes."""

    code: int
    out: list[str]
    err: list[str]


def blocks_of(page: Path) -> list[Block]:
    """The blocks of a page in order."""
    lines, found, start = page.read_text().splitlines(), [], None
    for number, line in enumerate(lines):
        if not line.startswith("```"):
            continue
        if start is None:
            start = number
            continue
        mark = MARK.fullmatch(lines[start - 1])
        options = shlex.split((mark and mark["options"]) or "")
        text = "\n".join(lines[start + 1 : number])
        place = f"{page.name}:{start + 1}"
        found.append(Block(place, lines[start].strip("`"), text, options, mark["reason"] if mark else ""))
        start = None
    return found


def typed(block: Block) -> list[Typed]:
    """The commands of a console block, as a shell splits them."""
    found: list[Typed] = []
    for line in block.text.splitlines():
        if line.startswith("$ "):
            words = shlex.split(line[2:], comments=True)
            found.append(Typed([os.path.expanduser(word) for word in words], []))
        elif found:
            found[-1].shown.append(line)
    return found


@pytest.fixture(scope="session")
def read_blocks() -> Callable[[Path], list[Block]]:
    return blocks_of


@pytest.fixture(scope="session")
def read_commands() -> Callable[[Block], list[Typed]]:
    return typed


@pytest.fixture(scope="session")
def call() -> Callable[[Sequence[str]], Ended]:
    """Run the command line in this process."""

    def call(arguments: Sequence[str]) -> Ended:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), pytest.raises(SystemExit) as end:
            cli.main(list(arguments))
        return Ended(int(end.value.code or 0), out.getvalue().splitlines(), err.getvalue().splitlines())

    return call


@pytest.fixture
def desk(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with the images and files that the pages name, as small as they may be."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("ADVGAN_CACHE_DIR", str(tmp_path_factory.getbasetemp() / "cache"))
    write_images(tmp_path / "home/mnist", size=28, count=100)
    write_images(tmp_path / "home/my-images", size=8, count=40)
    write_images(tmp_path / "real", size=8, count=40)
    write_images(tmp_path / "generated", size=8, count=40, first=200)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write_images(folder: Path, *, size: int, count: int, first: int = 0) -> None:
    """Digits as pictures, in a folder for each class."""
    digits = load_data(DataConfig(source="digits")).train
    for index in range(first, first + count):
        place = folder / str(int(digits.labels[index])) / f"{index:04}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(resize(digits.images[index], [size, size])[0].numpy()).save(place)


@pytest.fixture
def given_names() -> dict[str, Any]:
    """What the blocks of Python take for given: a network, its normalisation, images, and a generator."""
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10)).eval()
    digits = load_data(DataConfig(source="digits")).test
    images, labels = digits.images[:16].float() / 255, digits.labels[:16]
    from attacks import Classifier

    return {
        "network": network,
        "mean": [0.3],
        "std": [0.4],
        "images": images,
        "labels": labels,
        "classifier": Classifier(network),
        "my_generator": lambda indices, seed: images[indices % 16],
    }


@pytest.fixture(autouse=True)
def log_on_stderr() -> Iterator[None]:
    """The command line writes its notes where stderr was when it began."""
    yield
    logging.getLogger("advgan").handlers.clear()
