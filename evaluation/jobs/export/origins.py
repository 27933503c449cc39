"""Take out of exported programs where each operation stands in the source code: paths of the machine that wrote it."""

import io
import zipfile
from typing import Any

import torch
from torch import fx


def without_traces(program: torch.export.ExportedProgram) -> None:
    """Drop the stack trace of each operation of a program, in place."""
    for module in program.graph_module.modules():
        if isinstance(module, fx.GraphModule):
            for node in module.graph.nodes:
                node.meta.pop("stack_trace", None)


def without_remarks(model: Any) -> Any:
    """Drop what the exporter remarks on each part of an ONNX model, in place, and give the model."""
    for part in (model.graph, *model.functions):
        for each in (part, *part.node, *part.value_info):
            each.doc_string = ""
            del each.metadata_props[:]
    for each in (*model.graph.input, *model.graph.output, *model.graph.initializer):
        each.doc_string = ""
        del each.metadata_props[:]
    return model


def without_sources(script: bytes) -> bytes:
    """Drop the table of source lines from a TorchScript archive, which only messages of errors need."""
    written = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(script)) as old, zipfile.ZipFile(written, "w", zipfile.ZIP_STORED) as new:
        for member in old.infolist():
            if not member.filename.endswith(".debug_pkl"):
                new.writestr(zipfile.ZipInfo(member.filename), old.read(member))
    return written.getvalue()
