"""The numpy meaning of every operator: what a reader of the papers recognises, and the oracle of all faster code.

Each function takes the operator and its input arrays and computes in the dtype of those arrays; `evaluate` chooses it
(float64 gives an oracle whose own rounding does not matter). Convolution and pooling are sums and maxima over the
*taps* of a window: one shifted, strided view of the padded picture per kernel cell.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Callable

import numpy as np

from edgecnn.errors import InputError
from edgecnn.graph import ops
from edgecnn.graph.ir import Graph, TensorSpec

Array = np.ndarray
Padding = tuple[int, int, int, int]


def run(
    graph: Graph,
    inputs: Mapping[str, Array],
    dtype: Any = np.float32,
    fetch: Iterable[str] | None = None,
) -> dict[str, Array]:
    """Runs a graph.

    Parameters
    ----------
    graph
        Any valid graph, fused or not.
    inputs
        One array for each graph input, of its shape.
    dtype
        The type that floating-point values are computed in and returned as: np.float32 or np.float64.
    fetch
        Names of the values to return; the graph's outputs by default.

    Returns
    -------
    dict
        Value name -> new array.

    Raises
    ------
    InputError
        An input is missing, unknown or of another shape.
    """
    wanted = tuple(graph.outputs if fetch is None else fetch)
    values = {name: _input_array(graph, name, inputs) for name in graph.inputs}
    unknown = sorted(set(inputs) - set(graph.inputs))
    if unknown:
        raise InputError(f"{graph.name}: no input is named {unknown[0]!r}; there are {list(graph.inputs)}")
    values.update(graph.constants)
    last_reader = {name: i for i, node in enumerate(graph.nodes) for name in node.inputs}
    for i, node in enumerate(graph.nodes):
        results = evaluate(node.op, [values[name] for name in node.inputs], dtype)
        values.update(zip(node.outputs, results))
        for name in {*node.inputs, *node.outputs}:
            if last_reader.get(name, -1) <= i and name not in wanted:
                values.pop(name, None)
    return {name: np.array(_as_float(values[name], dtype)) for name in wanted}


def evaluate(op: ops.Op, arrays: Sequence[Array], dtype: Any = np.float32) -> list[Array]:
    """The outputs of one operator. Floating-point arrays are taken and returned as *dtype*, integers as they are.

    Outputs may be views of the inputs.
    """
    with np.errstate(all="ignore"):  # infinities and NaN are results like others
        result = FUNCTIONS[type(op)](op, *(_as_float(np.asarray(a), dtype) for a in arrays))
    outputs = result if isinstance(result, list) else [result]
    return [_as_float(np.asarray(array), dtype) for array in outputs]


def _as_float(array: Array, dtype: Any) -> Array:
    return array.astype(dtype, copy=False) if array.dtype.kind == "f" else array


def _input_array(graph: Graph, name: str, inputs: Mapping[str, Array]) -> Array:
    if name not in inputs:
        raise InputError(f"{graph.name}: the input {name!r} is missing")
    array = np.asarray(inputs[name])
    if array.shape != graph.values[name].shape:
        raise InputError(f"{graph.name}: input {name!r} has shape {array.shape}, not {graph.values[name].shape}")
    return array


# Elementwise functions.


def _sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def _softplus(x: Array) -> Array:
    return np.logaddexp(x.dtype.type(0), x)


def _elu(x: Array, alpha: float) -> Array:
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def _erf(x: Array) -> Array:
    return np.asarray(np.frompyfunc(math.erf, 1, 1)(x), np.float64)


def _clip(x: Array, low: float, high: float) -> Array:
    return np.minimum(np.maximum(x, low), high)


UNARY: dict[str, Callable[[Array, float, float], Array]] = {
    "relu": lambda x, alpha, beta: np.maximum(x, 0),
    "relu6": lambda x, alpha, beta: _clip(x, 0, 6),
    "leaky": lambda x, alpha, beta: np.where(x > 0, x, alpha * x),
    "clip": lambda x, alpha, beta: _clip(x, alpha, beta),
    "elu": lambda x, alpha, beta: _elu(x, alpha),
    "selu": lambda x, alpha, beta: beta * _elu(x, alpha),
    "sigmoid": lambda x, alpha, beta: _sigmoid(x),
    "tanh": lambda x, alpha, beta: np.tanh(x),
    "hardsigmoid": lambda x, alpha, beta: _clip(alpha * x + beta, 0, 1),
    "hardswish": lambda x, alpha, beta: x * _clip(x / 6 + 0.5, 0, 1),
    "hardtan": lambda x, alpha, beta: _clip(x, -1, 1),
    "softplus": lambda x, alpha, beta: _softplus(x),
    "softsign": lambda x, alpha, beta: x / (1 + np.abs(x)),
    "mish": lambda x, alpha, beta: x * np.tanh(_softplus(x)),
    "swish": lambda x, alpha, beta: x / (1 + np.exp(-x)),
    "gelu": lambda x, alpha, beta: x / 2 * (1 + _erf(x / math.sqrt(2))),
    "step": lambda x, alpha, beta: (x > 0).astype(x.dtype),
    "exp": lambda x, alpha, beta: np.exp(x),
    "log": lambda x, alpha, beta: np.log(x),
    "sqrt": lambda x, alpha, beta: np.sqrt(x),
    "abs": lambda x, alpha, beta: np.abs(x),
    "neg": lambda x, alpha, beta: -x,
    "reciprocal": lambda x, alpha, beta: 1 / x,
    "floor": lambda x, alpha, beta: np.floor(x),
    "ceil": lambda x, alpha, beta: np.ceil(x),
    "erf": lambda x, alpha, beta: _erf(x),
}

BINARY: dict[str, Callable[[Array, Array], Array]] = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": np.divide,
    "max": np.maximum,
    "min": np.minimum,
    "pow": np.power,
    "prelu": lambda a, b: np.where(a > 0, a, a * b),
}


def apply(function: ops.Function | None, x: Array) -> Array:
    """f(x) in the dtype of x; x itself where there is no function."""
    if function is None:
        return x
    return UNARY[function.kind](x, function.alpha, function.beta).astype(x.dtype, copy=False)


def unary(op: ops.Unary, x: Array) -> Array:
    return apply(op.function, x)


def binary(op: ops.Binary, a: Array, b: Array) -> Array:
    return apply(op.activation, BINARY[op.kind](a, b))


def cast(op: ops.Cast, x: Array) -> Array:
    if x.dtype.kind == np.dtype(op.to).kind == "f":
        return x  # stays in the type that everything is computed in
    return x.astype(op.to)


# Windows: convolution and pooling.


def _taps(
    x: Array,
    size: Sequence[int],
    kernel: Sequence[int],
    strides: tuple[int, int],
    dilations: tuple[int, int],
    padding: Padding,
    fill: float,
) -> Iterator[tuple[int, int, Array]]:
    """For each kernel cell (ky, kx) the view of the padded picture that it meets, of *size* (OH, OW)."""
    (oh, ow), (kh, kw), (sh, sw), (dh, dw) = size, kernel, strides, dilations
    top, left = padding[:2]
    # What the windows reach, which with ceil_mode is more than the padding and with a stride can be less.
    bottom = max((oh - 1) * sh + (kh - 1) * dh + 1 - top - x.shape[1], 0)
    right = max((ow - 1) * sw + (kw - 1) * dw + 1 - left - x.shape[2], 0)
    if top or left or bottom or right:
        x = np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)), constant_values=fill)
    for ky in range(kh):
        for kx in range(kw):
            y0, x0 = ky * dh, kx * dw
            yield ky, kx, x[:, y0 : y0 + (oh - 1) * sh + 1 : sh, x0 : x0 + (ow - 1) * sw + 1 : sw, :]


def _mix_channels(x: Array, w: Array, groups: int) -> Array:
    """A 1x1 convolution: x (..., C) by w (O, C / groups) -> (..., O)."""
    filters, depth = w.shape
    if depth == 1:  # each channel makes O / groups others
        y = x[..., :, np.newaxis] * w.reshape(groups, filters // groups)
    else:
        pixels = x.reshape(-1, groups, depth)
        per_group = w.reshape(groups, filters // groups, depth)
        y = np.stack([pixels[:, g] @ per_group[g].T for g in range(groups)], axis=1)
    return y.reshape(*x.shape[:-1], filters)


def conv(op: ops.Conv, x: Array, w: Array, b: Array, residual: Array | None = None) -> Array:
    shape = op.conv_shape([TensorSpec("", a.shape) for a in (x, w, b)])
    y = np.zeros(shape, x.dtype)
    for ky, kx, tap in _taps(x, shape[1:3], w.shape[1:3], op.strides, op.dilations, op.padding, 0):
        y += _mix_channels(tap, w[:, ky, kx], op.groups)
    y += b
    if op.residual == "before":
        y = y + residual
    y = apply(op.activation, y)
    if op.residual == "after":
        y = y + residual
    return y if op.pool is None else max_pool(op.pool, y)


def conv_transpose(op: ops.ConvTranspose, x: Array, w: Array, b: Array) -> Array:
    shape, _ = op.infer([TensorSpec("", a.shape) for a in (x, w, b)])[0]
    n, oh, ow, filters = shape
    (_, h, wd, c), (og, kh, kw, _) = x.shape, w.shape
    (sh, sw), (dh, dw), (top, left, bottom, right) = op.strides, op.dilations, op.padding
    # (O / groups, KH, KW, groups, C / groups) -> (O, KH, KW, C / groups), the weights of a Conv
    by_group = w.reshape(og, kh, kw, op.groups, c // op.groups)
    by_filter = np.moveaxis(by_group, 3, 0).reshape(filters, kh, kw, c // op.groups)
    y = np.zeros((n, oh + top + bottom, ow + left + right, filters), x.dtype)
    for ky in range(kh):
        for kx in range(kw):
            y0, x0 = ky * dh, kx * dw
            cells = y[:, y0 : y0 + (h - 1) * sh + 1 : sh, x0 : x0 + (wd - 1) * sw + 1 : sw]
            cells += _mix_channels(x, by_filter[:, ky, kx], op.groups)
    return apply(op.activation, y[:, top : top + oh, left : left + ow] + b)


def max_pool(op: ops.MaxPool, x: Array) -> Array:
    shape, _ = op.infer([TensorSpec("", x.shape)])[0]
    y = np.full(shape, -np.inf, x.dtype)
    for _, _, tap in _taps(x, shape[1:3], op.kernel, op.strides, op.dilations, op.padding, -np.inf):
        y = np.maximum(y, tap)
    return y


def average_pool(op: ops.AveragePool, x: Array) -> Array:
    shape, _ = op.infer([TensorSpec("", x.shape)])[0]
    top, left, bottom, right = op.padding
    inside = np.ones((1, *x.shape[1:3], 1), x.dtype)
    if op.count_include_pad:
        inside = np.pad(inside, ((0, 0), (top, bottom), (left, right), (0, 0)), constant_values=1)
    padding = (0, 0, 0, 0) if op.count_include_pad else op.padding
    total = np.zeros(shape, x.dtype)
    for _, _, tap in _taps(x, shape[1:3], op.kernel, op.strides, (1, 1), op.padding, 0):
        total += tap
    cells = np.zeros((1, *shape[1:3], 1), x.dtype)
    for _, _, tap in _taps(inside, shape[1:3], op.kernel, op.strides, (1, 1), padding, 0):
        cells += tap
    return total / cells


def lrn(op: ops.LRN, x: Array) -> Array:
    before, after = (op.size - 1) // 2, op.size // 2
    squares = np.pad(x * x, ((0, 0), (0, 0), (0, 0), (before, after)))
    near = np.zeros_like(x)
    for i in range(op.size):
        near += squares[..., i : i + x.shape[3]]
    return x / (op.bias + op.alpha / op.size * near) ** op.beta


def _source_positions(op: ops.Resize, axis: int, m: int, n: int) -> Array:
    """Where in the m input cells each of the n output cells looks (float64)."""
    i = np.arange(n, dtype=np.float64)
    if op.coordinates == "align_corners":
        return i * (m - 1) / max(n - 1, 1)
    if op.coordinates == "pytorch_half_pixel" and n == 1:
        return np.zeros(1)
    shift = 0.0 if op.coordinates == "asymmetric" else 0.5
    if op.scale is None:
        return (i + shift) * m / n - shift  # exact where i / (n / m) would round
    return (i + shift) / op.scale[axis] - shift


ROUND: dict[str, Callable[[Array], Array]] = {
    "floor": np.floor,
    "ceil": np.ceil,
    "round_prefer_floor": lambda p: np.ceil(p - 0.5),
    "round_prefer_ceil": lambda p: np.floor(p + 0.5),
}


def resize(op: ops.Resize, x: Array) -> Array:
    for axis in (0, 1):
        m = x.shape[1 + axis]
        position = _source_positions(op, axis, m, op.size[axis])
        if op.mode == "nearest":
            cell = np.clip(ROUND[op.nearest](position), 0, m - 1).astype(np.intp)
            x = np.take(x, cell, axis=1 + axis)
        else:
            position = np.clip(position, 0, m - 1)
            low = np.floor(position).astype(np.intp)
            high = np.minimum(low + 1, m - 1)
            t = (position - low).astype(x.dtype).reshape((-1, 1) if axis else (-1, 1, 1))
            x = np.take(x, low, axis=1 + axis) * (1 - t) + np.take(x, high, axis=1 + axis) * t
    return x


# Products, statistics, reductions.


def dense(op: ops.Dense, x: Array, w: Array, b: Array) -> Array:
    return apply(op.activation, x @ w.reshape(len(w), x.shape[1]).T + b)


def matmul(op: ops.MatMul, a: Array, b: Array) -> Array:
    return a @ b


def batch_norm(op: ops.BatchNorm, x: Array, scale: Array, bias: Array, mean: Array, variance: Array) -> Array:
    along = [1] * x.ndim
    along[op.axis] = -1
    deviation = np.sqrt(variance) + op.epsilon if op.sqrt_first else np.sqrt(variance + op.epsilon)
    normal = (x - mean.reshape(along)) / deviation.astype(x.dtype).reshape(along)
    return normal * scale.reshape(along) + bias.reshape(along)


def softmax(op: ops.Softmax, x: Array) -> Array:
    shifted = x - x.max(axis=op.axis, keepdims=True)
    total = np.exp(shifted).sum(axis=op.axis, keepdims=True)
    return shifted - np.log(total) if op.log else np.exp(shifted) / total


REDUCE: dict[str, Callable[..., Array]] = {
    "mean": np.mean,
    "sum": np.sum,
    "max": np.max,
    "min": np.min,
    "prod": np.prod,
    "l2": lambda x, axis, keepdims: np.sqrt(np.sum(x * x, axis=axis, keepdims=keepdims)),
}


def reduce(op: ops.Reduce, x: Array) -> Array:
    return REDUCE[op.kind](x, axis=op.axes, keepdims=op.keepdims)


def arg_max(op: ops.ArgMax, x: Array) -> Array:
    if op.select_last:
        index = x.shape[op.axis] - 1 - np.argmax(np.flip(x, op.axis), axis=op.axis)
    else:
        index = np.argmax(x, axis=op.axis)
    return np.asarray(np.expand_dims(index, op.axis) if op.keepdims else index, np.int64)


# Rearrangements.


def concat(op: ops.Concat, *arrays: Array) -> Array:
    return np.concatenate(arrays, axis=op.axis)


def slice_(op: ops.Slice, x: Array) -> Array:
    return x[tuple(slice(b, None if e < 0 else e, s) for b, e, s in zip(op.begin, op.end, op.step))]


def split(op: ops.Split, x: Array) -> list[Array]:
    return np.split(x, np.cumsum(op.sizes)[:-1], axis=op.axis)


def pad(op: ops.Pad, x: Array) -> Array:
    widths = list(zip(op.before, op.after))
    if op.mode == "constant":
        return np.pad(x, widths, constant_values=op.value)
    return np.pad(x, widths, mode=op.mode)  # type: ignore[call-overload, no-any-return]


def reshape(op: ops.Reshape, x: Array) -> Array:
    return x.reshape(op.shape)


def transpose(op: ops.Transpose, x: Array) -> Array:
    return x.transpose(op.perm)


def expand(op: ops.Expand, x: Array) -> Array:
    return np.broadcast_to(x, op.shape)


def tile(op: ops.Tile, x: Array) -> Array:
    return np.tile(x, op.repeats)


FUNCTIONS: dict[type[ops.Op], Callable[..., Any]] = {
    ops.Unary: unary,
    ops.Binary: binary,
    ops.Cast: cast,
    ops.Conv: conv,
    ops.ConvTranspose: conv_transpose,
    ops.MaxPool: max_pool,
    ops.AveragePool: average_pool,
    ops.LRN: lrn,
    ops.Resize: resize,
    ops.Dense: dense,
    ops.MatMul: matmul,
    ops.BatchNorm: batch_norm,
    ops.Softmax: softmax,
    ops.Reduce: reduce,
    ops.ArgMax: arg_max,
    ops.Concat: concat,
    ops.Slice: slice_,
    ops.Split: split,
    ops.Pad: pad,
    ops.Reshape: reshape,
    ops.Transpose: transpose,
    ops.Expand: expand,
    ops.Tile: tile,
}
