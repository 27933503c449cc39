"""The graph of an exported program: every key and every text in it is one that we know, or it is refused.

torch makes objects of what the JSON names, looks its operators up as attributes, and evaluates its sizes, guards and
names as Python. So nothing of it is passed on but what is understood here.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from advgan.intake.json_text import parse_json
from advgan.models.programs.expressions import is_arithmetic, is_guard
from advgan.models.programs.names import is_name, is_value
from advgan.models.programs.operators import is_allowed, is_message, is_word
from advgan.models.programs.payload import DEVICES
from advgan.models.programs.trees import is_tree

_MAPPINGS = {"tensor_values", "sym_int_values", "sym_bool_values", "sym_float_values", "range_constraints"}
"""Keys under which stand names of the program's own, not of the format."""
_KEYS = frozenset(
    """
    graph_module graph signature module_call_graph metadata treespec_namedtuple_fields opset_version range_constraints
    schema_version verifiers torch_version guards_code aten major minor min_val max_val input_specs output_specs
    user_input parameter buffer tensor_constant constant_input user_output buffer_mutation user_input_mutation arg name
    value parameter_name buffer_name persistent tensor_constant_name user_input_name fqn inputs outputs in_spec out_spec
    forward_arg_names nodes tensor_values sym_int_values sym_bool_values sym_float_values is_single_tensor_return
    custom_obj_values target is_hop_single_tensor_return kind as_none as_tensor as_tensors as_int as_ints as_float
    as_floats as_string as_sym_int as_sym_ints as_scalar_type as_memory_format as_layout as_device as_bool as_bools
    as_sym_bool as_sym_bools as_graph as_optional_tensors as_sym_float as_sym_floats as_optional_tensor as_complex
    as_nested_tensors as_int_lists as_float_lists as_name as_expr expr_str hint real imag dtype sizes requires_grad
    device type index strides storage_offset layout
    """.split()  # noqa: SIM905 (a list of words reads better than a list of strings)
)
_LARGEST = 2**63
_FLOATS = ("Infinity", "-Infinity", "NaN")

_TEXTS: dict[str, tuple[Callable[[str], bool], str]] = {
    **dict.fromkeys(["name", "arg", "as_name"], (is_value, "could run as code")),
    **dict.fromkeys(["parameter_name", "buffer_name", "tensor_constant_name"], (is_name, "could run as code")),
    **dict.fromkeys(["user_input_name", "forward_arg_names"], (is_value, "could run as code")),
    "expr_str": (is_arithmetic, "could run as code"),
    "guards_code": (is_guard, "could run as code"),
    "target": (is_allowed, "is no operator that is allowed"),
    "as_string": (is_word, "is no setting of an operator"),
    "type": (lambda text: text in DEVICES, "is no device"),
    "verifiers": (lambda text: text in ("TRAINING", "ATEN"), "is unknown"),
    **dict.fromkeys(["in_spec", "out_spec"], (is_tree, "is no plain structure of tensors")),
    **dict.fromkeys(["as_float", "as_floats", "real", "imag"], (lambda text: text in _FLOATS, "is no number")),
    "fqn": (lambda text: text == "", "is no module"),
}
"""By the key that a text stands under: whether it may stand there, and what is wrong if not."""


def checked_program(content: bytes, path: Path) -> bytes:
    """The program as JSON of ours, without what is only a note: where its code stood, and its modules' names.

    Raises ValueError in one line where it holds anything that is not known to be harmless.
    """
    try:
        program = parse_json(content)
    except ValueError as error:
        raise ValueError(f"{path} cannot be read as an exported program (its graph: {error})") from None
    try:
        _strip(program)
        _check(program, "", path)
    except (KeyError, TypeError, AttributeError, IndexError, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(
            f"{path} cannot be read as an exported program ({type(error).__name__} in its graph)"
        ) from None
    except RecursionError:
        raise ValueError(f"{path} cannot be read as an exported program (its graph is nested too deeply)") from None
    return json.dumps(program).encode()


def _strip(program: dict[str, Any]) -> None:
    """Take out the notes, which torch reads too."""
    program["torch_version"] = ""
    module = program["graph_module"]
    module["metadata"], module["treespec_namedtuple_fields"] = {}, {}
    module["module_call_graph"] = [entry for entry in module["module_call_graph"] if entry["fqn"] == ""][:1]
    _strip_nodes(module["graph"])


def _strip_nodes(graph: dict[str, Any]) -> None:
    for node in graph["nodes"]:
        node["metadata"] = {}
        for given in node["inputs"]:
            if "as_string" in given["arg"] and is_message(node["target"]):
                given["arg"]["as_string"] = "none"
            if "as_graph" in given["arg"]:
                _strip_nodes(given["arg"]["as_graph"]["graph"])


def _check(value: Any, key: str, path: Path) -> None:
    match value:
        case dict():
            for name, each in value.items():
                if not (_is_own(name, key) if key in _MAPPINGS else name in _KEYS):
                    raise ValueError(f"{path} holds {name[:60]!r}, which could run as code: refused")
                _check(each, name if key not in _MAPPINGS else "", path)
        case list():
            for each in value:
                _check(each, key, path)
        case str():
            _check_text(value, key, path)
        case bool() | float() | None:
            pass
        case int():
            if abs(value) > _LARGEST:
                raise ValueError(f"{path} holds a number of {value.bit_length()} bits: refused")


def _is_own(name: str, key: str) -> bool:
    return is_arithmetic(name) if key == "range_constraints" else is_value(name)


def _check_text(text: str, key: str, path: Path) -> None:
    if text == "" and key in ("torch_version", "name"):
        return
    allowed, wrong = _TEXTS.get(key, (lambda _: False, "has no place there"))
    if not allowed(text):
        verb = "calls" if key == "target" else "holds"
        raise ValueError(f"{path} {verb} {text[:60]!r}, which {wrong}: refused")
