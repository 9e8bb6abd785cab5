"""`Graph` -> ONNX ``.onnx``, float32, with pictures as NCHW."""

from __future__ import annotations

import os
from typing import Any, Union

import numpy as np

from edgecnn.errors import MissingDependency, ModelError
from edgecnn.exporters.onnx_context import Context
from edgecnn.exporters.onnx_operators import EXPORTERS
from edgecnn.files import write_whole
from edgecnn.graph.ir import Graph, TensorSpec
from edgecnn.graph.metadata import to_json
from edgecnn.passes.flat_weights import flat_weights
from edgecnn.passes.layout import identity

PathLike = Union[str, "os.PathLike[str]"]

# Read by ONNX Runtime since 1.15. 19 is the first set whose AveragePool counts as the IR's does.
OPSET, IR_VERSION = 19, 9
MAX_BYTES = 2_000_000_000  # protobuf allows 2 GiB
METADATA_KEY = "edgecnn"


def export_onnx(graph: Graph, path: PathLike | None = None) -> bytes:
    """Writes a graph as an ONNX file.

    Parameters
    ----------
    graph
        Any graph, before or after passes.
    path
        Where to write the file; by default it is only returned.

    Returns
    -------
    bytes
        The file (operator set 19). Inputs and outputs keep names, shapes and layout; labels, preprocessing and heads
        are stored as metadata, which ``import_onnx`` reads back.

    Raises
    ------
    ModelError
        The file cannot be written, or would be too large for its format.
    MissingDependency
        The package onnx is not installed.
    """
    onnx = _onnx()
    if sum(array.nbytes for array in graph.constants.values()) > MAX_BYTES:
        raise ModelError(f"{graph.name}: the weights are larger than an ONNX file can be (2 GiB)")
    graph = flat_weights(graph)
    context = Context(graph)
    for node in graph.nodes:
        context.begin(node.outputs[0])
        EXPORTERS[type(node.op)](context, node, node.op)
    for name in dict.fromkeys(graph.outputs):
        _write_output(context, name)
    data = _model(onnx, context)
    if path is not None:
        try:
            write_whole(path, data)
        except OSError as error:
            raise ModelError(f"{os.fspath(path)}: cannot be written: {error.strerror}") from error
    return data


def _write_output(c: Context, name: str) -> None:
    if name in c.graph.inputs or name in c.graph.constants:
        return
    stored = c.stored[name]
    if stored.name != name or stored.perm != identity(len(stored.perm)):
        c.begin(name)
        before = len(c.nodes)
        plain = c.plain(name)
        if len(c.nodes) > before:
            c.store(name, plain)
        elif plain in c.graph.outputs or not c.rename(plain, name):
            c.store(name, c.emit("Identity", [plain]))


def _model(onnx: Any, c: Context) -> bytes:
    graph = c.graph
    used = {name for node in c.nodes for name in node.inputs} | set(graph.outputs)
    constants = {**graph.constants, **c.constants}
    tensors = [
        onnx.numpy_helper.from_array(np.ascontiguousarray(array).reshape(array.shape), name)
        for name, array in constants.items()
        if name in used
    ]
    nodes = [
        onnx.helper.make_node(node.kind, node.inputs, node.outputs, name=f"{node.kind}_{i}", **node.attributes)
        for i, node in enumerate(c.nodes)
    ]
    proto = onnx.helper.make_graph(
        nodes,
        graph.name or "graph",
        [_info(onnx, spec) for spec in graph.input_specs],
        [_info(onnx, graph.values[name]) for name in dict.fromkeys(graph.outputs)],
        tensors,
    )
    opset = onnx.helper.make_opsetid("", OPSET)
    model = onnx.helper.make_model(proto, opset_imports=[opset], ir_version=IR_VERSION, producer_name="edgecnn")
    onnx.helper.set_model_props(model, {METADATA_KEY: to_json(graph.metadata)})
    return bytes(model.SerializeToString())


def _info(onnx: Any, spec: TensorSpec) -> Any:
    element_type = onnx.helper.np_dtype_to_tensor_dtype(spec.dtype)
    return onnx.helper.make_tensor_value_info(spec.name, element_type, spec.shape)


def _onnx() -> Any:
    try:
        import onnx
        import onnx.helper
        import onnx.numpy_helper
    except ImportError:
        raise MissingDependency.for_extra("onnx", "onnx", "writing .onnx files") from None
    return onnx
