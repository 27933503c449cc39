"""Hostile `.onnx` files: each is refused in one line, or stopped by Ctrl-C; honest ones answer."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from advgan.machine.interruptible import interruptible
from advgan.models.classifiers.onnx_network import load_onnx

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
helper, numpy_helper = onnx.helper, onnx.numpy_helper
FLOAT, INT64, BOOL = onnx.TensorProto.FLOAT, onnx.TensorProto.INT64, onnx.TensorProto.BOOL
SHAPE = ["n", 1, 2, 2]
MICROSOFT = helper.make_opsetid("com.microsoft", 1)


def model(*nodes: Any, initializers: Any = (), functions: Any = (), opsets: Any = ()) -> Any:
    """A model from `images` to `logits`."""
    graph = helper.make_graph(
        list(nodes) or [helper.make_node("Flatten", ["images"], ["logits"])],
        "g",
        [helper.make_tensor_value_info("images", FLOAT, SHAPE)],
        [helper.make_tensor_value_info("logits", FLOAT, None)],
        list(initializers),
    )
    imports = [helper.make_opsetid("", 17), *opsets]
    return helper.make_model(graph, opset_imports=imports, ir_version=9, functions=list(functions))


def written(path: Path, *nodes: Any, **parts: Any) -> Path:
    path.write_bytes(model(*nodes, **parts).SerializeToString())
    return path


def external(location: str, **more: str) -> Any:
    tensor = onnx.TensorProto(name="weight", data_type=FLOAT, dims=[4, 3], data_location=onnx.TensorProto.EXTERNAL)
    for key, value in {"location": location, **more}.items():
        tensor.external_data.add(key=key, value=value)
    return tensor


LINEAR = (helper.make_node("Flatten", ["images"], ["flat"]), helper.make_node("MatMul", ["flat", "weight"], ["logits"]))


def branch(body: Any) -> Any:
    """An If both of whose branches are `body`."""
    return helper.make_node("If", ["yes"], ["logits"], then_branch=body, else_branch=body)


def endless() -> Any:
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["on"]), helper.make_node("Identity", ["images"], ["kept"])],
        "body",
        [helper.make_tensor_value_info("step", INT64, []), helper.make_tensor_value_info("go", BOOL, [])],
        [helper.make_tensor_value_info("on", BOOL, []), helper.make_tensor_value_info("kept", FLOAT, None)],
    )
    return helper.make_node("Loop", ["", "yes"], ["logits"], body=body)


def in_branch(node: Any) -> Any:
    return branch(helper.make_graph([node], "inner", [], [helper.make_tensor_value_info("logits", FLOAT, None)]))


def function(name: str, *called: str) -> Any:
    """A function of one input that calls others of ours."""
    nodes = [helper.make_node(each, ["x"], ["y"], domain="mine") for each in called]
    return helper.make_function("mine", name, ["x"], ["y"], nodes, [helper.make_opsetid("", 17), MINE])


MINE = helper.make_opsetid("mine", 1)
YES = numpy_helper.from_array(np.array(True), "yes")
CALL = helper.make_node("first", ["images"], ["logits"], domain="mine")
DOUBLING = [function(f"f{level}", f"f{level + 1}", f"f{level + 1}") for level in range(40)]
HOSTILE: dict[str, tuple[Callable[[Path], Any], str]] = {
    "endless loop": (lambda _: model(endless(), initializers=[YES]), "'Loop', which may never end"),
    "loop in a branch": (lambda _: model(in_branch(endless()), initializers=[YES]), "'Loop', which may never end"),
    "loop in a function": (
        lambda _: model(
            CALL, functions=[helper.make_function("mine", "first", ["x"], ["y"], [endless()], [MINE])], opsets=[MINE]
        ),
        "'Loop', which may never end",
    ),
    "scan": (lambda _: model(helper.make_node("Scan", ["images"], ["logits"])), "'Scan', which may never end"),
    "own domain": (lambda _: model(helper.make_node("Evil", ["images"], ["logits"], domain="x")), "x::Evil'"),
    "python": (lambda _: model(helper.make_node("PyOp", ["images"], ["logits"], domain="pyopmulti")), "PyOp"),
    "compiled context": (
        lambda _: model(
            helper.make_node(
                "EPContext", ["images"], ["logits"], domain="com.microsoft", ep_cache_context="/etc/passwd"
            ),
            opsets=[MICROSOFT],
        ),
        "EPContext",
    ),
    "decoder": (lambda _: model(helper.make_node("ImageDecoder", ["images"], ["logits"])), "ImageDecoder"),
    "unknown in a branch": (
        lambda _: model(in_branch(helper.make_node("Evil", ["images"], ["logits"])), initializers=[YES]),
        "'Evil', which is no operator",
    ),
    "function that calls itself": (
        lambda _: model(CALL, functions=[function("first", "first")], opsets=[MINE]),
        "which calls itself",
    ),
    "functions that call each other": (
        lambda _: model(CALL, functions=[function("first", "second"), function("second", "first")], opsets=[MINE]),
        "which calls itself",
    ),
    "functions that double": (
        lambda _: model(CALL, functions=[function("first", "f0"), *DOUBLING, function("f40")], opsets=[MINE]),
        "more than 200,000 operators",
    ),
    "weights upwards": (lambda _: model(*LINEAR, initializers=[external("../secret")]), "'../secret', and only"),
    "weights elsewhere": (lambda path: model(*LINEAR, initializers=[external(str(path / "secret"))]), "and only"),
    "weights of another file": (lambda _: model(*LINEAR, initializers=[external("secret")]), "'secret', and only"),
    "weights that are not there": (lambda _: model(*LINEAR, initializers=[external("x.onnx.data")]), "and only"),
    "weights in a constant": (
        lambda _: model(helper.make_node("Constant", [], ["logits"], value=external("secret"))),
        "'secret', and only",
    ),
}


@pytest.mark.parametrize("trick", HOSTILE)
def test_a_hostile_onnx_file_is_refused(trick: str, tmp_path: Path) -> None:
    build, message = HOSTILE[trick]
    (tmp_path / "secret").write_bytes(bytes(48))
    path = tmp_path / "x.onnx"
    path.write_bytes(build(tmp_path).SerializeToString())
    with pytest.raises(ValueError, match=message) as error:
        load_onnx(path)
    assert "\n" not in str(error.value)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["secret", "x.onnx"]


def test_weights_beside_a_file_are_read_within_their_file_alone(tmp_path: Path) -> None:
    """torch.onnx.export puts them into FILE.onnx.data."""
    weight = np.arange(12, dtype=np.float32)
    beside = tmp_path / "x.onnx.data"
    beside.write_bytes(bytes(16) + weight.tobytes())
    path = written(tmp_path / "x.onnx", *LINEAR, initializers=[external(beside.name, offset="16", length="48")])
    images = torch.rand(3, 1, 2, 2)
    expected = images.flatten(1) @ torch.from_numpy(weight).view(4, 3)
    torch.testing.assert_close(load_onnx(path)(images), expected)
    for place in ({"offset": "17", "length": "48"}, {"offset": "-1", "length": "4"}, {"offset": "x"}):
        written(path, *LINEAR, initializers=[external(beside.name, **place)])
        with pytest.raises(ValueError, match=r"weights outside x\.onnx\.data"):
            load_onnx(path)
    (tmp_path / "secret").write_bytes(beside.read_bytes())
    beside.unlink()
    beside.symlink_to(tmp_path / "secret")
    written(path, *LINEAR, initializers=[external(beside.name, offset="16", length="48")])
    with pytest.raises(ValueError, match=r"only x\.onnx\.data is read"):
        load_onnx(path)


def test_branches_and_functions_of_known_operators_answer(tmp_path: Path) -> None:
    path = written(tmp_path / "x.onnx", in_branch(helper.make_node("Relu", ["images"], ["logits"])), initializers=[YES])
    images = torch.rand(2, 1, 2, 2) - 0.5
    assert torch.equal(load_onnx(path)(images), images.relu())  # type: ignore[arg-type]
    relu = helper.make_node("Relu", ["x"], ["y"])
    first = helper.make_function("mine", "first", ["x"], ["y"], [relu], [helper.make_opsetid("", 17)])
    written(path, CALL, functions=[first], opsets=[MINE])
    assert torch.equal(load_onnx(path)(images), images.relu())  # type: ignore[arg-type]


def test_a_pipe_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.onnx")
    with pytest.raises(ValueError, match="a pipe"):
        load_onnx(tmp_path / "x.onnx")


@contextmanager
def interrupted_after(seconds: float) -> Iterator[None]:
    """Press Ctrl-C within the block."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    previous = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


