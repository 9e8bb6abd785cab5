"""TensorFlow Lite ``.tflite`` -> `Graph`. Float32 models (float16 weights too); NHWC as the IR has it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Union

from edgecnn.errors import EdgeCNNError, InputError, ModelError, ModelFormatError, UnsupportedOperator
from edgecnn.graph.ir import Graph, GraphBuilder
from edgecnn.graph.metadata import Metadata, from_json
from edgecnn.importers.tflite_context import Context
from edgecnn.importers.tflite_file import MAX_RANK, USE_TFLITE, TFLiteFile
from edgecnn.importers.tflite_fold import fold
from edgecnn.importers.tflite_operators import IMPORTERS

Source = Union[str, "os.PathLike[str]", bytes]


def import_tflite(source: Source, input_shapes: Mapping[str, Sequence[int]] | None = None) -> Graph:
    """Reads a TensorFlow Lite model.

    Parameters
    ----------
    source
        Path of a file, or its content.
    input_shapes
        Input name -> shape (NHWC, as in the file), in place of the file's; everything behind it is inferred again.

    Returns
    -------
    Graph
        Inputs and outputs have the file's names. Labels, preprocessing and heads are those that
        ``export_tflite`` wrote, if it did.

    Raises
    ------
    ModelFormatError
        The file is damaged, or its shapes do not fit together.
    UnsupportedOperator
        It is quantized, or uses an operator that edgecnn does not have.
    InputError
        ``input_shapes`` names no input of the file or has another number of dimensions.
    ModelError
        The file cannot be read.
    """
    if isinstance(source, bytes):
        label, name, data = "model.tflite", "model", source
    else:
        label, name = os.fspath(source), Path(source).stem
        try:
            data = Path(source).read_bytes()
        except OSError as error:
            raise ModelError(f"{label}: cannot be read: {error.strerror}") from error
    file = TFLiteFile(data, label)
    context = Context(file, GraphBuilder(name, label), _unique_names(file))
    _add_inputs(context, dict(input_shapes or {}))
    for operator in file.operators:
        context.operator = operator
        _import_operator(context)
    outputs = dict.fromkeys(context.value_of(o) for o in file.outputs)
    if not outputs:
        raise ModelFormatError(f"{label}: the graph has no outputs")
    return context.builder.finish(outputs, _metadata(file))


def _unique_names(file: TFLiteFile) -> list[str]:
    """A name for each tensor: the file's, made unique; inputs and outputs of the graph have the first choice."""
    names: dict[int, str] = {}
    counts: dict[str, int] = {}
    taken: set[str] = set()
    for index in dict.fromkeys((*file.inputs, *file.outputs, *range(len(file.tensors)))):
        wanted = name = file.tensors[index].name
        while name in taken:
            counts[wanted] = counts.get(wanted, 1) + 1
            name = f"{wanted}_{counts[wanted]}"
        taken.add(name)
        names[index] = name
    return [names[i] for i in range(len(file.tensors))]


def _add_inputs(context: Context, shapes: dict[str, Sequence[int]]) -> None:
    file = context.file
    if not file.inputs:
        raise ModelFormatError(f"{file.source}: the graph has no inputs")
    for index in file.inputs:
        tensor, name = file.tensors[index], context.names[index]
        context.check_type(index)
        if tensor.dtype == "float16":
            raise UnsupportedOperator(f"{file.source}: input {name!r} is float16; {USE_TFLITE}")
        shape = tuple(shapes.pop(name, tensor.shape))
        if len(shape) != len(tensor.shape) or any(int(d) != d or d < 1 for d in shape):
            raise InputError(f"{file.source}: input {name!r} has shape {tensor.shape}; {shape} does not fit it")
        context.values[index] = context.builder.input(name, shape, tensor.dtype)
    if shapes:
        known = ", ".join(repr(context.names[i]) for i in file.inputs)
        raise InputError(f"{file.source}: no input is named {next(iter(shapes))!r}; there is {known}")


def _import_operator(context: Context) -> None:
    operator = context.operator
    if not operator.outputs:
        raise context.damaged("has no outputs")
    for tensor in operator.outputs:
        context.check_type(tensor)
        if tensor in context.values or tensor in context.known:
            raise context.damaged(f"makes {context.names[tensor]!r}, which is there already")
    for tensor in operator.inputs:
        if tensor >= 0:
            context.check_type(tensor)
    try:
        if fold(context):
            return
        if operator.kind not in IMPORTERS:
            raise context.unsupported("edgecnn does not have this operator")
        IMPORTERS[operator.kind](context)
    except EdgeCNNError:
        raise
    except (ValueError, TypeError, IndexError, ArithmeticError) as error:
        raise context.damaged(f"its inputs do not fit: {error}") from error
    for tensor in operator.outputs:
        if tensor not in context.values:
            raise context.damaged("has more outputs than the operator makes")
        if len(context.builder.shape(context.values[tensor])) > MAX_RANK:
            raise context.damaged(f"makes a tensor of more than {MAX_RANK} dimensions")


def _metadata(file: TFLiteFile) -> Metadata:
    if not file.metadata_json:
        return Metadata(source=file.source)
    try:
        return from_json(file.metadata_json, file.source)
    except ValueError as error:
        raise ModelFormatError(f"{file.source}: {error}") from error
