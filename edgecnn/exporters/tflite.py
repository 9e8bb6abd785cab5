"""`Graph` -> TensorFlow Lite ``.tflite``, float32, of builtin operators only."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any, Union

from edgecnn.errors import ModelError, UnsupportedOperator
from edgecnn.exporters.tflite_context import Context
from edgecnn.exporters.tflite_functions import split_activation
from edgecnn.exporters.tflite_operators import EXPORTERS
from edgecnn.files import write_whole
from edgecnn.graph import ops
from edgecnn.graph.ir import Graph, Node
from edgecnn.graph.metadata import to_json
from edgecnn.passes.flat_weights import flat_weights

PathLike = Union[str, "os.PathLike[str]"]

# Operators of TensorFlow Lite with a fused activation: an activation that follows alone goes into them.
_FUSE_INTO = (ops.Conv, ops.Dense, ops.MaxPool, ops.AveragePool)
_FUSE_INTO_BINARY = ("add", "sub", "mul", "div")


def export_tflite(graph: Graph, path: PathLike | None = None) -> bytes:
    """Writes a graph as a TensorFlow Lite file.

    Parameters
    ----------
    graph
        Any graph; run the passes over it first, or it will hold one operator for each of the source file's.
    path
        Where to write the file; by default it is only returned.

    Returns
    -------
    bytes
        The file. Inputs, outputs and the values between them keep their names; labels, preprocessing and heads are
        stored as metadata, which ``import_tflite`` reads back.

    Raises
    ------
    UnsupportedOperator
        TensorFlow Lite has nothing that an operator, or a form of it, could be made of.
    ModelError
        The file cannot be written, or would be too large for its format.
    """
    graph = flat_weights(graph)
    context = Context(graph)
    for name in graph.inputs:
        context.values[name] = context.writer.tensor(name, graph.values[name].shape, str(graph.values[name].dtype))
    nodes, fused = _fuse_activations(graph)
    for node in nodes:
        _export_node(context, node, fused.get(node.name, 0))
    outputs = [_output(context, name) for name in graph.outputs]
    inputs = [context.values[name] for name in graph.inputs]
    data = context.writer.finish(inputs, outputs, graph.name, to_json(graph.metadata))
    if path is not None:
        try:
            write_whole(path, data)
        except OSError as error:
            raise ModelError(f"{os.fspath(path)}: cannot be written: {error.strerror}") from error
    return data


def _export_node(context: Context, node: Node, activation: int) -> None:
    mark = len(context.writer.tensors)
    context.begin(node, activation)
    try:
        result = EXPORTERS[type(node.op)](context, node.op, *(context.value(name) for name in node.inputs))
    except UnsupportedOperator as error:
        raise UnsupportedOperator(
            f"{context.graph.name}: {type(node.op).__name__} {node.name!r} cannot become TensorFlow Lite: {error}"
        ) from error
    for name, tensor in zip(node.outputs, [result] if isinstance(result, int) else result):
        context.values[name] = tensor
        if tensor >= mark:
            context.writer.tensors[tensor].name = name


def _output(context: Context, name: str) -> int:
    """The tensor of a graph output: one that an operator makes and that has the output's name."""
    tensor = context.value(name)
    if context.writer.tensors[tensor].name == name and name not in context.graph.inputs:
        return tensor
    copy = context.reshape(tensor, context.shape(tensor))
    context.writer.tensors[copy].name = name
    return copy


def _fuse_activations(graph: Graph) -> tuple[list[Node], dict[str, int]]:
    """The nodes to export, and for those that take an activation with them: node name -> its code."""
    consumers = graph.consumers()
    nodes: list[Node] = []
    fused: dict[str, int] = {}
    gone: set[str] = set()
    for node in graph.nodes:
        if node.name in gone:
            continue
        readers = consumers[node.outputs[0]]
        if _can_fuse(node.op) and len(readers) == 1 and node.outputs[0] not in graph.outputs:
            (reader,) = readers
            code, _ = split_activation(reader.op.function if isinstance(reader.op, ops.Unary) else None)
            if code:
                gone.add(reader.name)
                fused[node.name] = code
                node = replace(node, outputs=reader.outputs)
        nodes.append(node)
    return nodes, fused


def _can_fuse(op: Any) -> bool:
    if isinstance(op, ops.Binary):
        return op.kind in _FUSE_INTO_BINARY and op.activation is None
    if isinstance(op, ops.MaxPool) and op.dilations != (1, 1):
        return False
    plain = getattr(op, "activation", None) is None and getattr(op, "pool", None) is None
    return isinstance(op, _FUSE_INTO) and plain and not getattr(op, "residual", "")
