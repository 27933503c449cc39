"""What a stored file names is neither run nor fetched for that alone."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from advgan.classifier.stored import load_trained, save_classifier
from advgan.classifier.training import start
from advgan.config import ClassifierTraining, NetworkConfig
from advgan.data import ImageSet
from advgan.models.classifiers import catalogues
from advgan.storage.checkpoints import load_checkpoint, save_checkpoint
from advgan.storage.documents import read_document, write_document
from advgan.storage.foreign_code import naming, stored_names

Advgan = Callable[..., tuple[int, str, str]]
CODE = """
from pathlib import Path
from torch import nn
Path(__file__).with_name("ran").touch()
def build(num_classes=10):
    return nn.Sequential(nn.Flatten(), nn.LazyLinear(num_classes) if False else nn.Linear(64, num_classes))
"""
IMAGES = ImageSet(torch.zeros(20, 1, 8, 8, dtype=torch.uint8), torch.arange(20) % 2, ("a", "b"))
DATA = {"name": "toy", "digest": "d1", "classes": ["a", "b"], "size": 8, "channels": 1}


@pytest.fixture
def code(tmp_path: Path) -> Path:
    (tmp_path / "net.py").write_text(CODE)
    return tmp_path / "net.py"


def saved(path: Path, name: str) -> Path:
    network, training = NetworkConfig(name=name), ClassifierTraining()
    save_classifier(path, start(network, training, IMAGES), network, training, data=DATA)
    return path


def lie(path: Path, **changes: object) -> None:
    found = load_checkpoint(path)
    config = {key: value for key, value in {**found.config, **changes}.items() if value is not None}
    save_checkpoint(path, kind=found.kind, config=config, state=found.state)


def test_code_is_run_as_it_was_recorded_and_not_as_it_is_now(code: Path, tmp_path: Path) -> None:
    path, mark = saved(tmp_path / "c.safetensors", f"{code}:build"), tmp_path / "ran"
    load_trained(path)
    assert mark.exists()
    mark.unlink()
    code.write_text(CODE + "\n# another")
    with pytest.raises(ValueError, match=rf"the file has changed since, so it is not run.*--trust {code}"):
        load_trained(path)
    assert not mark.exists()
    with naming([str(code)]):
        load_trained(path)
    assert mark.exists()


@pytest.mark.parametrize("recorded", [None, "", "0" * 64, 7, True, ["x"]])
def test_a_header_that_names_code_of_its_own_choice_does_not_run_it(
    recorded: object, code: Path, tmp_path: Path
) -> None:
    path = saved(tmp_path / "c.safetensors", "mlp")
    lie(path, network={"name": f"{code}:build"}, code=recorded)
    with pytest.raises(ValueError, match="is not run") as error:
        load_trained(path)
    assert not (tmp_path / "ran").exists()
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["hf-hub:nobody/nothing", "timm:hf-hub:nobody/nothing"])
def test_a_header_does_not_reach_the_network(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: pytest.fail("went to the network"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    path = saved(tmp_path / "c.safetensors", "mlp")
    lie(path, network={"name": name})
    with pytest.raises(ValueError, match=r"c\.safetensors needs its network: ") as error:
        load_trained(path)
    assert ("--trust" in str(error.value)) == name.startswith("hf-hub")


def test_published_weights_of_a_stored_name_are_not_downloaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", lambda *_, **__: pytest.fail("went to the network"))
    with stored_names(), pytest.raises(ValueError, match="--trust torchvision:resnet18@DEFAULT does"):
        catalogues.published("torchvision:resnet18")


def test_a_run_goes_on_with_the_code_that_it_was_begun_with_alone(advgan: Advgan, code: Path) -> None:
    fit = ["fit", "--model", "net.py:build", "--epochs", "1", "-o", "run", "-q"]
    assert advgan(*fit)[::2] == (0, "")
    resume = ["fit", "--resume", "run", "--epochs", "2", "-q"]
    before = sorted((path, path.read_bytes()) for path in Path("run").rglob("*") if path.is_file())
    code.write_text(CODE + "\n# another")
    Path("ran").unlink()
    code_, _, err = advgan(*resume)
    assert (code_, err.count("\n")) == (2, 1)
    assert "--trust" in err
    assert not Path("ran").exists()
    assert sorted((path, path.read_bytes()) for path in Path("run").rglob("*") if path.is_file()) == before

    environment = read_document(Path("run/env.json"))
    write_document(Path("run/env.json"), {key: value for key, value in environment.items() if key != "code"})
    assert "--trust" in advgan(*resume)[2]
    assert not Path("ran").exists()
    assert advgan(*resume, "--trust", "net.py")[::2] == (0, "")
    assert Path("ran").exists()


@pytest.mark.parametrize("key", ["model", "subjects", "features"])
def test_a_stored_configuration_that_names_code_does_not_run_it(key: str, advgan: Advgan, code: Path) -> None:
    verb = {"model": "attack", "subjects": "eval", "features": "train"}[key]
    Path("run").mkdir()
    Path("run/config.yaml").write_text(f"{key}: {'[net.py:build]' if key == 'subjects' else 'net.py:build'}\n")
    Path("run/env.json").write_text("{}")
    ended, _, err = advgan(verb, "--resume", "run")
    assert ended == 2
    assert not Path("ran").exists()
    assert "--trust" in err or "resume" in err
