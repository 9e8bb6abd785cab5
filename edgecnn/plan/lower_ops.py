"""What each operator becomes: one function a kind, in the table `LOWER`."""

from __future__ import annotations

import math
from typing import Callable

import numpy as np

from edgecnn.graph import ops
from edgecnn.graph.ir import Node
from edgecnn.plan.lower import MAX_DIMS, Lowering, collapse, front
from edgecnn.plan.pack import (
    conv_bias,
    pack_conv,
    pack_conv_transpose,
    pack_depthwise,
    pack_first_winograd,
    strassen_bias,
    strassen_panels,
    winograd_panels,
)
from edgecnn.plan.select import (
    FIRST_KERNELS,
    QUADS,
    Candidate,
    conv_candidates,
    fuses,
    inverts,
    layer_key,
    ranked,
    starts,
    with_fused,
)
from edgecnn.plan.steps import Field, View

PAD_MODES = {"constant": 0, "reflect": 1, "edge": 2, "wrap": 3}
RESIZE_MODES = {"nearest": 0, "linear": 1}
COORDINATES = {"half_pixel": 0, "asymmetric": 1, "align_corners": 2, "pytorch_half_pixel": 3}
ROUNDINGS = {"floor": 0, "ceil": 1, "round_prefer_floor": 2, "round_prefer_ceil": 3}
RESIDUALS = {"": 0, "before": 1, "after": 2}
ELEMENT_TYPES = {"float32": 0, "int32": 1, "int64": 2}


def window(
    kernel: tuple[int, int], strides: tuple[int, int], padding: tuple[int, ...], dilations: tuple[int, int]
) -> dict[str, Field]:
    """The fields of a sliding window."""
    return {
        "kernel_h": kernel[0], "kernel_w": kernel[1], "stride_h": strides[0], "stride_w": strides[1],
        "pad_top": padding[0], "pad_left": padding[1], "dilation_h": dilations[0], "dilation_w": dilations[1],
    }  # fmt: skip


def picture(x: View, y: View) -> dict[str, Field]:
    """The fields of an NHWC input and output."""
    return {
        "batch": x.shape[0], "in_h": x.shape[1], "in_w": x.shape[2], "in_stride": x.stride,
        "out_h": y.shape[1], "out_w": y.shape[2], "out_stride": y.stride,
    }  # fmt: skip


def choose(low: Lowering, node: Node) -> list[Candidate]:
    """The kernels that can run a convolution, the best first."""
    op = node.op
    assert isinstance(op, ops.Conv)
    specs = [low.graph.values[v] for v in node.inputs]
    found = conv_candidates(op, specs[0].shape, specs[1].shape, op.conv_shape(specs), low.target)
    if pointwise_behind(low, node):
        found = with_fused(found, "DwPw")
        maker = maker_before(low, node)
        if maker:
            found = with_fused(found, "FirstDwPw" if begins(low, maker) else "PwDwPw")
    return ranked(found, low.verdicts.get(key_of(low, node), {}))


def key_of(low: Lowering, node: Node) -> str:
    """The name of a convolution in the verdicts."""
    assert isinstance(node.op, ops.Conv)
    x, w = (low.graph.values[v].shape for v in node.inputs[:2])
    before, behind = maker_before(low, node), pointwise_behind(low, node)
    then = low.graph.values[behind.outputs[0]].shape[3] if behind else 0
    after = low.graph.values[before.inputs[0]].shape[3] if before else 0
    return layer_key(node.op, x, w, low.target, then, after)


