import json
from pathlib import Path

import pytest
import torch

from advgan.storage.checkpoints import load_checkpoint, save_checkpoint
from advgan.storage.documents import read_document, write_document


def flipped(content: bytes, bit: int) -> bytes:
    changed = bytearray(content)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def test_no_bit_of_a_checkpoint_changes_unseen(tmp_path: Path) -> None:
    file, config = tmp_path / "a.safetensors", {"width": 8, "sha256": "0" * 64}
    save_checkpoint(file, kind="gan", config=config, state={"step": 3, "weights": torch.arange(4.0)})
    content = file.read_bytes()
    assert load_checkpoint(file).config == config
    for bit in range(8 * len(content)):
        file.write_bytes(flipped(content, bit))
        try:
            found = load_checkpoint(file, kind="gan")
        except ValueError:
            continue
        # Only where the flip hit the name of the seal is the file still read, and then all else is as it was.
        assert (found.config, found.state["step"], found.state["weights"].tolist()) == (config, 3, [0, 1, 2, 3])


def test_no_bit_of_a_document_changes_unseen(tmp_path: Path) -> None:
    content = {"value": 0.25, "inner": {"sha256": "f" * 64}}
    file = write_document(tmp_path / "a.json", content)
    raw = file.read_bytes()
    assert read_document(file) == content
    for bit in range(8 * len(raw)):
        file.write_bytes(flipped(raw, bit))
        try:
            found = read_document(file)
        except ValueError:
            continue
        assert {key: found[key] for key in content} == content


def test_what_earlier_versions_wrote_without_a_seal_is_read(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_text(json.dumps({"value": 1}))
    assert read_document(file) == {"value": 1}


@pytest.mark.parametrize("content", ["[1]", "{", '"text"'])
def test_what_is_no_document_is_named(content: str, tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_text(content)
    with pytest.raises(ValueError, match=r"a\.json is damaged"):
        read_document(file)
    with pytest.raises(ValueError, match=r"b\.json cannot be read"):
        read_document(tmp_path / "b.json")
