"""Operators of the IR in builtin operators of TensorFlow Lite: one small function per operator, one table."""

from __future__ import annotations

from typing import Any, Callable

import numpy as np

from edgecnn.errors import UnsupportedOperator
from edgecnn.exporters.tflite_context import Context
from edgecnn.exporters.tflite_functions import apply, split_activation
from edgecnn.exporters.tflite_resize import resize
from edgecnn.exporters.tflite_windows import average_pool, conv, conv_transpose, max_pool
from edgecnn.graph import ops
from edgecnn.tflite_schema import MIRROR_REFLECT, TENSOR_TYPES

_TYPE_CODES = {name: code for code, name in TENSOR_TYPES.items()}
_MAX_SOFTMAX_RANK = 4
_MAX_SLICE_RANK = 5


def unary(c: Context, op: ops.Unary, x: int) -> int:
    return apply(c, op.function, x)


def binary(c: Context, op: ops.Binary, a: int, b: int) -> int:
    code, function = split_activation(op.activation) if op.kind in _FUSING else (0, op.activation)
    code = code or c.fused
    y = _prelu(c, a, b) if op.kind == "prelu" else _aligned_binary(c, _BINARY[op.kind], a, b, code)
    return y if function is None else apply(c, function, y)


_BINARY = {"add": "ADD", "sub": "SUB", "mul": "MUL", "div": "DIV", "max": "MAXIMUM", "min": "MINIMUM", "pow": "POW"}
_FUSING = ("add", "sub", "mul", "div")
_MAX_BROADCAST_RANK = 4


def _aligned_binary(c: Context, kind: str, a: int, b: int, activation: int) -> int:
    """a op b; where the runtime could not broadcast so many dimensions, those that behave alike are merged first."""
    shapes = c.shape(a), c.shape(b)
    rank = max(map(len, shapes))
    if rank <= _MAX_BROADCAST_RANK or shapes[0] == shapes[1]:
        return c.binary(kind, a, b, activation)
    full = [(1,) * (rank - len(s)) + s for s in shapes]
    merged: list[list[int]] = [[], []]
    pattern = None
    for da, db in zip(*full):
        here = (da == 1, db == 1)
        if here == pattern:
            merged[0][-1] *= da
            merged[1][-1] *= db
        else:
            merged[0].append(da)
            merged[1].append(db)
        pattern = here
    if len(merged[0]) > _MAX_BROADCAST_RANK:
        raise UnsupportedOperator(f"shapes {shapes[0]} and {shapes[1]} broadcast along too many axes")
    y = c.binary(kind, c.reshape(a, merged[0]), c.reshape(b, merged[1]), activation)
    return c.reshape(y, np.broadcast_shapes(*shapes))


def _prelu(c: Context, x: int, slope: int) -> int:
    shape = c.shape(x)
    same = np.broadcast_shapes(shape, c.shape(slope)) == shape
    if same and c.array(slope) is not None and 2 <= len(shape) <= _MAX_BROADCAST_RANK:
        return c.op("PRELU", [x, slope], shape)
    below = c.binary("MINIMUM", x, c.scalar(0))
    return c.binary("ADD", c.unary("RELU", x), _aligned_binary(c, "MUL", below, slope, 0))


def dense(c: Context, op: ops.Dense, x: int, w: int, b: int) -> int:
    code, function = split_activation(op.activation)
    shape = (c.shape(x)[0], c.shape(w)[0])
    y = c.op("FULLY_CONNECTED", [x, w, b], shape, fused_activation_function=code or c.fused)
    return y if function is None else apply(c, function, y)


def matmul(c: Context, op: ops.MatMul, a: int, b: int) -> int:
    sa, sb = c.shape(a), c.shape(b)
    return c.op("BATCH_MATMUL", [a, b], (*np.broadcast_shapes(sa[:-2], sb[:-2]), sa[-2], sb[-1]))


def batch_norm(c: Context, op: ops.BatchNorm, x: int, scale: int, bias: int, mean: int, variance: int) -> int:
    """One multiplication and one addition per channel."""
    arrays = [c.array(i) for i in (scale, bias, mean, variance)]
    if any(a is None for a in arrays):
        raise UnsupportedOperator("its statistics are computed while the network runs")
    gain, shift, center, spread = (np.asarray(a, np.float64) for a in arrays)
    deviation = np.sqrt(spread) + op.epsilon if op.sqrt_first else np.sqrt(spread + op.epsilon)
    factor = gain / deviation
    along = [1] * len(c.shape(x))
    along[op.axis] = -1

    def constant(values: np.ndarray, what: str) -> int:
        return c.constant(values.astype(np.float32).reshape(along), what)

    y = _aligned_binary(c, "MUL", x, constant(factor, "scale"), 0)
    return _aligned_binary(c, "ADD", y, constant(shift - center * factor, "bias"), 0)