def conv(low: Lowering, node: Node) -> None:
    op = node.op
    assert isinstance(op, ops.Conv)
    low.layers[-1].decided_by = low.pairs.get(node.inputs[0])
    depthwise = depthwise_behind(low, node)
    if node.inputs[0] in low.deferred and not pointwise_behind(low, node):
        depthwise_pointwise(low, low.deferred[node.inputs[0]], node)
        return
    w, b = low.array(node, 1), low.array(node, 2)
    candidates = choose(low, node)
    low.layers[-1].key, low.layers[-1].candidates = key_of(low, node), candidates
    if depthwise:
        low.expanding[node.outputs[0]] = len(low.layers) - 1
        if choose(low, depthwise)[0].kernel in ("PwDwPw", "FirstDwPw"):
            low.deferred[node.outputs[0]] = node
            low.layers[-1].kernels.append("(with the depthwise layer)")
            return
    if pointwise_behind(low, node):
        low.pairs[node.outputs[0]] = len(low.layers) - 1
        if node.inputs[0] in low.expanding:
            low.layers[low.expanding[node.inputs[0]]].decided_by = len(low.layers) - 1
    if candidates[0].kernel in ("DwPw", "PwDwPw", "FirstDwPw"):
        low.deferred[node.outputs[0]] = node
        low.layers[-1].kernels.append("(with the pointwise layer)")
        return
    shape = op.conv_shape([low.graph.values[v] for v in node.inputs])
    work = int(np.prod(shape)) * int(np.prod(w.shape[1:]))
    if candidates[0].kernel in FIRST_KERNELS:
        first_conv(low, node, op, shape, work, candidates[0].kernel)
        return
    x = low.strided(node.inputs[0])
    residual = [low.strided(node.inputs[3])] if op.residual else []
    result = low.write(node)
    pool = op.pool if op.pool != QUADS else None
    y = low.temporary(shape) if pool else result
    fields: dict[str, Field] = {
        **picture(x, y),
        **low.activation(op.activation),
        "residual": RESIDUALS[op.residual],
        "residual_stride": residual[0].stride if residual else 0,
        "out_h": shape[1],
        "out_w": shape[2],
    }
    if candidates[0].kernel == "DwConv":
        weights = [low.constant(a) for a in pack_depthwise(w, b, low.target)]
        low.emit(
            "DwConv", [x, *weights, *residual], y, work, channels=shape[3], **fields,
            **window(w.shape[1:3], op.strides, op.padding, op.dilations),
        )  # fmt: skip
    elif candidates[0].kernel == "Winograd":
        weights = [low.packed(winograd_panels(w, low.target)), low.constant(conv_bias(b, 1, low.target))]
        low.emit(
            "Winograd", [x, *weights, *residual], y, work, in_c=x.columns, out_c=shape[3],
            pool=int(op.pool == QUADS), pad_top=op.padding[0], pad_left=op.padding[1], **fields,
        )  # fmt: skip
    elif candidates[0].kernel == "Strassen":
        weights = [low.packed(strassen_panels(w, low.target)), low.constant(strassen_bias(b, low.target))]
        low.emit(
            "Strassen", [x, *weights, *residual], y, work, rows=x.rows, in_c=x.columns, in_stride=x.stride,
            out_c=shape[3], out_stride=y.stride, residual=fields["residual"],
            residual_stride=fields["residual_stride"], **low.activation(op.activation),
        )  # fmt: skip
    else:
        weights = low.matrix_weights(w, b, op.groups)
        low.emit(
            "Conv", [x, *weights, *residual], y, work, in_c=x.columns, out_c=shape[3], groups=op.groups,
            pool=int(op.pool == QUADS), **fields, **window(w.shape[1:3], op.strides, op.padding, op.dilations),
        )  # fmt: skip
    if pool:
        pool_of(low, y, pool, result)


