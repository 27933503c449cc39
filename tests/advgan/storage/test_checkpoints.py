import json
import os
import pickle
import threading
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from advgan.storage.checkpoints import FORMAT, find_checkpoint, load_checkpoint, parameters_digest, save_checkpoint

STATE: dict[str, Any] = {
    "weights": {
        "layers.0.weight": torch.tensor([[0.1, float("nan")], [float("-inf"), -0.0]]),
        "count": torch.tensor(7),
    },
    "optimizer": {0: {"step": torch.tensor(3.0), "moments": [torch.full((2,), 1e-45), None]}, 1: {}},
    "halves": torch.tensor([1.0009765625, 65504], dtype=torch.float16),
    "brains": torch.tensor([3.140625], dtype=torch.bfloat16),
    "doubles": torch.tensor([1 / 3], dtype=torch.float64),
    "bytes": torch.arange(6, dtype=torch.uint8).reshape(2, 3).T,
    "flags": torch.tensor([True, False]),
    "empty": torch.zeros(0, 4),
    "step": 12,
    "best": 0.1 + 0.2,
    "name": "naïve",
    "done": False,
    "nothing": None,
}


def assert_same(found: Any, expected: Any) -> None:
    if isinstance(expected, Tensor):
        assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
        raw = [tensor.contiguous().reshape(-1).view(torch.uint8) for tensor in (found, expected)]
        assert torch.equal(*raw)
    elif isinstance(expected, dict):
        assert list(found) == list(expected)
        for key in expected:
            assert_same(found[key], expected[key])
    elif isinstance(expected, list):
        for one, other in zip(found, expected, strict=True):
            assert_same(one, other)
    else:
        assert type(found) is type(expected)
        assert found == expected


def write(path: Path, **header: str) -> Path:
    """A safetensors file with the header of a checkpoint, changed at will."""
    fields = {"format": str(FORMAT), "kind": "gan", "config": "{}", "state": '{"value": null}', **header}
    save_file({"state.a": torch.zeros(2)}, path, metadata=fields)
    return path


def test_what_is_saved_comes_back_bit_for_bit_with_its_types_and_order(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "last.safetensors"
    config = {"networks": {"width": 8, "rate": 2e-4}, "classes": ["a", "ß"]}
    save_checkpoint(path, kind="gan", config=config, state=STATE)
    checkpoint = load_checkpoint(path, kind="gan")
    assert_same(checkpoint.state, STATE)
    assert (checkpoint.kind, checkpoint.config, checkpoint.path) == ("gan", config, path)


def test_the_tensors_can_be_read_by_any_tool_that_knows_the_format(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "a.safetensors", kind="gan", config={}, state=STATE)
    tensors = load_file(tmp_path / "a.safetensors")
    assert_same(tensors["state.weights.count"], torch.tensor(7))


def test_tensors_that_share_memory_are_saved_apart(tmp_path: Path) -> None:
    whole = torch.arange(6.0)
    save_checkpoint(tmp_path / "a.safetensors", kind="gan", config={}, state={"whole": whole, "part": whole[2:4]})
    state = load_checkpoint(tmp_path / "a.safetensors").state
    state["whole"].zero_()
    assert state["part"].tolist() == [2, 3]


def test_a_failure_while_writing_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "last.safetensors"
    save_checkpoint(path, kind="gan", config={}, state={"step": 1})
    before = path.read_bytes()

    def fail_halfway(target: Path, content: bytes) -> int:
        with target.open("wb") as file:
            file.write(content[: len(content) // 2])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", fail_halfway)
    with pytest.raises(OSError, match=r"No space left.*last\.safetensors"):
        save_checkpoint(path, kind="gan", config={}, state={"step": 2})
    assert path.read_bytes() == before
    assert [found.name for found in tmp_path.iterdir()] == ["last.safetensors"]


def test_a_reader_never_meets_half_a_file(tmp_path: Path) -> None:
    path, rounds = tmp_path / "last.safetensors", 30
    state = {"weights": torch.zeros(50_000)}

    def write_all() -> None:
        for step in range(rounds):
            save_checkpoint(path, kind="gan", config={}, state={**state, "step": step})

    save_checkpoint(path, kind="gan", config={}, state={**state, "step": -1})
    writer = threading.Thread(target=write_all)
    writer.start()
    seen = []
    while writer.is_alive():
        seen.append(load_checkpoint(path).state["step"])
    writer.join()
    assert seen == sorted(seen)
    assert load_checkpoint(path).state["step"] == rounds - 1


class Bomb:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.target),)


@pytest.mark.parametrize("name", ["model.pt", "model.pth", "model.safetensors", "last.ckpt"])
@pytest.mark.parametrize("writer", ["pickle", "torch", "legacy torch"])
def test_a_hostile_pickle_is_refused_without_being_run(tmp_path: Path, name: str, writer: str) -> None:
    path, trace = tmp_path / name, tmp_path / "it-ran"
    if writer == "pickle":
        path.write_bytes(pickle.dumps({"state": Bomb(trace)}))
    else:
        torch.save({"state": Bomb(trace)}, path, _use_new_zipfile_serialization=writer == "torch")
    with pytest.raises(ValueError, match="damaged or no advgan checkpoint") as refusal:
        load_checkpoint(path, kind="gan")
    assert str(path) in str(refusal.value)
    assert "\n" not in str(refusal.value)
    assert not trace.exists()
    pickle.loads(pickle.dumps(Bomb(trace)))
    assert trace.exists(), "the bomb is a dud, the test proves nothing"


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no checkpoint at .*gone\.safetensors"):
        load_checkpoint(tmp_path / "gone.safetensors")


@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.99])
def test_a_truncated_file_is_named(tmp_path: Path, share: float) -> None:
    path = tmp_path / "last.safetensors"
    save_checkpoint(path, kind="gan", config={}, state=STATE)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(ValueError, match=r"last\.safetensors is damaged"):
        load_checkpoint(path)


