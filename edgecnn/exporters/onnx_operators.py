"""How each operator of the IR is written in ONNX: one small function per operator, one table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Callable

import numpy as np

from edgecnn.exporters.onnx_context import TO_NCHW, TO_NHWC, Context
from edgecnn.graph import ops
from edgecnn.graph.ir import Node
from edgecnn.passes.layout import Perm, compose, identity, inverse, rename_axes, reshape_groups


def transpose(c: Context, node: Node, op: ops.Transpose) -> None:
    stored = c.stored[node.inputs[0]]
    c.store(node.outputs[0], stored.name, compose(stored.perm, op.perm))


# Pictures.


def conv(c: Context, node: Node, op: ops.Conv) -> None:
    x, w, b = node.inputs[:3]
    y = c.emit(
        "Conv",
        [c.as_layout(x, TO_NCHW), c.as_layout(w, TO_NCHW), c.plain(b)],
        kernel_shape=c.shape(w)[1:3],
        strides=op.strides,
        pads=op.padding,
        dilations=op.dilations,
        group=op.groups,
    )
    if op.residual == "before":
        y = c.emit("Add", [y, c.as_layout(node.inputs[3], TO_NCHW)])
    y = c.apply(op.activation, y)
    if op.residual == "after":
        y = c.emit("Add", [y, c.as_layout(node.inputs[3], TO_NCHW)])
    if op.pool is not None:
        size = op.conv_shape([c.graph.values[v] for v in node.inputs])[1:3]
        y = write_max_pool(c, y, op.pool, size, c.shape(node.outputs[0])[1:3])
    c.store(node.outputs[0], y, TO_NHWC)


def conv_transpose(c: Context, node: Node, op: ops.ConvTranspose) -> None:
    x, w, b = node.inputs
    y = c.emit(
        "ConvTranspose",
        [c.as_layout(x, TO_NCHW), c.as_layout(w, (3, 0, 1, 2)), c.plain(b)],
        kernel_shape=c.shape(w)[1:3],
        strides=op.strides,
        pads=op.padding,
        output_padding=op.output_padding,
        dilations=op.dilations,
        group=op.groups,
    )
    c.store(node.outputs[0], c.apply(op.activation, y), TO_NHWC)


def max_pool(c: Context, node: Node, op: ops.MaxPool) -> None:
    size, out = c.shape(node.inputs[0])[1:3], c.shape(node.outputs[0])[1:3]
    c.store(node.outputs[0], write_max_pool(c, c.as_layout(node.inputs[0], TO_NCHW), op, size, out), TO_NHWC)


def write_max_pool(c: Context, x: str, op: ops.MaxPool, size: Sequence[int], out: Sequence[int]) -> str:
    pads = reached_pads(op, op.dilations, size, out)
    if any(p >= k for p, k in zip(pads, op.kernel * 2)):
        # Runtimes compare padding with the kernel, not with the extent of a dilated one.
        around = c.integers((0, 0, *pads[:2], 0, 0, *pads[2:]), "pads")
        x = c.emit("Pad", [x, around, c.number(-math.inf)])
        pads = (0, 0, 0, 0)
    return c.emit("MaxPool", [x], kernel_shape=op.kernel, strides=op.strides, pads=pads, dilations=op.dilations)


def average_pool(c: Context, node: Node, op: ops.AveragePool) -> None:
    x = c.as_layout(node.inputs[0], TO_NCHW)
    counted, (top, left, bottom, right) = op.count_include_pad, op.padding
    pads = reached_pads(op, (1, 1), c.shape(node.inputs[0])[1:3], c.shape(node.outputs[0])[1:3])
    if counted and pads != op.padding:  # the padding counts, what only ceil_mode reaches does not
        x = c.emit("Pad", [x, c.integers((0, 0, top, left, 0, 0, bottom, right), "pads"), c.number(0.0)])
        counted, pads = False, (0, 0, pads[2] - bottom, pads[3] - right)
    attributes = {"kernel_shape": op.kernel, "strides": op.strides, "pads": pads}
    c.store(node.outputs[0], c.emit("AveragePool", [x], **attributes, count_include_pad=int(counted)), TO_NHWC)


def reached_pads(
    op: ops.MaxPool | ops.AveragePool, dilations: tuple[int, int], size: Sequence[int], out: Sequence[int]
) -> tuple[int, int, int, int]:
    """The padding, enlarged to what the last window of ``ceil_mode`` reaches.

    Written out, because readers disagree about when ceil_mode drops that window.
    """
    top, left, bottom, right = op.padding
    ends = [
        (n - 1) * stride + (kernel - 1) * dilation + 1 - before - cells
        for n, stride, kernel, dilation, before, cells in zip(out, op.strides, op.kernel, dilations, (top, left), size)
    ]
    return (top, left, max(bottom, ends[0]), max(right, ends[1]))


def lrn(c: Context, node: Node, op: ops.LRN) -> None:
    x = c.as_layout(node.inputs[0], TO_NCHW)
    if op.size % 2:
        y = c.emit("LRN", [x], size=op.size, alpha=op.alpha, beta=op.beta, bias=op.bias)
    else:  # runtimes refuse even sizes: the mean of squares along the channels, as an average pool
        n, h, w, channels = c.shape(node.inputs[0])
        squares = c.reshape(c.emit("Mul", [x, x]), (n, 1, channels, h * w))
        before, after = (op.size - 1) // 2, op.size // 2
        pool = {"kernel_shape": (op.size, 1), "pads": (before, 0, after, 0), "count_include_pad": 1}
        mean = c.reshape(c.emit("AveragePool", [squares], **pool), (n, channels, h, w))
        total = c.emit("Add", [c.emit("Mul", [mean, c.number(op.alpha)]), c.number(op.bias)])
        y = c.emit("Div", [x, c.emit("Pow", [total, c.number(op.beta)])])
    c.store(node.outputs[0], y, TO_NHWC)


def resize(c: Context, node: Node, op: ops.Resize) -> None:
    n, h, w, channels = c.shape(node.inputs[0])
    scale = op.scale
    if scale is None and op.size[0] % h == 0 and op.size[1] % w == 0:
        scale = (op.size[0] / h, op.size[1] / w)
    if scale is not None and all(math.floor(np.float32(s) * m) == k for s, m, k in zip(scale, (h, w), op.size)):
        how = ["", c.constant(np.array([1, 1, *scale], np.float32), "scales")]
    else:
        how = ["", "", c.integers((n, channels, *op.size), "sizes")]
    attributes = {"mode": op.mode, "coordinate_transformation_mode": op.coordinates}
    if op.mode == "nearest":
        attributes["nearest_mode"] = op.nearest
    c.store(node.outputs[0], c.emit("Resize", [c.as_layout(node.inputs[0], TO_NCHW), *how], **attributes), TO_NHWC)


# Products and normalisation.


def dense(c: Context, node: Node, op: ops.Dense) -> None:
    y = c.emit("Gemm", [c.plain(v) for v in node.inputs], transB=1)
    c.store(node.outputs[0], c.apply(op.activation, y))


def matmul(c: Context, node: Node, op: ops.MatMul) -> None:
    c.store(node.outputs[0], c.emit("MatMul", [c.plain(v) for v in node.inputs]))


def batch_norm(c: Context, node: Node, op: ops.BatchNorm) -> None:
    x, scale, bias, mean, variance = node.inputs
    stored = c.stored[x]
    axis = stored.perm[op.axis]
    rank = len(c.shape(x))
    if axis == 1 and not op.sqrt_first:
        inputs = [stored.name, *(c.plain(v) for v in node.inputs[1:])]
        y = c.emit("BatchNormalization", inputs, epsilon=op.epsilon)
    else:
        along = (1,) * axis + (c.shape(x)[op.axis],) + (1,) * (rank - 1 - axis)
        if op.sqrt_first:
            deviation = c.emit("Add", [c.emit("Sqrt", [c.plain(variance)]), c.number(op.epsilon)])
        else:
            deviation = c.emit("Sqrt", [c.emit("Add", [c.plain(variance), c.number(op.epsilon)])])
        slope = c.emit("Div", [c.plain(scale), deviation])
        shift = c.emit("Sub", [c.plain(bias), c.emit("Mul", [c.plain(mean), slope])])
        y = c.emit("Add", [c.emit("Mul", [stored.name, c.reshape(slope, along)]), c.reshape(shift, along)])
    c.store(node.outputs[0], y, stored.perm)


# Operators that take whatever layout there is, with their axes renamed.


def unary(c: Context, node: Node, op: ops.Unary) -> None:
    stored = c.stored[node.inputs[0]]
    c.store(node.outputs[0], c.apply(op.function, stored.name), stored.perm)


def cast(c: Context, node: Node, op: ops.Cast) -> None:
    stored = c.stored[node.inputs[0]]
    element_type = {"float32": 1, "int32": 6, "int64": 7}[op.to]
    c.store(node.outputs[0], c.emit("Cast", [stored.name], to=element_type), stored.perm)


BINARY = {"add": "Add", "sub": "Sub", "mul": "Mul", "div": "Div", "max": "Max", "min": "Min", "pow": "Pow"}


def common_layout(c: Context, node: Node) -> Perm:
    """The layout of most of the computed inputs that have the rank of the output."""
    rank = len(c.shape(node.outputs[0]))
    votes = [c.stored[v].perm for v in node.inputs if len(c.shape(v)) == rank and not c.is_constant(v)]
    return max(votes, key=votes.count) if votes else identity(rank)


def binary(c: Context, node: Node, op: ops.Binary) -> None:
    perm = common_layout(c, node)
    a, b = (operand(c, v, perm) for v in node.inputs)
    if op.kind in BINARY:
        y = c.emit(BINARY[op.kind], [a, b])
    else:
        shape = c.shape(node.outputs[0])
        if c.shape(node.inputs[0]) != shape:  # PRelu broadcasts its slope only
            a = c.emit("Expand", [a, c.integers([shape[i] for i in inverse(perm)], "shape")])
        y = c.emit("PRelu", [a, b])
    c.store(node.outputs[0], c.apply(op.activation, y), perm)


def operand(c: Context, value: str, perm: Perm) -> str:
    """An operand of an output that is stored with *perm*; of smaller rank it gets ones in front."""
    shape = c.shape(value)
    if len(shape) == len(perm):
        return c.as_layout(value, inverse(perm))
    if perm == identity(len(perm)) or all(d == 1 for d in shape):
        return c.plain(value)
    full = (1,) * (len(perm) - len(shape)) + shape
    if c.is_constant(value):
        return c.constant(c.graph.constants[value].reshape(full).transpose(inverse(perm)), value)
    stored = tuple(full[i] for i in inverse(perm))
    raised = c.reshape(c.plain(value), full)
    return c.emit("Transpose", [raised], perm=inverse(perm)) if stored != full else raised


def softmax(c: Context, node: Node, op: ops.Softmax) -> None:
    stored = c.stored[node.inputs[0]]
    y = c.emit("LogSoftmax" if op.log else "Softmax", [stored.name], axis=stored.perm[op.axis])
    c.store(node.outputs[0], y, stored.perm)


def reduce(c: Context, node: Node, op: ops.Reduce) -> None:
    stored = c.stored[node.inputs[0]]
    axes = sorted(stored.perm[a] for a in op.axes)
    if not axes:
        y = c.emit("Abs" if op.kind == "l2" else "Identity", [stored.name])
    elif axes == [2, 3] and len(stored.perm) == 4 and op.keepdims and op.kind in ("mean", "max"):
        y = c.emit("GlobalAveragePool" if op.kind == "mean" else "GlobalMaxPool", [stored.name])
    else:
        kind = {"l2": "ReduceL2"}.get(op.kind, f"Reduce{op.kind.title()}")
        y = c.emit(kind, [stored.name, c.integers(axes, "axes")], keepdims=int(op.keepdims))
    c.store(node.outputs[0], y, stored.perm if op.keepdims else without(stored.perm, axes))


def arg_max(c: Context, node: Node, op: ops.ArgMax) -> None:
    stored = c.stored[node.inputs[0]]
    axis = stored.perm[op.axis]
    last = {"select_last_index": 1} if op.select_last else {}
    y = c.emit("ArgMax", [stored.name], axis=axis, keepdims=int(op.keepdims), **last)
    c.store(node.outputs[0], y, stored.perm if op.keepdims else without(stored.perm, [axis]))


def without(perm: Perm, axes: list[int]) -> Perm:
    """The layout that is left when stored axes are gone."""
    kept = [i for i in perm if i not in axes]
    return tuple(sorted(kept).index(i) for i in kept)


def concat(c: Context, node: Node, op: ops.Concat) -> None:
    perm = common_layout(c, node)
    inputs = [c.as_layout(v, inverse(perm)) for v in node.inputs]
    c.store(node.outputs[0], c.emit("Concat", inputs, axis=perm[op.axis]), perm)


def split(c: Context, node: Node, op: ops.Split) -> None:
    stored = c.stored[node.inputs[0]]
    sizes = c.integers(op.sizes, "sizes")
    parts = c.emit_multi("Split", [stored.name, sizes], len(op.sizes), axis=stored.perm[op.axis])
    for value, part in zip(node.outputs, parts):
        c.store(value, part, stored.perm)


def slice_(c: Context, node: Node, op: ops.Slice) -> None:
    stored = c.stored[node.inputs[0]]
    shape = c.shape(node.inputs[0])
    rows = [
        # -1 behind a negative step means "before index 0", which ONNX writes as anything below -size
        (begin, end if end >= 0 else -d - 1, stored.perm[axis], step)
        for axis, (begin, end, step, d) in enumerate(zip(op.begin, op.end, op.step, shape))
        if (begin, end, step) != (0, d, 1)
    ]
    if rows:
        columns = zip(("starts", "ends", "axes", "steps"), zip(*rows))
        y = c.emit("Slice", [stored.name, *(c.integers(values, what) for what, values in columns)])
    else:
        y = c.emit("Identity", [stored.name])
    c.store(node.outputs[0], y, stored.perm)


def pad(c: Context, node: Node, op: ops.Pad) -> None:
    stored = c.stored[node.inputs[0]]
    moved = rename_axes(op, stored.perm)
    assert isinstance(moved, ops.Pad)
    inputs = [stored.name, c.integers((*moved.before, *moved.after), "pads")]
    if op.mode == "constant":
        inputs.append(c.constant(np.array(op.value, c.graph.values[node.inputs[0]].dtype), "value"))
    c.store(node.outputs[0], c.emit("Pad", inputs, mode=op.mode), stored.perm)


def tile(c: Context, node: Node, op: ops.Tile) -> None:
    stored = c.stored[node.inputs[0]]
    moved = rename_axes(op, stored.perm)
    assert isinstance(moved, ops.Tile)
    c.store(node.outputs[0], c.emit("Tile", [stored.name, c.integers(moved.repeats, "repeats")]), stored.perm)


def expand(c: Context, node: Node, op: ops.Expand) -> None:
    stored = c.stored[node.inputs[0]]
    if len(stored.perm) == len(op.shape):
        name, shape, perm = stored.name, tuple(op.shape[i] for i in inverse(stored.perm)), stored.perm
    else:
        name, shape, perm = c.plain(node.inputs[0]), op.shape, identity(len(op.shape))
    c.store(node.outputs[0], c.emit("Expand", [name, c.integers(shape, "shape")]), perm)


def reshape(c: Context, node: Node, op: ops.Reshape) -> None:
    """A reshape of a stored form, where the axes that it joins can be brought together without moving the others."""
    value = node.inputs[0]
    old, new, perm = c.shape(value), op.shape, c.stored[value].perm
    groups = reshape_groups(old, new)
    if groups is None:
        c.store(node.outputs[0], c.reshape(c.plain(value), new))
        return
    groups.sort(key=lambda g: min([perm[i] for i in g[0] if old[i] != 1] or [perm[i] for i in g[0]] or [0]))
    before = tuple(i for old_axes, _ in groups for i in old_axes)
    after = tuple(j for _, new_axes in groups for j in new_axes)
    y = c.reshape(c.as_layout(value, before), tuple(new[j] for j in after))
    c.store(node.outputs[0], y, inverse(after))


EXPORTERS: dict[type[ops.Op], Callable[[Context, Node, Any], None]] = {
    ops.Transpose: transpose,
    ops.Conv: conv,
    ops.ConvTranspose: conv_transpose,
    ops.MaxPool: max_pool,
    ops.AveragePool: average_pool,
    ops.LRN: lrn,
    ops.Resize: resize,
    ops.Dense: dense,
    ops.MatMul: matmul,
    ops.BatchNorm: batch_norm,
    ops.Unary: unary,
    ops.Binary: binary,
    ops.Cast: cast,
    ops.Softmax: softmax,
    ops.Reduce: reduce,
    ops.ArgMax: arg_max,
    ops.Concat: concat,
    ops.Split: split,
    ops.Slice: slice_,
    ops.Pad: pad,
    ops.Tile: tile,
    ops.Expand: expand,
    ops.Reshape: reshape,
}
