"""ONNX ``.onnx`` -> `Graph`. Operator sets 7 to 28, float32 (float16 and float64 constants where a Cast follows).

``proto`` reads and checks the file, ``operators`` is the table of operators (``spatial``, ``elementwise``,
``products``, ``shaping`` hold one function each), ``fold`` computes at import what does not depend on the inputs.
"""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any, Union

import numpy as np

from edgecnn.errors import EdgeCNNError, InputError, ModelFormatError, UnsupportedOperator
from edgecnn.graph import ops
from edgecnn.graph.ir import Graph, GraphBuilder
from edgecnn.graph.metadata import Metadata, from_json
from edgecnn.importers.onnx.context import MAX_RANK, Context, NeedsConstant
from edgecnn.importers.onnx.fold import HOST, fold
from edgecnn.importers.onnx.operators import IMPORTERS, MOVES, QUANTIZED
from edgecnn.importers.onnx.proto import COMPUTED, DTYPES, OnnxFile

Source = Union[str, "os.PathLike[str]", bytes]
NAMES = re.compile(r"""\d+: (?:'([^']*)'|"([^"]*)")""")
METADATA_KEY = "edgecnn"  # in metadata_props, written by export_onnx

__all__ = ["METADATA_KEY", "NeedsConstant", "import_onnx"]


def import_onnx(source: Source, input_shapes: Mapping[str, Sequence[int]] | None = None) -> Graph:
    """Reads an ONNX model.

    Parameters
    ----------
    source
        Path of a file, or its content. Weights in other files are read from the model's own folder only.
    input_shapes
        Input name -> shape, in the layout of the file. Fixes symbolic sizes and changes fixed ones; a symbol that
        one input fixes is fixed in the others too. A symbolic batch (the first axis) is 1 where nothing is given.

    Returns
    -------
    Graph
        Inputs and outputs have the file's names, layout and order.

    Raises
    ------
    ModelFormatError
        The file is damaged, or its shapes do not fit together.
    UnsupportedOperator
        It uses an operator, attribute or type that edgecnn does not have.
    InputError
        ``input_shapes`` does not fit the file, or a symbolic size has to be given.
    ModelError
        The file cannot be read.
    """
    label = "model.onnx" if isinstance(source, bytes) else os.fspath(source)
    try:
        file = OnnxFile(source, label)
        with np.errstate(all="ignore"):  # infinities and NaN are constants like others
            graph = _import(file, dict(input_shapes or {}))
        return dataclasses.replace(graph, files=tuple(map(str, file.external)))
    except EdgeCNNError:
        raise
    except (ValueError, TypeError, IndexError, ArithmeticError, RecursionError) as error:
        raise ModelFormatError(f"{label}: damaged: {error}") from error


def _import(file: OnnxFile, shapes: dict[str, Sequence[int]]) -> Graph:
    nodes = file.nodes()
    made = [name for node in nodes for name in node.outputs if name]
    _check_names(file, made)
    reserved = frozenset((*made, *file.initializers, *(i.name for i in file.graph.input)))
    c = Context(file, GraphBuilder(file.graph.name or file.name, file.label), reserved)
    _add_inputs(c, shapes)
    for node in nodes:
        c.node = node
        _import_node(c)
    outputs = [o.name for o in file.graph.output]
    if not outputs or len(set(outputs)) != len(outputs):
        raise ModelFormatError(f"{file.label}: the graph has no outputs, or one twice")
    for name in outputs:
        _keep_name(c, name)
    return c.builder.finish(outputs, _metadata(c, outputs))


def _check_names(file: OnnxFile, made: Sequence[str]) -> None:
    taken = {i.name for i in file.graph.input} | set(file.initializers)
    if len(file.graph.input) != len({i.name for i in file.graph.input}):
        raise ModelFormatError(f"{file.label}: an input stands twice")
    for name in made:
        if name in taken:
            raise ModelFormatError(f"{file.label}: the value {name!r} is made twice")
        taken.add(name)


def _add_inputs(c: Context, shapes: dict[str, Sequence[int]]) -> None:
    label = c.file.label
    inputs = [i for i in c.file.graph.input if i.name not in c.file.initializers]
    unknown = sorted(set(shapes) - {i.name for i in inputs})
    if unknown:
        raise InputError(f"{label}: no input is named {unknown[0]!r}; there are {[i.name for i in inputs]}")
    declared = [_declared(label, i) for i in inputs]
    symbols: dict[str, int] = {}
    for value, (_, dims) in zip(inputs, declared):
        if value.name in shapes:
            given = tuple(shapes[value.name])
            if (dims is not None and len(given) != len(dims)) or any(int(d) != d or d < 1 for d in given):
                raise InputError(f"{label}: input {value.name!r} has shape {_text(dims)}; {given} does not fit it")
            symbols.update({d: int(n) for d, n in zip(dims or (), given) if isinstance(d, str)})
    for value, (dtype, dims) in zip(inputs, declared):
        if value.name in shapes:
            shape = tuple(int(d) for d in shapes[value.name])
        else:
            shape = _fixed(label, value.name, dims, symbols)
        if len(shape) > MAX_RANK:
            raise ModelFormatError(f"{label}: input {value.name!r} has {len(shape)} dimensions")
        c.values[value.name] = c.builder.input(value.name, shape, dtype)