def test_a_newer_format_is_refused_before_its_content_is_looked_at(tmp_path: Path) -> None:
    path = write(tmp_path / "a.safetensors", format=str(FORMAT + 1), state="not even JSON")
    with pytest.raises(ValueError, match=f"has checkpoint format {FORMAT + 1}, this version reads {FORMAT}: upgrade"):
        load_checkpoint(path)


def test_another_kind_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.safetensors", kind="classifier")
    with pytest.raises(ValueError, match="is a classifier checkpoint, a gan checkpoint is needed here"):
        load_checkpoint(path, kind="gan")
    assert load_checkpoint(path).kind == "classifier"


def test_plain_weights_are_no_checkpoint(tmp_path: Path) -> None:
    save_file({"weight": torch.zeros(2)}, tmp_path / "weights.safetensors")
    with pytest.raises(
        ValueError,
        match=r"is no checkpoint of advgan, but holds weights without their architecture: write .* FILE\.py:FUNCTION",
    ):
        load_checkpoint(tmp_path / "weights.safetensors")


MANGLED = {
    "empty": "",
    "list": "[]",
    "number": "7",
    "no tensor": '{"tensor": "state.gone"}',
    "no pair": '{"pairs": [["a"]]}',
    "no pairs": '{"pairs": 3}',
    "no item": '{"list": [1]}',
    "nothing": "{}",
    "bottomless": '{"list": [' * 50_000 + "]}" * 50_000,
}


@pytest.mark.parametrize("state", MANGLED.values(), ids=MANGLED)
def test_a_mangled_outline_is_damage_not_a_crash(tmp_path: Path, state: str) -> None:
    with pytest.raises(ValueError, match="is damaged or no advgan checkpoint"):
        load_checkpoint(write(tmp_path / "a.safetensors", state=state))


def test_what_json_cannot_hold_is_our_mistake_and_fails_at_once(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=r"state\.when is a \w*Path"):
        save_checkpoint(tmp_path / "a.safetensors", kind="gan", config={}, state={"when": tmp_path})
    clash = {"a.b": torch.zeros(1), "a": {"b": torch.ones(1)}}
    with pytest.raises(AssertionError, match="two entries"):
        save_checkpoint(tmp_path / "a.safetensors", kind="gan", config={}, state=clash)
    assert list(tmp_path.iterdir()) == []


def test_a_run_folder_means_its_best_checkpoint_else_its_last(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no checkpoint in .*looked for checkpoints/best\.safetensors and"):
        find_checkpoint(tmp_path)
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    last = write(folder / "last.safetensors")
    assert find_checkpoint(tmp_path) == last
    best = write(folder / "best.safetensors")
    assert find_checkpoint(tmp_path) == best
    assert find_checkpoint(last) == last
    assert find_checkpoint(tmp_path / "gone.safetensors") == tmp_path / "gone.safetensors"


def test_a_digest_names_the_weights_and_not_their_order() -> None:
    weights = {"a": torch.arange(4.0), "b": torch.zeros(2, 2)}
    assert parameters_digest(weights) == parameters_digest(dict(reversed(weights.items())))
    assert len(parameters_digest(weights)) == 12
    changed = [
        {"a": torch.arange(4.0), "b": torch.zeros(4)},
        {"a": torch.arange(4.0), "b": -torch.zeros(2, 2)},
        {"a": torch.arange(4.0), "c": torch.zeros(2, 2)},
        {"a": torch.arange(4), "b": torch.zeros(2, 2)},
    ]
    digests = {parameters_digest(weights), *map(parameters_digest, changed)}
    assert len(digests) == 5


def test_the_configuration_is_readable_from_the_header_without_our_code(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_checkpoint(path, kind="gan", config={"width": 8}, state={"weights": torch.zeros(3)})
    content = path.read_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    assert json.loads(header["__metadata__"]["config"]) == {"width": 8}
