from pathlib import Path

import pytest
import torch
from torch import Tensor

from advgan.config import DataConfig
from advgan.data import load_data
from attacks.random import uniform
from evaluation.extractors import named_extractor
from evaluation.features.features import extract


def images(count: int = 3, channels: int = 1) -> Tensor:
    return (uniform(0, torch.arange(count), (channels, 8, 8)) * 255).round() / 255


FILE = """
import torch
from torch import nn
from evaluation.features.features import Extractor

class Both(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(64, 3)
        self.norm = nn.BatchNorm1d(64)
    def forward(self, images):
        return self.norm(images.flatten(1)), self.layer(images.flatten(1))

flat = nn.Flatten()
def both():
    torch.manual_seed(0)
    return Both()
def mine():
    return Extractor("levels", "1", lambda images: (images.mean((2, 3)), images.mean((2, 3)).softmax(1)), rounds=False)
def inception():
    return Extractor("inception", "1", lambda images: (images, images))
images = nn.Identity()
triple = nn.Sequential(nn.Flatten(0), nn.Unflatten(0, (1, -1)))
number = 3
def broken():
    raise RuntimeError("no luck")
"""


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "own.py"
    path.write_text(FILE)
    return str(path)


def test_a_file_gives_a_module_a_function_or_an_extractor(file: str) -> None:
    flat = extract(named_extractor(f"{file}:flat"), images())
    assert torch.equal(flat.values, images().flatten(1))
    assert (flat.extractor, flat.has_classes) == ("own:flat", False)
    both = extract(named_extractor(f"{file}:both"), images())
    assert both.probabilities.shape == (3, 3)
    assert both.has_classes
    torch.testing.assert_close(both.probabilities.sum(dim=1), torch.ones(3, dtype=torch.float64))
    torch.testing.assert_close(both.values, images().flatten(1), rtol=1e-4, atol=1e-4)  # batch norm in eval mode
    assert (both.extractor, both.is_inception) == ("own:both", False)
    assert named_extractor(f"{file}:mine").name == "levels"
    assert not named_extractor(f"{file}:mine").rounds


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("number", "type int: an nn.Module, an Extractor"),
        ("nothing", "has no 'nothing'"),
        ("broken", r"calling .*own\.py:broken failed: RuntimeError: no luck"),
        ("inception", "that name is kept for the Inception-v3"),
    ],
)
def test_what_is_no_extractor_is_refused_at_once(file: str, name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        named_extractor(f"{file}:{name}")


@pytest.mark.parametrize(("name", "shape"), [("images", r"\(3, 1, 8, 8\)"), ("triple", r"\(1, 192\)")])
def test_features_of_another_shape_are_refused_when_they_are_seen(file: str, name: str, shape: str) -> None:
    with pytest.raises(ValueError, match=f"own:{name} gives features {shape} for 3 images"):
        extract(named_extractor(f"{file}:{name}"), images())


def test_features_of_the_command_line_take_any_of_these(file: str) -> None:
    from evaluation.jobs.judges import choose_extractor
    from evaluation.jobs.setup import Setup

    digits, setup = load_data(DataConfig(source="digits")), Setup(device="cpu")
    assert choose_extractor("pixels", digits, setup).name == "pixels"
    assert choose_extractor(f"{file}:flat", digits, setup).name == "own:flat"
    with pytest.raises(ValueError, match="no extractor 'runs/nowhere': give the run"):
        choose_extractor("runs/nowhere", digits, setup)
    with pytest.raises(ValueError, match="goes with --features inception only"):
        choose_extractor("auto", digits, setup, protocol="clean")
