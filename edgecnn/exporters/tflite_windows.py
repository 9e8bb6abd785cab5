"""Convolution and pooling. TensorFlow Lite knows two paddings, SAME and VALID; any other is a PAD before VALID."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from edgecnn.errors import UnsupportedOperator
from edgecnn.exporters.tflite_context import Context
from edgecnn.exporters.tflite_functions import apply, split_activation
from edgecnn.graph import ops
from edgecnn.graph.ir import TensorSpec
from edgecnn.tflite_schema import PADDING_SAME, PADDING_VALID

LOWEST = float(np.finfo(np.float32).min)


def _spec(c: Context, tensor: int) -> TensorSpec:
    return TensorSpec("", c.shape(tensor))


def _is_same(
    size: Sequence[int],
    out: Sequence[int],
    kernel: Sequence[int],
    strides: Sequence[int],
    dilations: Sequence[int],
    before: Sequence[int],
) -> bool:
    """Whether padding SAME gives these windows: out = ceil(size / stride), the smaller half of the padding before."""
    for n, o, k, s, d, b in zip(size, out, kernel, strides, dilations, before):
        total = max((-(-n // s) - 1) * s + (k - 1) * d + 1 - n, 0)
        if o != -(-n // s) or b != total // 2:
            return False
    return True


def _behind(
    size: Sequence[int],
    out: Sequence[int],
    kernel: Sequence[int],
    strides: Sequence[int],
    dilations: Sequence[int],
    before: Sequence[int],
) -> list[int]:
    """How far the last window reaches behind the picture."""
    windows = zip(size, out, kernel, strides, dilations, before)
    return [max((o - 1) * s + (k - 1) * d + 1 - b - n, 0) for n, o, k, s, d, b in windows]


def _padded(
    c: Context,
    x: int,
    out: Sequence[int],
    kernel: Sequence[int],
    strides: Sequence[int],
    dilations: Sequence[int],
    padding: tuple[int, int, int, int],
    value: float,
) -> tuple[int, int]:
    """The input of a window operator and its padding code; padded by *value* where the code alone does not do."""
    size = c.shape(x)[1:3]
    behind = _behind(size, out, kernel, strides, dilations, padding[:2])
    if not any(padding[:2]) and not any(behind):
        return x, PADDING_VALID
    if _is_same(size, out, kernel, strides, dilations, padding[:2]):
        return x, PADDING_SAME
    return c.pad(x, (0, *padding[:2], 0), (0, *behind, 0), value), PADDING_VALID


def conv(c: Context, op: ops.Conv, x: int, w: int, b: int, residual: int = -1) -> int:
    code, function = split_activation(op.activation)
    code = code or c.fused
    before = op.residual == "before"
    y = _plain_conv(c, op, x, w, b, 0 if before else code)
    if before:
        y = c.binary("ADD", y, residual, code)
    if function is not None:
        y = apply(c, function, y)
    if op.residual == "after":
        y = c.binary("ADD", y, residual)
    return y if op.pool is None else max_pool(c, op.pool, y)


def _plain_conv(c: Context, op: ops.Conv, x: int, w: int, b: int, activation: int) -> int:
    shape = op.conv_shape([_spec(c, i) for i in (x, w, b)])
    kernel = c.shape(w)[1:3]
    channels = c.shape(x)[3]
    x, padding = _padded(c, x, shape[1:3], kernel, op.strides, op.dilations, op.padding, 0.0)
    options: dict[str, Any] = {
        "padding": padding,
        "stride_h": op.strides[0],
        "stride_w": op.strides[1],
        "dilation_h_factor": op.dilations[0],
        "dilation_w_factor": op.dilations[1],
        "fused_activation_function": activation,
    }
    if op.groups == channels and op.groups > 1:
        depthwise = c.transpose(w, (3, 1, 2, 0))
        options["depth_multiplier"] = shape[3] // channels
        return c.op("DEPTHWISE_CONV_2D", [x, depthwise, b], shape, **options)
    return c.op("CONV_2D", [x, w, b], shape, **options)


def conv_transpose(c: Context, op: ops.ConvTranspose, x: int, w: int, b: int) -> int:
    """The whole result (VALID) and a crop; per group, with a dilated kernel written out with its zeros."""
    ((shape, _),) = op.infer([_spec(c, i) for i in (x, w, b)])
    kernels = _dilated(c, op, w)
    n, h, wd, channels = c.shape(x)
    extent = [(m - 1) * s + k for m, s, k in zip((h, wd), op.strides, kernels.shape[1:3])]
    top, left = op.padding[:2]
    missing = [max(t + o - e, 0) for t, o, e in zip((top, left), shape[1:3], extent)]
    depth = channels // op.groups
    parts = []
    for g in range(op.groups):
        part = c.slice(x, (0, 0, 0, g * depth), (n, h, wd, depth))
        weights = c.constant(np.ascontiguousarray(kernels[..., g * depth : (g + 1) * depth]), "weights")
        full = (n, *extent, kernels.shape[0])
        options: dict[str, Any] = {"padding": PADDING_VALID, "stride_h": op.strides[0], "stride_w": op.strides[1]}
        parts.append(c.op("TRANSPOSE_CONV", [c.integers(full, "shape"), weights, part], full, "float32", **options))
    y = parts[0] if len(parts) == 1 else c.concat(parts, 3)
    y = c.pad(y, (0, 0, 0, 0), (0, *missing, 0))  # rows that only the output padding reaches
    y = c.slice(y, (0, top, left, 0), shape)
    y = c.binary("ADD", y, b)
    return y if op.activation is None else apply(c, op.activation, y)


def _dilated(c: Context, op: ops.ConvTranspose, w: int) -> np.ndarray:
    array = c.array(w)
    if array is None:
        raise UnsupportedOperator("its weights are computed while the network runs")
    filters, kh, kw, channels = array.shape
    (dh, dw) = op.dilations
    wide = np.zeros((filters, (kh - 1) * dh + 1, (kw - 1) * dw + 1, channels), np.float32)
    wide[:, ::dh, ::dw] = array
    return wide


def _pool(
    c: Context, kind: str, op: ops.MaxPool | ops.AveragePool, x: int, out: ops.Shape, padding: int, activation: int
) -> int:
    return c.op(
        kind,
        [x],
        out,
        padding=padding,
        stride_h=op.strides[0],
        stride_w=op.strides[1],
        filter_height=op.kernel[0],
        filter_width=op.kernel[1],
        fused_activation_function=activation,
    )


def max_pool(c: Context, op: ops.MaxPool, x: int) -> int:
    ((shape, _),) = op.infer([_spec(c, x)])
    if op.dilations != (1, 1):
        return _dilated_max_pool(c, op, x, shape)
    x, padding = _padded(c, x, shape[1:3], op.kernel, op.strides, op.dilations, op.padding, LOWEST)
    return _pool(c, "MAX_POOL_2D", op, x, shape, padding, c.fused)


def _dilated_max_pool(c: Context, op: ops.MaxPool, x: int, shape: ops.Shape) -> int:
    """The maximum of one strided slice per kernel cell."""
    behind = _behind(c.shape(x)[1:3], shape[1:3], op.kernel, op.strides, op.dilations, op.padding[:2])
    x = c.pad(x, (0, *op.padding[:2], 0), (0, *behind, 0), LOWEST)
    (n, oh, ow, channels), (sh, sw) = shape, op.strides
    strides = c.integers((1, sh, sw, 1), "strides")
    y = -1
    for ky in range(op.kernel[0]):
        for kx in range(op.kernel[1]):
            top, left = ky * op.dilations[0], kx * op.dilations[1]
            begin = c.integers((0, top, left, 0), "begin")
            end = c.integers((n, top + (oh - 1) * sh + 1, left + (ow - 1) * sw + 1, channels), "end")
            tap = c.op("STRIDED_SLICE", [x, begin, end, strides], shape)
            y = tap if y < 0 else c.binary("MAXIMUM", y, tap)
    return y


def average_pool(c: Context, op: ops.AveragePool, x: int) -> int:
    """The builtin counts the cells inside the picture; another divisor is put right by a constant map of factors."""
    ((shape, _),) = op.infer([_spec(c, x)])
    size, out, before = c.shape(x)[1:3], shape[1:3], op.padding[:2]
    behind = _behind(size, out, op.kernel, op.strides, (1, 1), before)
    if not any(before) and not any(behind):
        return _pool(c, "AVERAGE_POOL_2D", op, x, shape, PADDING_VALID, c.fused)
    if not op.count_include_pad and _is_same(size, out, op.kernel, op.strides, (1, 1), before):
        return _pool(c, "AVERAGE_POOL_2D", op, x, shape, PADDING_SAME, c.fused)
    rows, columns = (_counted(op, axis, size[axis], out[axis]) for axis in (0, 1))
    factors = op.kernel[0] * op.kernel[1] / np.outer(rows, columns)
    x = c.pad(x, (0, *before, 0), (0, *behind, 0))
    if (factors == 1).all():
        return _pool(c, "AVERAGE_POOL_2D", op, x, shape, PADDING_VALID, c.fused)
    y = _pool(c, "AVERAGE_POOL_2D", op, x, shape, PADDING_VALID, 0)
    return c.binary("MUL", y, c.constant(factors.astype(np.float32).reshape(1, *out, 1), "factors"), c.fused)


def _counted(op: ops.AveragePool, axis: int, size: int, out: int) -> np.ndarray:
    """How many cells along an axis the divisor of each output cell counts."""
    before, after = op.padding[axis], op.padding[axis + 2]
    first = np.arange(out) * op.strides[axis] - before
    low, high = (-before, size + after) if op.count_include_pad else (0, size)
    counts: np.ndarray = np.minimum(first + op.kernel[axis], high) - np.maximum(first, low)
    return counts