def _declared(label: str, value: Any) -> tuple[np.dtype, list[int | str] | None]:
    """Dtype and dimensions of an input as the file states them; names for symbolic sizes, None without a shape."""
    tensor = value.type and value.type.tensor_type
    if not value.name or tensor is None:
        raise UnsupportedOperator(f"{label}: input {value.name!r} is not a tensor")
    dtype = np.dtype(DTYPES[tensor.elem_type][0]) if tensor.elem_type in DTYPES else None
    if dtype is None or str(dtype) not in COMPUTED:
        raise UnsupportedOperator(
            f"{label}: input {value.name!r} is {dtype or f'of element type {tensor.elem_type}'}; edgecnn computes in "
            "float32 (int8 is planned)"
        )
    if tensor.shape is None:
        return dtype, None
    dims: list[int | str] = []
    for i, d in enumerate(tensor.shape.dim):
        dims.append(int(d.dim_value) if d.dim_value > 0 else d.dim_param or f"axis {i} of {value.name}")
    return dtype, dims


def _fixed(label: str, name: str, dims: list[int | str] | None, symbols: Mapping[str, int]) -> tuple[int, ...]:
    """The shape of an input with its symbols replaced."""
    if dims is not None:
        shape = [symbols.get(d, 1 if i == 0 else d) if isinstance(d, str) else d for i, d in enumerate(dims)]
        if all(isinstance(d, int) for d in shape):
            return tuple(int(d) for d in shape)
    example = "(1, 3, 320, 320)" if dims is None or len(dims) == 4 else f"({'..., ' * len(dims)})"
    raise InputError(
        f"{label}: input {name!r} has no fixed shape, but {_text(dims)}; give one: "
        f"edgecnn.load({os.path.basename(label)!r}, input_shapes={{{name!r}: {example}}})"
    )


def _text(dims: Sequence[int | str] | None) -> str:
    return "an unknown one" if dims is None else f"({', '.join(map(str, dims))})"


def _import_node(c: Context) -> None:
    node = c.node
    if not any(node.outputs) or not node.outputs[0]:
        raise c.damaged("has no output")
    if node.kind in QUANTIZED:
        raise c.unsupported("this is a quantized model; int8 is planned. Use the float32 model")
    if node.domain or (node.kind not in IMPORTERS and node.kind not in HOST and node.kind not in _SOURCES):
        raise c.unsupported(f"edgecnn does not have this operator{f' of {node.domain!r}' if node.domain else ''}")
    try:
        if fold(c):
            return
        if node.kind not in IMPORTERS:
            for i in range(len(node.inputs)):
                if c.has(i):
                    c.array(i)
        _refuse_integers(c)
        IMPORTERS[node.kind](c)
    except EdgeCNNError:
        raise
    except (ValueError, TypeError, IndexError, ArithmeticError) as error:
        raise c.damaged(f"its inputs do not fit: {error}") from error
    for name in node.outputs:
        if name and name not in c.values and c.is_read(name):
            raise c.unsupported(f"the output {name!r}")
        if name in c.values and len(c.builder.shape(c.values[name])) > MAX_RANK:
            raise c.unsupported(f"a tensor of more than {MAX_RANK} dimensions")


_SOURCES = frozenset({"Constant", "Shape", "Size"})


def _refuse_integers(c: Context) -> None:
    if c.node.kind not in MOVES and c.has(0) and c.dtype(0).kind == "i" and not c.is_known(0):
        raise c.unsupported(f"{c.dtype(0)} arithmetic while the network runs")


def _keep_name(c: Context, name: str) -> None:
    """Gives an output its name where it is another value, an input or a constant."""
    value = c.value_of(name) if name in c.values or c.constant_of(name) is not None else ""
    if not value:
        raise ModelFormatError(f"{c.file.label}: the output {name!r} is made by no node")
    if value != name:
        c.builder.add(ops.Reshape(c.builder.shape(value)), [value], name, [name])


def _metadata(c: Context, outputs: Sequence[str]) -> Metadata:
    label = c.file.label
    for entry in c.file.model.metadata_props:
        if entry.key == METADATA_KEY:
            try:
                return from_json(entry.value, label)
            except ValueError as error:
                raise ModelFormatError(f"{label}: {error}") from error
    shape = c.builder.shape(outputs[0])
    one_vector = shape[:1] == (1,) and (len(shape) == 2 or (len(shape) == 4 and shape[2:] == (1, 1)))
    # Ultralytics' exporter writes "detect", "pose", "obb", ..., and the names as Python prints a dict.
    said = {entry.key: entry.value for entry in c.file.model.metadata_props if entry.key in ("task", "names")}
    names = [name for pair in NAMES.findall(said.get("names", "")) for name in pair if name]
    task = "classify" if one_vector and len(outputs) == 1 else said.get("task", "")
    return Metadata(source=label, labels=tuple(names), task=task)