def test_ctrl_c_ends_a_long_run(tmp_path: Path) -> None:
    """A chain of products of large matrices takes minutes."""
    chain = [helper.make_node("MatMul", [f"m{step}", f"m{step}"], [f"m{step + 1}"]) for step in range(400)]
    end = helper.make_node("Identity", ["m400"], ["logits"])
    wide = helper.make_node("Tile", ["images", "many"], ["m0"])
    many = numpy_helper.from_array(np.array([1, 1, 512, 512]), "many")
    path = written(tmp_path / "x.onnx", wide, *chain, end, initializers=[many])
    network, begun = load_onnx(path), time.monotonic()
    with pytest.raises(KeyboardInterrupt), interrupted_after(0.3):
        network(torch.rand(1, 1, 2, 2))
    assert time.monotonic() - begun < 10


def test_what_ends_the_waiting_stops_the_work() -> None:
    stopped: list[float] = []

    def work() -> None:
        while not stopped:
            time.sleep(0.01)

    with pytest.raises(KeyboardInterrupt), interrupted_after(0.1):
        interruptible(work, stop=lambda: stopped.append(time.monotonic()))
    assert len(stopped) == 1
    with pytest.raises(ZeroDivisionError):
        interruptible(lambda: 1 // 0, stop=lambda: None)
    assert interruptible(lambda: 7, stop=lambda: None) == 7
