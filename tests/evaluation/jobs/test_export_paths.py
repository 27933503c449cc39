"""What is exported holds no path of the machine that wrote it."""

from pathlib import Path

import pytest

from evaluation.jobs.export import job
from evaluation.jobs.export.config import ExportConfig
from evaluation.jobs.export.paths import check_shared, without_paths
from evaluation.jobs.setup import Setup

CODE = """
import torch
from torch import nn
class Made(nn.Module):
    latent_dim = 4
    def __init__(self):
        super().__init__()
        self.body = nn.Linear(4, 64)
    def forward(self, latents):
        return self.body(latents).sigmoid().reshape(-1, 1, 8, 8)
"""


@pytest.mark.parametrize("form", ["pt2", "onnx", "fidelity"])
def test_no_file_names_the_machine(form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    model = tmp_path / "model.py"
    model.write_text(CODE)
    config = ExportConfig(checkpoint=f"{model}:Made", format=form)
    made = job.run(config, Setup(device="cpu", out=Path("out"))).made
    check_shared(made)
    assert b".py:" not in b"".join(file.read_bytes() for file in made).replace(b"model.py:Made", b"")


def test_paths_are_cut_to_their_names() -> None:
    about = {"source": "/home/ann/net.py:f", "card": "of `/home/ann/runs/x` at 8/255", "hub": "https://hub.co/a/b"}
    cut = {"source": "net.py:f", "card": "of `x` at 8/255", "hub": "https://hub.co/a/b"}
    assert without_paths(about) == cut


def test_a_file_that_holds_one_is_not_handed_on(tmp_path: Path) -> None:
    file = tmp_path / "model.onnx"
    file.write_bytes(b"\x00" + str(Path.home() / "secret").encode())
    with pytest.raises(ValueError, match="a path of this machine, and is not handed on"):
        check_shared([file])
