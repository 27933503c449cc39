"""The tests of this folder run on a CUDA device: a pretended one with `-m pretend`, a real one with `-m gpu`.

The pretended device is there for good once it is installed, so only a run that asks for it gets it. On a real GPU those
tests are left out that count, or that take memory or TensorFloat-32 away: they ask for a fixture of the pretended one.
"""

import gc
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

import pytest
import torch

from pretended.compiling import obstacle
from pretended.device import install, memory_limit, tf32
from pretended.settings import kept_settings
from pretended.verb import Ended, call
from pretended.watching import Seen, watching

FOLDER = Path(__file__).parent
ONLY_PRETENDED = {"watch", "limit_memory", "with_tf32", "pretended"}


def pytest_configure(config: pytest.Config) -> None:
    """Install the device where this run asks for it; a machine that cannot have it is an error, not a skip."""
    chosen = config.getoption("markexpr")
    if "pretend" in chosen and "not pretend" not in chosen:
        reason = obstacle()
        if reason:
            raise pytest.UsageError(f"-m pretend: {reason}")
        install()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every test of this folder is one of the pretended device; those that can be are tests of a real GPU too."""
    for item in items:
        if FOLDER in item.path.parents:
            item.add_marker(pytest.mark.pretend)
            if not ONLY_PRETENDED & set(getattr(item, "fixturenames", ())):
                item.add_marker(pytest.mark.gpu)


@pytest.fixture(autouse=True)
def settings_as_they_were() -> Iterator[None]:
    """What a test sets for the whole process (TensorFloat-32, deterministic kernels, ...) ends with it."""
    with kept_settings():
        yield
    gc.collect()


@pytest.fixture
def cuda() -> torch.device:
    """The device, whether pretended or real."""
    return torch.device("cuda")


@pytest.fixture
def pretended() -> None:
    """For tests of what only the pretended device does."""


@pytest.fixture
def watch() -> Callable[..., AbstractContextManager[Seen]]:
    """`with watch() as seen:` collects waits, operators and more; `trace=True` gives operators their lines."""
    return watching


@pytest.fixture
def limit_memory() -> Callable[[int], AbstractContextManager[None]]:
    """`with limit_memory(num_bytes):` a device with as little memory."""
    return memory_limit


@pytest.fixture
def with_tf32() -> Callable[[], AbstractContextManager[None]]:
    """`with with_tf32():` a device that has TensorFloat-32 and uses it where torch's settings allow that."""
    return tf32


@pytest.fixture
def advgan(tmp_path: Path) -> Callable[..., Ended]:
    """Call a verb in an empty folder: `advgan("attack", "--attack", "pgd")` ends with code, scores, words and run."""
    return partial(call, tmp_path)


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder for runs that several tests read, with a cache of its own: nothing trained elsewhere decides a test."""
    folder = tmp_path_factory.mktemp("shop")
    before = os.environ.get("ADVGAN_CACHE_DIR")
    os.environ["ADVGAN_CACHE_DIR"] = str(folder / "cache")
    yield folder
    if before is None:
        del os.environ["ADVGAN_CACHE_DIR"]
    else:
        os.environ["ADVGAN_CACHE_DIR"] = before


@pytest.fixture(scope="session")
def classifier(shop: Path) -> str:
    """The run of a small network that was fitted to the digits on the device."""
    ended = call(shop, "fit", "--model", "cnn", "--epochs", "3", "--set", "network.width=8", "--out", "fit")
    assert ended.code == 0, ended.words
    return str(shop / "fit")


@pytest.fixture(scope="session")
def gan(shop: Path) -> str:
    """The run of a small conditional GAN of the digits, whose networks have convolutions."""
    options = ["--preset", "small", "--steps", "20", "-n", "40", "--set", "evaluate_every=20", "--set", "log_every=10"]
    options += ["--data", "digits", "--set", "networks.width=8", "--set", "training.batch_size=16"]
    ended = call(shop, "train", *options, "--out", "gan")
    assert ended.code == 0, ended.words
    return str(shop / "gan")