def first_conv(low: Lowering, node: Node, op: ops.Conv, shape: ops.Shape, work: int, kernel: str) -> None:
    """The kernels for first layers, which read a graph input as it lies, also the planes of NCHW."""
    x, seen = picture_of(low, node)
    w, b = low.array(node, 1), low.array(node, 2)
    y = low.write(node)
    fields: dict[str, Field] = {
        **seen, "out_h": shape[1], "out_w": shape[2], "out_c": shape[3], "out_stride": y.stride,
        "pad_top": op.padding[0], "pad_left": op.padding[1], **low.activation(op.activation),
    }  # fmt: skip
    if kernel == "FirstWinograd":
        weights = [low.constant(a) for a in pack_first_winograd(w, b, low.target)]
        low.emit("FirstWinograd", [x, *weights], y, work, pool=int(op.pool is not None), **fields)
        return
    pool = op.pool or ops.MaxPool((1, 1))
    low.emit(
        "FirstConv", [x, *low.matrix_weights(w, b)], y, work, kernel_h=w.shape[1], kernel_w=w.shape[2],
        stride_h=op.strides[0], stride_w=op.strides[1], pool_kernel_h=pool.kernel[0], pool_kernel_w=pool.kernel[1],
        pool_stride_h=pool.strides[0], pool_stride_w=pool.strides[1], pool_pad_top=pool.padding[0],
        pool_pad_left=pool.padding[1], pooled_h=y.shape[1], pooled_w=y.shape[2], **fields,
    )  # fmt: skip


def picture_of(low: Lowering, node: Node) -> tuple[View, dict[str, Field]]:
    """What a first layer reads, and the fields that say how it lies there."""
    planes = low.planes.get(node.inputs[0])
    x = low.read(node.inputs[0]) if planes is None else planes
    n, h, width, c = low.graph.values[node.inputs[0]].shape
    return x, {
        "batch": n, "in_h": h, "in_w": width, "in_c": c, "in_stride": c if planes else x.stride,
        "planar": int(planes is not None),
    }  # fmt: skip


def pointwise_behind(low: Lowering, node: Node) -> Node | None:
    """The pointwise convolution that alone reads a depthwise one, where one step can run both."""
    name = node.outputs[0]
    readers = low.readers(name)
    assert isinstance(node.op, ops.Conv)
    w = low.graph.values[node.inputs[1]].shape
    if not node.op.groups == w[0] == low.graph.values[node.inputs[0]].shape[3]:
        return None
    if len(readers) != 1 or name in low.graph.outputs:
        return None
    (reader,) = readers
    op = reader.op
    if not isinstance(op, ops.Conv) or reader.inputs.count(name) != 1 or reader.inputs[0] != name:
        return None
    x, y, pointwise = (low.graph.values[v].shape for v in (node.inputs[0], name, reader.inputs[1]))
    return reader if fuses(node.op, x, (w[1], w[2]), y[2], op, pointwise) else None


def maker_before(low: Lowering, depthwise: Node) -> Node | None:
    """The convolution before a depthwise one, where one step can run it, too, and the one behind."""
    maker = low.maker(depthwise.inputs[0])
    return maker if maker and depthwise_behind(low, maker) else None


def depthwise_behind(low: Lowering, node: Node) -> Node | None:
    """The depthwise convolution that alone reads another one, where one step can run both and the next."""
    name = node.outputs[0]
    readers = low.readers(name)
    if not isinstance(node.op, ops.Conv) or len(readers) != 1 or name in low.graph.outputs:
        return None
    (reader,) = readers
    if not isinstance(reader.op, ops.Conv) or reader.inputs.count(name) != 1 or reader.inputs[0] != name:
        return None
    last = pointwise_behind(low, reader)
    if last is None:
        return None
    x, w, y, pointwise = (low.graph.values[v].shape for v in (*node.inputs[:2], name, last.inputs[1]))
    if inverts(node.op, x, w, reader.op, pointwise):
        return reader
    return reader if begins(low, node) and starts(node.op, y, reader.op) else None


def begins(low: Lowering, node: Node) -> bool:
    """Whether a convolution is a first layer, run as such."""
    return choose(low, node)[0].kernel == "FirstConv"


