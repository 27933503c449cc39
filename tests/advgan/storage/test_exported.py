"""A config.json is somebody else's, or ours and sound, or refused with its field."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from advgan.sampling.exported import load_exported
from advgan.storage.exported import read_exported

ABOUT = {"kind": "generator", "size": 8, "channels": 1, "classes": ["a", "b"], "networks": {"family": "mlp"}, "more": 1}


def write(folder: Path, content: object) -> None:
    (folder / "config.json").write_text(content if isinstance(content, str) else json.dumps(content))


@pytest.mark.parametrize(
    "content", ["{", "[]", "3", "{}", '{"kind": "bert"}', '{"kind": ["generator"]}', "[" * 100_000]
)
def test_what_is_not_ours_is_none(content: str, tmp_path: Path) -> None:
    assert read_exported(tmp_path) is None
    write(tmp_path, content)
    assert read_exported(tmp_path) is None


def test_what_is_ours_is_read_whatever_else_it_holds(tmp_path: Path) -> None:
    write(tmp_path, ABOUT)
    found = read_exported(tmp_path)
    assert found
    assert (found.size, found.classes, found.class_counts) == (8, ("a", "b"), ())


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("size", value) for value in (-1, 0, 1 << 40, "8", float("nan"))),
        *(("channels", value) for value in (0, 10**9, [1])),
        *(("classes", value) for value in ("ab", [1], {"a": 1}, None)),
        *(("class_counts", value) for value in ([1], [-1, 1], [0, 0])),
        *(("latents", value) for value in ({"noise_dim": 10**12}, {"noise_dim": -1}, {"a": 1}, 3)),
        *(("networks", value) for value in ({"family": "x"}, {"width": 10**9}, [], {"new\nkey": 1})),
        ("baseline", {"components": 10**9}),
    ],
)
def test_a_lie_is_refused_in_one_line(field: str, value: Any, tmp_path: Path) -> None:
    write(tmp_path, {**ABOUT, field: value})
    with pytest.raises(ValueError, match=rf"config\.json has a configuration unknown here .*{field[:4]}") as error:
        read_exported(tmp_path)
    assert str(error.value).isprintable()


def test_small_weights_make_no_large_generator(tmp_path: Path) -> None:
    write(tmp_path, {**ABOUT, "networks": {"family": "mlp", "width": 16_000, "latent_dim": 60_000}})
    save_file({"generator.x": torch.zeros(3)}, tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match="does not fit its config"):
        load_exported(tmp_path)