def lrn(c: Context, op: ops.LRN, x: int) -> int:
    """The builtin sums over a window with a centre; a window of even size is a 1x1 convolution of the squares."""
    alpha = op.alpha / op.size
    if op.size % 2:
        return c.unary("LOCAL_RESPONSE_NORMALIZATION", x, radius=op.size // 2, bias=op.bias, alpha=alpha, beta=op.beta)
    channels = c.shape(x)[3]
    distance = np.arange(channels)[np.newaxis, :] - np.arange(channels)[:, np.newaxis]
    near = (distance >= -((op.size - 1) // 2)) & (distance <= op.size // 2)
    weights = c.constant((near * alpha).astype(np.float32).reshape(channels, 1, 1, channels), "window")
    bias = c.constant(np.full(channels, op.bias, np.float32), "bias")
    total = c.op("CONV_2D", [c.unary("SQUARE", x), weights, bias], c.shape(x), stride_w=1, stride_h=1)
    return c.binary("DIV", x, c.binary("POW", total, c.scalar(op.beta)))


def softmax(c: Context, op: ops.Softmax, x: int) -> int:
    """The builtin works along the last axis."""
    shape = c.shape(x)
    last = len(shape) - 1
    perm = [i for i in range(len(shape)) if i != op.axis] + [op.axis]
    y = x if op.axis == last else c.transpose(x, perm)
    moved = c.shape(y)
    if len(shape) > _MAX_SOFTMAX_RANK:
        y = c.reshape(y, (int(np.prod(moved[:-1])), moved[-1]))
    y = c.unary("LOG_SOFTMAX", y) if op.log else c.unary("SOFTMAX", y, beta=1.0)
    if len(shape) > _MAX_SOFTMAX_RANK:
        y = c.reshape(y, moved)
    return y if op.axis == last else c.transpose(y, [int(i) for i in np.argsort(perm)])


_REDUCE = {"mean": "MEAN", "sum": "SUM", "max": "REDUCE_MAX", "min": "REDUCE_MIN", "prod": "REDUCE_PROD", "l2": "SUM"}


def reduce(c: Context, op: ops.Reduce, x: int) -> int:
    shape = c.shape(x)
    if not op.axes:
        return c.unary("ABS", x) if op.kind == "l2" else c.reshape(x, shape)
    if op.kind == "l2":
        x = c.unary("SQUARE", x)
    kept = [1 if i in op.axes else d for i, d in enumerate(shape)]
    result = kept if op.keepdims else [d for i, d in enumerate(shape) if i not in op.axes]
    y = c.op(_REDUCE[op.kind], [x, c.integers(op.axes, "axes")], result, keep_dims=op.keepdims)
    return c.unary("SQRT", y) if op.kind == "l2" else y


def arg_max(c: Context, op: ops.ArgMax, x: int) -> int:
    """The builtin finds the first of equal ones; the last is the first of the reversed axis."""
    shape = c.shape(x)
    if op.select_last:
        x = c.op("REVERSE_V2", [x, c.integers([op.axis], "axis")], shape)
    found = [d for i, d in enumerate(shape) if i != op.axis]
    y = c.op("ARG_MAX", [x, c.integers([op.axis], "axis")], found, "int64", output_type=_TYPE_CODES["int64"])
    if op.select_last:
        y = c.binary("SUB", c.constant(np.array(shape[op.axis] - 1, np.int64)), y)
    return c.reshape(y, [*shape[: op.axis], 1, *shape[op.axis + 1 :]]) if op.keepdims else y


def cast(c: Context, op: ops.Cast, x: int) -> int:
    dtype = str(np.dtype(op.to))
    codes = {"in_data_type": _TYPE_CODES[c.dtype(x)], "out_data_type": _TYPE_CODES[dtype]}
    return c.op("CAST", [x], c.shape(x), dtype, **codes)


def concat(c: Context, op: ops.Concat, *parts: int) -> int:
    return c.concat(parts, op.axis)


def slice_(c: Context, op: ops.Slice, x: int) -> int:
    shape = c.shape(x)
    if len(shape) > _MAX_SLICE_RANK:
        return _slice_by_axis(c, op, x)
    size = [len(range(b, e, s)) for b, e, s in zip(op.begin, op.end, op.step)]
    if all(s == 1 for s in op.step):
        return c.slice(x, op.begin, size)
    end_mask = sum(1 << i for i, (e, s) in enumerate(zip(op.end, op.step)) if e < 0 and s < 0)
    bounds = [c.integers(v, what) for v, what in ((op.begin, "begin"), (op.end, "end"), (op.step, "strides"))]
    return c.op("STRIDED_SLICE", [x, *bounds], size, end_mask=end_mask)


def _slice_by_axis(c: Context, op: ops.Slice, x: int) -> int:
    for axis, (b, e, s) in enumerate(zip(op.begin, op.end, op.step)):
        if range(b, e, s) != range(c.shape(x)[axis]):
            x = c.gather(x, range(b, e, s), axis)
    return x


def split(c: Context, op: ops.Split, x: int) -> list[int]:
    shape = list(c.shape(x))
    outputs = []
    for size in op.sizes:
        shape[op.axis] = size
        outputs.append(c.writer.tensor("split", shape, c.dtype(x)))
    sizes, axis = c.integers(op.sizes, "sizes"), c.constant(np.array(op.axis, np.int32), "axis")
    c.writer.operator("SPLIT_V", [x, sizes, axis], outputs, num_splits=len(outputs))
    return outputs


def pad(c: Context, op: ops.Pad, x: int) -> int:
    if op.mode == "constant" and len(c.shape(x)) <= _MAX_SLICE_RANK:
        return c.pad(x, op.before, op.after, op.value)
    if op.mode == "reflect" and len(c.shape(x)) <= _MAX_SLICE_RANK:
        shape = [b + d + a for b, d, a in zip(op.before, c.shape(x), op.after)]
        pairs = c.constant(np.array(list(zip(op.before, op.after)), np.int32), "padding")
        return c.op("MIRROR_PAD", [x, pairs], shape, mode=MIRROR_REFLECT)
    for axis, (before, after) in enumerate(zip(op.before, op.after)):
        if before or after:
            x = _pad_axis(c, op, x, axis, before, after)
    return x


def _pad_axis(c: Context, op: ops.Pad, x: int, axis: int, before: int, after: int) -> int:
    if op.mode != "constant":
        cells = np.arange(c.shape(x)[axis])
        return c.gather(x, np.pad(cells, (before, after), mode=op.mode), axis)  # type: ignore[call-overload]
    shape = c.shape(x)
    merged = (int(np.prod(shape[:axis])), shape[axis], int(np.prod(shape[axis + 1 :])))
    y = c.pad(c.reshape(x, merged), (0, before, 0), (0, after, 0), op.value)
    return c.reshape(y, (*shape[:axis], before + shape[axis] + after, *shape[axis + 1 :]))


def reshape(c: Context, op: ops.Reshape, x: int) -> int:
    return c.reshape(x, op.shape)


def transpose(c: Context, op: ops.Transpose, x: int) -> int:
    return c.transpose(x, op.perm)


def expand(c: Context, op: ops.Expand, x: int) -> int:
    return c.op("BROADCAST_TO", [x, c.integers(op.shape, "shape")], op.shape)


def tile(c: Context, op: ops.Tile, x: int) -> int:
    shape = [d * r for d, r in zip(c.shape(x), op.repeats)]
    return c.op("TILE", [x, c.integers(op.repeats, "repeats")], shape)


EXPORTERS: dict[type[ops.Op], Callable[..., Any]] = {
    ops.ArgMax: arg_max,
    ops.AveragePool: average_pool,
    ops.BatchNorm: batch_norm,
    ops.Binary: binary,
    ops.Cast: cast,
    ops.Concat: concat,
    ops.Conv: conv,
    ops.ConvTranspose: conv_transpose,
    ops.Dense: dense,
    ops.Expand: expand,
    ops.LRN: lrn,
    ops.MatMul: matmul,
    ops.MaxPool: max_pool,
    ops.Pad: pad,
    ops.Reduce: reduce,
    ops.Reshape: reshape,
    ops.Resize: resize,
    ops.Slice: slice_,
    ops.Softmax: softmax,
    ops.Split: split,
    ops.Tile: tile,
    ops.Transpose: transpose,
    ops.Unary: unary,
}