def depthwise_pointwise(low: Lowering, depthwise: Node, node: Node) -> None:
    """The depthwise convolution that was left, the pointwise one behind it, and the one before it if that was left."""
    middle, op = depthwise.op, node.op
    assert isinstance(middle, ops.Conv)
    assert isinstance(op, ops.Conv)
    weights = list(pack_depthwise(low.array(depthwise, 1), low.array(depthwise, 2), low.target))
    channels = low.graph.values[depthwise.outputs[0]].shape[3]
    kind = choose(low, depthwise)[0].kernel
    before = low.deferred.get(depthwise.inputs[0])
    if before and kind == "FirstDwPw":
        x, seen = picture_of(low, before)
    else:
        x = low.strided((before or depthwise).inputs[0])
        seen = {"batch": x.shape[0], "in_h": x.shape[1], "in_w": x.shape[2], "in_stride": x.stride}
    residual = [low.strided(node.inputs[3])] if op.residual else []
    y = low.write(node)
    work = y.size // y.columns * channels * (9 + y.columns)
    fields: dict[str, Field] = {
        **seen, "channels": channels, "stride": middle.strides[0], "pad_top": middle.padding[0],
        "pad_left": middle.padding[1], **between(low, "dw", middle.activation), "out_h": y.shape[1],
        "out_w": y.shape[2], "out_c": y.columns, "out_stride": y.stride, "residual": RESIDUALS[op.residual],
        "residual_stride": residual[0].stride if residual else 0, **low.activation(op.activation),
    }  # fmt: skip
    if before:
        first = before.op
        assert isinstance(first, ops.Conv)
        w, shape = low.array(before, 1), low.graph.values[before.outputs[0]].shape
        weights = [*pack_conv(w, low.array(before, 2), 1, low.target), *weights]
        work += int(np.prod(shape)) * int(np.prod(w.shape[1:]))
        if kind == "FirstDwPw":
            fields.update(
                **between(low, "first", first.activation), first_h=shape[1], first_w=shape[2], kernel_h=w.shape[1],
                kernel_w=w.shape[2], stride_h=first.strides[0], stride_w=first.strides[1],
                first_pad_top=first.padding[0], first_pad_left=first.padding[1],
            )  # fmt: skip
        else:
            fields.update(in_c=x.columns, **between(low, "pw", first.activation))
    last = pack_conv(low.array(node, 1), low.array(node, 2), 1, low.target)
    operands = [low.constant(np.concatenate(a)) for a in (weights, last)]
    low.emit(kind if before else "DwPw", [x, *operands, *residual], y, work, **fields)


def between(low: Lowering, prefix: str, function: ops.Function | None) -> dict[str, Field]:
    """The fields of an activation within a step of several layers."""
    return {f"{prefix}_{name}": value for name, value in low.activation(function).items()}


def matrix_product(low: Lowering, x: View, w: np.ndarray, b: np.ndarray, y: View, act: dict[str, Field]) -> None:
    """y = x @ w.T + b as a 1x1 convolution over a picture one pixel high: x (M, K), w (O, K) or (O, ...)."""
    fields: dict[str, Field] = {
        "batch": 1, "in_h": 1, "in_w": x.rows, "in_c": x.columns, "in_stride": x.stride,
        "out_h": 1, "out_w": x.rows, "out_c": w.shape[0], "out_stride": y.stride,
    }  # fmt: skip
    weights = low.matrix_weights(w if w.ndim == 4 else w.reshape(w.shape[0], 1, 1, x.columns), b)
    low.emit(
        "Conv", [x, *weights], y, x.rows * w.size, **fields, **window((1, 1), (1, 1), (0, 0), (1, 1)), **act,
        groups=1, residual=0, residual_stride=0, pool=0,
    )  # fmt: skip


def dense(low: Lowering, node: Node) -> None:
    op = node.op
    assert isinstance(op, ops.Dense)
    w, b = low.array(node, 1), low.array(node, 2)
    x = low.strided(node.inputs[0])
    matrix_product(low, x, w, b, low.write(node), low.activation(op.activation))


