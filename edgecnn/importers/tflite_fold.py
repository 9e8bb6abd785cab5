"""Operators whose result is known at import: shapes, the integer arithmetic on them, and half-precision weights."""

from __future__ import annotations

from typing import Callable

import numpy as np

from edgecnn.graph import reference
from edgecnn.graph.ir import GraphBuilder
from edgecnn.importers.tflite_context import Context
from edgecnn.importers.tflite_operators import IMPORTERS
from edgecnn.tflite_schema import ACTIVATION_NONE, TENSOR_TYPES

MAX_FOLDED = 1 << 20  # elements of a folded value that is not just another form of a constant in the file

ARITHMETIC: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "ADD": np.add,
    "SUB": np.subtract,
    "MUL": np.multiply,
    "MAXIMUM": np.maximum,
    "MINIMUM": np.minimum,
    "FLOOR_DIV": np.floor_divide,
}

# Operators that only move elements, or convert them: whatever their types, the numpy reference folds them.
_MOVES = {
    *("BROADCAST_TO", "CAST", "CONCATENATION", "EXPAND_DIMS", "FILL", "GATHER", "PACK", "RESHAPE", "REVERSE_V2"),
    *("SLICE", "SPLIT", "SPLIT_V", "SQUEEZE", "STRIDED_SLICE", "TILE", "TRANSPOSE", "UNPACK"),
}


def fold(c: Context) -> bool:
    """Computes the outputs of the operator of *c* into ``c.known``; False where it has to be computed in the graph."""
    kind = c.operator.kind
    if kind == "SHAPE":
        dtype = TENSOR_TYPES.get(c.option("out_type"), "")
        if dtype not in ("int32", "int64"):
            raise c.unsupported("a shape that is neither int32 nor int64")
        return _set(c, np.array(c.shape(0), dtype))
    if not c.operator.inputs or not all(c.has(i) and c.is_known(i) for i in range(len(c.operator.inputs))):
        return False
    arrays = [c.array(i) for i in range(len(c.operator.inputs))]
    integer = all(a.dtype.kind == "i" for a in arrays)
    if kind == "DEQUANTIZE" and arrays[0].dtype == np.float16:
        c.file.flatbuffer.charge(arrays[0].nbytes)
        return _set(c, arrays[0].astype(np.float32))
    if integer and kind in ARITHMETIC and len(arrays) == 2:
        return _arithmetic(c, arrays[0], arrays[1])
    if integer and kind == "REDUCE_PROD" and arrays[0].ndim == 1 and arrays[0].size <= MAX_FOLDED:
        product = np.prod(arrays[0], keepdims=bool(c.option("keep_dims")), dtype=arrays[0].dtype)
        return _set(c, np.asarray(product))
    if integer and kind == "RANGE" and len(arrays) == 3:
        numbers = range(*(int(a) for a in arrays))
        return len(numbers) <= MAX_FOLDED and _set(c, np.array(numbers, arrays[0].dtype))
    return kind in _MOVES and _by_reference(c)


def _set(c: Context, array: np.ndarray) -> bool:
    (output,) = c.operator.outputs
    c.file.flatbuffer.charge(array.size)
    c.known[output] = array
    return True


def _arithmetic(c: Context, a: np.ndarray, b: np.ndarray) -> bool:
    size = 1
    for d in np.broadcast_shapes(a.shape, b.shape):
        size *= d
    code = c.operator.options.get("fused_activation_function", ACTIVATION_NONE)
    if size > MAX_FOLDED or code != ACTIVATION_NONE or (c.operator.kind == "FLOOR_DIV" and not b.all()):
        return False
    c.file.flatbuffer.charge(size)
    return _set(c, np.asarray(ARITHMETIC[c.operator.kind](a, b)))


def _by_reference(c: Context) -> bool:
    """Imports the operator into a graph of its own and lets the reference run it."""
    scratch = Context(c.file, GraphBuilder("constants", c.file.source), c.names)
    scratch.operator = c.operator
    scratch.known = {tensor: c.known[tensor] for tensor in c.operator.inputs}
    IMPORTERS[c.operator.kind](scratch)
    outputs = [scratch.values[o] for o in c.operator.outputs]
    given = sum(c.known[t].size for t in c.operator.inputs)
    made = sum(scratch.builder.values[v].size for v in outputs)
    if made > max(2 * given, MAX_FOLDED):
        return False
    c.file.flatbuffer.charge(given + made)
    arrays = reference.run(scratch.builder.finish(outputs), {})
    for output, value in zip(c.operator.outputs, outputs):
        c.known[output] = arrays[value]
    return True