def conv_transpose(low: Lowering, node: Node) -> None:
    op = node.op
    assert isinstance(op, ops.ConvTranspose)
    w, b = low.array(node, 1), low.array(node, 2)
    x, y = low.strided(node.inputs[0]), low.write(node)
    weights = [low.constant(a) for a in pack_conv_transpose(w, b, op.groups, low.target)]
    low.emit(
        "ConvTranspose", [x, *weights], y, x.size * math.prod(w.shape[:3]), **picture(x, y), in_c=x.columns,
        out_c=y.columns, **window(w.shape[1:3], op.strides, op.padding, op.dilations), groups=op.groups,
        **low.activation(op.activation),
    )  # fmt: skip


def matmul(low: Lowering, node: Node) -> None:
    a_name, b_name = node.inputs
    a, b = low.graph.values[a_name].shape, low.graph.values[b_name].shape
    m, k, n = a[-2], a[-1], b[-1]
    if b_name in low.graph.constants and math.prod(b[:-2]) == 1 and len(b) <= len(a):
        w = low.array(node, 1).reshape(k, n).T
        x = low.dense(a_name)
        flat = View(x.buffer, (x.size // k, k), 4, x.offset, k) if k else x
        matrix_product(low, flat, w, np.zeros(n, np.float32), low.write(node), low.activation(None))
        return
    y = low.write(node)
    batch = y.shape[:-2]
    left = spread(low, low.dense(a_name), (*batch, m, k))
    right = spread(low, low.dense(b_name), (*batch, k, n))
    count = math.prod(batch)
    low.emit(
        "MatMul", [left, right], y, count * m * k * n, batch=count, m=m, k=k, n=n,
        a_batch_stride=m * k if math.prod(left.shape[:-2]) > 1 else 0,
        b_batch_stride=k * n if math.prod(right.shape[:-2]) > 1 else 0,
    )  # fmt: skip


def spread(low: Lowering, x: View, shape: ops.Shape) -> View:
    """*x* with its leading axes broadcast to *shape*, unless one matrix serves all."""
    if math.prod(x.shape[:-2]) == 1 or x.shape == shape:
        return x
    return low.copy(x, low.temporary(shape), broadcast_strides(x, shape))


def broadcast_strides(x: View, shape: ops.Shape) -> list[int]:
    """Strides that walk through *x* as if it had *shape* (numpy's rule)."""
    strides = [0 if d == 1 else s for d, s in zip(x.shape, x.strides())]
    return [0] * (len(shape) - len(strides)) + strides


def max_pool(low: Lowering, node: Node) -> None:
    op = node.op
    assert isinstance(op, ops.MaxPool)
    pool_of(low, low.strided(node.inputs[0]), op, low.write(node))


def pool_of(low: Lowering, x: View, op: ops.MaxPool, y: View) -> None:
    """y = the maxima over windows of x."""
    low.emit(
        "MaxPool", [x], y, y.size * math.prod(op.kernel), **picture(x, y), channels=x.columns,
        **window(op.kernel, op.strides, op.padding, op.dilations),
    )  # fmt: skip


def average_pool(low: Lowering, node: Node) -> None:
    op = node.op
    assert isinstance(op, ops.AveragePool)
    x, y = low.strided(node.inputs[0]), low.write(node)
    low.emit(
        "AvgPool", [x], y, y.size * math.prod(op.kernel), **picture(x, y), channels=x.columns,
        **window(op.kernel, op.strides, op.padding, (1, 1)), pad_bottom=op.padding[2], pad_right=op.padding[3],
        count_include_pad=int(op.count_include_pad),
    )  # fmt: skip


def unary(low: Lowering, node: Node) -> None:
    op = node.op
    assert isinstance(op, ops.Unary)
    x = low.strided(node.inputs[0])
    if node.outputs[0] not in low._placed and low.dies_here(node.inputs[0]):
        y = low.views[node.outputs[0]] = x
    else:
        y = low.write(node)
    low.emit(
        "Unary", [x], y, 4 * x.size, rows=x.rows, columns=x.columns, in_stride=x.stride, out_stride=y.stride,
        **low.activation(op.function),
    )  # fmt: skip


def binary(low: Lowering, node: Node) -> None:
    op = node.op
    assert isinstance(op, ops.Binary)
    a, b = low.strided(node.inputs[0]), low.strided(node.inputs[1])
    elementwise(low, op.kind, a, b, low.write(node), low.activation(op.activation))


def elementwise(low: Lowering, kind: str, a: View, b: View, y: View, act: dict[str, Field]) -> None:
    """y = act(kind(a, b)) with broadcasting."""
    dims, (a_strides, b_strides) = collapse(y.shape, broadcast_strides(a, y.shape), broadcast_strides(b, y.shape))
    if len(dims) > MAX_DIMS:
        a, b = (low.copy(v, low.temporary(y.shape), broadcast_strides(v, y.shape)) for v in (a, b))
        dims, (a_strides, b_strides) = collapse(y.shape, a.strides(), b.strides())
    low.emit(
        "Binary", [a, b], y, 2 * y.size, kind=low.numbers["binary"][kind], dims=front(dims, 1),
        a_strides=front(a_strides, 0), b_strides=front(b_strides, 0), **act,
    )  # fmt: skip


def batch_norm(low: Lowering, node: Node) -> None:
    op = node.op
    assert isinstance(op, ops.BatchNorm)
    scale, bias, mean, variance = (low.array(node, i).astype(np.float64) for i in (1, 2, 3, 4))
    root = np.sqrt(variance) + op.epsilon if op.sqrt_first else np.sqrt(variance + op.epsilon)
    factor = scale / root
    x = low.strided(node.inputs[0])
    shape = [1] * len(x.shape)
    shape[op.axis] = -1
    scaled = low.temporary(x.shape)
    factors, shifts = (low.constant(v.astype(np.float32).reshape(shape)) for v in (factor, bias - mean * factor))
    elementwise(low, "mul", x, factors, scaled, low.activation(None))
    elementwise(low, "add", scaled, shifts, low.write(node), low.activation(None))


def lrn(low: Lowering, node: Node) -> None:
    op = node.op
    assert isinstance(op, ops.LRN)
    x, y = low.strided(node.inputs[0]), low.write(node)
    low.emit(
        "Lrn", [x], y, x.size * (op.size + 20), pixels=x.rows, channels=x.columns, in_stride=x.stride,
        out_stride=y.stride, size=op.size, alpha=op.alpha, beta=op.beta, bias=op.bias,
    )  # fmt: skip


def along(shape: ops.Shape, axis: int) -> dict[str, Field]:
    """The fields outer, n, inner around an axis."""
    return {"outer": math.prod(shape[:axis]), "n": shape[axis], "inner": math.prod(shape[axis + 1 :])}


def softmax(low: Lowering, node: Node) -> None:
    op = node.op
    assert isinstance(op, ops.Softmax)
    x = low.dense(node.inputs[0])
    low.emit("Softmax", [x], low.write(node), 20 * x.size, **along(x.shape, op.axis), log=int(op.log))


def reduce(low: Lowering, node: Node) -> None:
    op = node.op
    assert isinstance(op, ops.Reduce)
    x = low.dense(node.inputs[0])
    axes = sorted(op.axes)
    # Axes that lie side by side are one axis; scattered ones are first brought to the end.
    between = [d for i, d in enumerate(x.shape) if axes and axes[0] < i < axes[-1] and i not in axes]
    if math.prod(between) == 1:
        first, last = (axes[0], axes[-1]) if axes else (0, -1)
        shape = (math.prod(x.shape[:first]), math.prod(x.shape[first : last + 1]), math.prod(x.shape[last + 1 :]))
    else:
        order = [i for i in range(len(x.shape)) if i not in axes] + axes
        strides = x.strides()
        x = low.copy(x, low.temporary(tuple(x.shape[i] for i in order)), [strides[i] for i in order])
        kept = len(order) - len(axes)
        shape = (math.prod(x.shape[:kept]), math.prod(x.shape[kept:]), 1)
    low.emit("Reduce", [x], low.write(node), x.size, **along(shape, 1), kind=low.numbers["reduce"][op.kind])


def arg_max(low: Lowering, node: Node) -> None:
    op = node.op
    assert isinstance(op, ops.ArgMax)
    x = low.dense(node.inputs[0])
    low.emit("ArgMax", [x], low.write(node), 2 * x.size, **along(x.shape, op.axis), select_last=int(op.select_last))


def cast(low: Lowering, node: Node) -> None:
    op = node.op
    assert isinstance(op, ops.Cast)
    source = low.graph.values[node.inputs[0]].dtype.name
    if source not in ELEMENT_TYPES or op.to not in ELEMENT_TYPES:
        raise low.unsupported(node, f"casts {source} to {op.to}; it can {', '.join(ELEMENT_TYPES)}")
    x = low.dense(node.inputs[0])
    fields: dict[str, Field] = {"count": x.size, "from": ELEMENT_TYPES[source], "to": ELEMENT_TYPES[op.to]}
    low.emit("Cast", [x], low.write(node), x.size, **fields)


def concat(low: Lowering, node: Node) -> None:
    op = node.op
    assert isinstance(op, ops.Concat)
    y = low.write(node)
    strides = y.strides()
    offset = y.offset
    for name in node.inputs:
        x = low.read(name)
        if not (x.buffer is y.buffer and x.offset == offset and x.stride == y.stride):
            low.copy_box(x.shape, x, x.strides(), x.offset, y, strides, offset)
        offset += x.shape[op.axis] * strides[op.axis]


def take(low: Lowering, node: Node, index: int, begin: ops.Shape, step: ops.Shape) -> None:
    """Output *index* is a strided box of input 0: a view where only channels are cut, else a copy."""
    x = low.read(node.inputs[0])
    shape = low.graph.values[node.outputs[index]].shape
    strides = x.strides()
    offset = x.offset + sum(b * s for b, s in zip(begin, strides))
    only_channels = shape[:-1] == x.shape[:-1] and all(s == 1 for s in step) and len(shape) > 1
    if only_channels and x.buffer.space == "arena" and 0 not in shape:
        low.alias(node, View(x.buffer, shape, x.itemsize, offset, x.stride), index)
    else:
        low.copy(x, low.write(node, index), [s * k for s, k in zip(strides, step)], offset)


def slice_(low: Lowering, node: Node) -> None:
    op = node.op
    assert isinstance(op, ops.Slice)
    take(low, node, 0, op.begin, op.step)


def split(low: Lowering, node: Node) -> None:
    op = node.op
    assert isinstance(op, ops.Split)
    rank = len(low.graph.values[node.inputs[0]].shape)
    at = 0
    for i, size in enumerate(op.sizes):
        take(low, node, i, tuple(at if axis == op.axis else 0 for axis in range(rank)), (1,) * rank)
        at += size


def pad(low: Lowering, node: Node) -> None:
    op = node.op
    assert isinstance(op, ops.Pad)
    x = low.dense(node.inputs[0])
    if x.itemsize != 4:
        raise low.unsupported(node, "pads elements of 4 bytes")
    # The field is a float32; for integers it carries their bits.
    value = np.array(op.value).astype(low.graph.values[node.inputs[0]].dtype)
    bits = value.view(np.float32)
    if bits.astype(np.float64).astype(np.float32).tobytes() != value.tobytes():
        raise low.unsupported(node, f"pads with {op.value}")
    # Axes that are not padded merge with the one before them.
    dims: list[int] = []
    before: list[int] = []
    after: list[int] = []
    for d, b, a in zip(x.shape, op.before, op.after):
        if dims and not (b or a) and op.mode == "constant":
            dims[-1], before[-1], after[-1] = dims[-1] * d, before[-1] * d, after[-1] * d
        else:
            dims.append(d)
            before.append(b)
            after.append(a)
    if len(dims) > MAX_DIMS:
        raise low.unsupported(node, f"pads {len(dims)} dimensions (at most {MAX_DIMS})")
    y = low.write(node)
    low.emit(
        "Pad", [x], y, 2 * y.size, mode=PAD_MODES[op.mode], dims=front(dims, 1), before=front(before, 0),
        after=front(after, 0), value=float(bits),
    )  # fmt: skip


def reshape(low: Lowering, node: Node) -> None:
    op = node.op
    assert isinstance(op, ops.Reshape)
    x = low.read(node.inputs[0])
    if not x.dense:
        x = low.dense(node.inputs[0])
    low.alias(node, View(x.buffer, op.shape, x.itemsize, x.offset, op.shape[-1] if op.shape else 1))


def transpose(low: Lowering, node: Node) -> None:
    op = node.op
    assert isinstance(op, ops.Transpose)
    x = low.read(node.inputs[0])
    if op.perm == (0, 2, 3, 1) and x.dense and read_as_planes(low, node.outputs[0]):
        low.planes[node.outputs[0]] = x
        return
    strides = x.strides()
    low.copy(x, low.write(node), [strides[i] for i in op.perm])


def read_as_planes(low: Lowering, name: str) -> bool:
    """Whether all readers of an NHWC value can read it as NCHW instead."""
    readers = low.graph.consumers()[name]
    return (
        name not in low.graph.outputs
        and name not in low._placed
        and len(readers) > 0
        and all(isinstance(r.op, ops.Conv) and choose(low, r)[0].kernel in FIRST_KERNELS for r in readers)
    )


def expand(low: Lowering, node: Node) -> None:
    op = node.op
    assert isinstance(op, ops.Expand)
    x = low.read(node.inputs[0])
    low.copy(x, low.write(node), broadcast_strides(x, op.shape))


def tile(low: Lowering, node: Node) -> None:
    op = node.op
    assert isinstance(op, ops.Tile)
    x = low.read(node.inputs[0])
    y = low.write(node)
    # Each axis as two: the repetitions, in which the input stands still, and the input's own.
    shape: list[int] = []
    strides: list[int] = []
    for d, s, r in zip(x.shape, x.strides(), op.repeats):
        shape += [r, d]
        strides += [0, s]
    low.copy(x, View(y.buffer, tuple(shape), y.itemsize, y.offset, shape[-1] if shape else 1), strides)


def resize(low: Lowering, node: Node) -> None:
    op = node.op
    assert isinstance(op, ops.Resize)
    x, y = low.strided(node.inputs[0]), low.write(node)
    scale = op.scale or (y.shape[1] / x.shape[1], y.shape[2] / x.shape[2])
    low.emit(
        "Resize", [x], y, 4 * y.size, **picture(x, y), channels=x.columns, mode=RESIZE_MODES[op.mode],
        coordinates=COORDINATES[op.coordinates], nearest=ROUNDINGS[op.nearest], scale_h=scale[0], scale_w=scale[1],
    )  # fmt: skip


LOWER: dict[type[ops.Op], Callable[[Lowering, Node], None]] = {
    ops.Conv: conv,
    ops.ConvTranspose: conv_transpose,
    ops.Dense: dense,
    ops.MatMul: matmul,
    ops.MaxPool: max_pool,
    ops.AveragePool: average_pool,
    ops.Unary: unary,
    ops.Binary: binary,
    ops.BatchNorm: batch_norm,
    ops.LRN: lrn,
    ops.Softmax: softmax,
    ops.Reduce: reduce,
    ops.ArgMax: arg_max,
    ops.Cast: cast,
    ops.Concat: concat,
    ops.Slice: slice_,
    ops.Split: split,
    ops.Pad: pad,
    ops.Reshape: reshape,
    ops.Transpose: transpose,
    ops.Expand: expand,
    ops.Tile: tile,
    ops.Resize: resize,
}
