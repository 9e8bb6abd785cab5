"""TensorFlow Lite operators as operators of the IR: one small function per operator, one table.

Formulas follow the kernels of TensorFlow Lite where its documentation leaves a choice.
"""

from __future__ import annotations

import math
from typing import Callable

import numpy as np

from edgecnn.graph import ops
from edgecnn.importers.tflite_context import Context
from edgecnn.tflite_schema import MIRROR_REFLECT, MIRROR_SYMMETRIC, TENSOR_TYPES

GATHER_PIECES = 256  # an index list that is not a range becomes so many slices at most


# Convolution, pooling, fully connected.


def _window_options(c: Context) -> tuple[tuple[int, int], tuple[int, int]]:
    strides = (c.option("stride_h"), c.option("stride_w"))
    return strides, (c.option("dilation_h_factor"), c.option("dilation_w_factor"))


def _weights_shape(c: Context, x: int = 0) -> tuple[int, int, int, int]:
    """Shape of input 1, after a look at that of input number *x*."""
    shape = c.shape(1)
    if len(shape) != 4 or 0 in shape or len(c.shape(x)) != 4:
        raise c.damaged(f"input {c.shape(x)} and weights {shape} are not both of 4 dimensions without 0")
    return shape[0], shape[1], shape[2], shape[3]


def _bias(c: Context, i: int, filters: int) -> str:
    return c.value(i) if c.has(i) else c.constant(np.zeros(filters, np.float32), "bias")


def conv_2d(c: Context) -> None:
    filters, kh, kw, depth = _weights_shape(c)
    strides, dilations = _window_options(c)
    padding = c.padding(c.shape(0)[1:3], (kh, kw), strides, dilations)
    op = ops.Conv(strides, padding, dilations, groups=max(c.shape(0)[3] // depth, 1))
    c.result(op, [c.value(0), c.value(1), _bias(c, 2, filters)])


def depthwise_conv_2d(c: Context) -> None:
    one, kh, kw, filters = _weights_shape(c)
    channels = c.shape(0)[3]
    if one != 1 or filters % max(channels, 1):
        raise c.damaged(f"weights {c.shape(1)} do not fit {channels} channels")
    strides, dilations = _window_options(c)
    padding = c.padding(c.shape(0)[1:3], (kh, kw), strides, dilations)
    op = ops.Conv(strides, padding, dilations, groups=channels)
    c.result(op, [c.value(0), c.transposed(1, (3, 1, 2, 0)), _bias(c, 2, filters)])


def transpose_conv(c: Context) -> None:
    """Inputs: the output's shape, weights (O, KH, KW, I), x. The padding is that of the convolution it transposes."""
    filters, kh, kw, _ = _weights_shape(c, 2)
    size = c.integers(0, "the output shape")[1:3]
    if len(size) != 2:
        raise c.damaged(f"output shape of {len(size) + 1} numbers")
    strides = (c.option("stride_h"), c.option("stride_w"))
    top, left, _, _ = c.padding(size, (kh, kw), strides, (1, 1))
    x = c.shape(2)
    extent = [(n - 1) * s + k for n, s, k in zip(x[1:3], strides, (kh, kw))]
    surplus = [extent[0] - top - size[0], extent[1] - left - size[1]]
    op = ops.ConvTranspose(
        strides,
        (top, left, max(surplus[0], 0), max(surplus[1], 0)),
        output_padding=(max(-surplus[0], 0), max(-surplus[1], 0)),
    )
    c.result(op, [c.value(2), c.value(1), _bias(c, 3, filters)])


def fully_connected(c: Context) -> None:
    x, w = c.shape(0), c.shape(1)
    if c.option("weights_format"):
        raise c.unsupported("shuffled weights")
    if len(w) != 2 or w[1] < 1 or math.prod(x) % w[1]:
        raise c.damaged(f"weights {w} do not fit an input of {x}")
    value = c.value(0)
    rows = math.prod(x) // w[1]
    if x != (rows, w[1]):
        value = c.add(ops.Reshape((rows, w[1])), [value])
    inputs = [value, c.value(1), _bias(c, 2, w[0])]
    shape = (*x[:-1], w[0]) if c.option("keep_num_dims") else (rows, w[0])
    if shape == (rows, w[0]):
        c.result(ops.Dense(), inputs)
    else:
        c.result(ops.Reshape(shape), [c.add(ops.Dense(), inputs)])


def batch_matmul(c: Context) -> None:
    sides = []
    for i, option in enumerate(("adj_x", "adj_y")):
        rank = len(c.shape(i))
        swapped = (*range(rank - 2), rank - 1, rank - 2)
        sides.append(c.transposed(i, swapped) if c.option(option) and rank >= 2 else c.value(i))
    c.result(ops.MatMul(), sides)


def _pool(kind: type[ops.MaxPool] | type[ops.AveragePool]) -> Callable[[Context], None]:
    def import_pool(c: Context) -> None:
        kernel = (c.option("filter_height"), c.option("filter_width"))
        strides = (c.option("stride_h"), c.option("stride_w"))
        c.result(kind(kernel, strides, c.padding(c.shape(0)[1:3], kernel, strides, (1, 1))), [c.value(0)])

    return import_pool


def lrn(c: Context) -> None:
    size = 2 * c.option("radius") + 1
    op = ops.LRN(size, alpha=c.option("alpha") * size, beta=c.option("beta"), bias=c.option("bias"))
    c.result(op, [c.value(0)])


# Elementwise.


def _unary(kind: str, alpha: float = 0.0, beta: float = 0.0) -> Callable[[Context], None]:
    return lambda c: c.result(ops.Unary(ops.Function(kind, alpha, beta)), [c.value(0)])


def _binary(kind: str) -> Callable[[Context], None]:
    return lambda c: c.result(ops.Binary(kind), [c.value(0), c.value(1)])


def leaky_relu(c: Context) -> None:
    c.result(ops.Unary(ops.Function("leaky", c.option("alpha"))), [c.value(0)])


def gelu(c: Context) -> None:
    """Exact, or x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x ** 3)))."""
    x = c.value(0)
    if not c.option("approximate"):
        c.result(ops.Unary(ops.Function("gelu")), [x])
        return
    mul = ops.Binary("mul")
    cube = c.add(mul, [c.add(mul, [x, x]), x])
    inner = c.add(ops.Binary("add"), [x, c.add(mul, [cube, c.scalar(0.044715)])])
    bent = c.add(ops.Unary(ops.Function("tanh")), [c.add(mul, [inner, c.scalar(math.sqrt(2 / math.pi))])])
    half = c.add(mul, [x, c.scalar(0.5)])
    c.result(mul, [half, c.add(ops.Binary("add"), [bent, c.scalar(1)])])


def rsqrt(c: Context) -> None:
    root = c.add(ops.Unary(ops.Function("sqrt")), [c.value(0)])
    c.result(ops.Unary(ops.Function("reciprocal")), [root])


def square(c: Context) -> None:
    c.result(ops.Binary("mul"), [c.value(0), c.value(0)])


def squared_difference(c: Context) -> None:
    difference = c.add(ops.Binary("sub"), [c.value(0), c.value(1)])
    c.result(ops.Binary("mul"), [difference, difference])


def add_n(c: Context) -> None:
    total = c.value(0)
    for i in range(1, len(c.operator.inputs) - 1):
        total = c.add(ops.Binary("add"), [total, c.value(i)])
    last = len(c.operator.inputs) - 1
    c.result(ops.Binary("add"), [total, c.value(last) if last else c.scalar(0)])


def softmax(c: Context) -> None:
    x, beta = c.value(0), c.option("beta")
    if beta != 1:
        x = c.add(ops.Binary("mul"), [x, c.scalar(beta)])
    c.result(ops.Softmax(c.axis(-1, len(c.shape(0)))), [x])


def log_softmax(c: Context) -> None:
    c.result(ops.Softmax(c.axis(-1, len(c.shape(0))), log=True), [c.value(0)])


def l2_normalization(c: Context) -> None:
    length = c.add(ops.Reduce("l2", (c.axis(-1, len(c.shape(0))),)), [c.value(0)])
    c.result(ops.Binary("div"), [c.value(0), c.add(ops.Binary("max"), [length, c.scalar(1e-6)])])


def cast(c: Context) -> None:
    dtype = c.file.tensors[c.operator.outputs[0]].dtype
    if dtype not in ("float32", "int32", "int64"):
        raise c.unsupported(f"conversion to {dtype}")
    c.result(ops.Cast(dtype), [c.value(0)])


# Reductions.


def _reduce(kind: str) -> Callable[[Context], None]:
    def import_reduce(c: Context) -> None:
        rank = len(c.shape(0))
        axes = tuple(sorted({c.axis(a, rank) for a in c.integers(1, "the axes")}))
        c.result(ops.Reduce(kind, axes, c.option("keep_dims")), [c.value(0)])

    return import_reduce


def arg_max(c: Context) -> None:
    _arg_max(c, c.value(0))


def arg_min(c: Context) -> None:
    _arg_max(c, c.add(ops.Unary(ops.Function("neg")), [c.value(0)]))


def _arg_max(c: Context, x: str) -> None:
    (axis,) = c.integers(1, "the axis")
    op = ops.ArgMax(c.axis(axis, len(c.shape(0))), keepdims=False)
    dtype = TENSOR_TYPES.get(c.option("output_type"), "")
    if dtype == "int64":
        c.result(op, [x])
    elif dtype == "int32":
        c.result(ops.Cast("int32"), [c.add(op, [x])])
    else:
        raise c.unsupported("an index that is neither int32 nor int64")


# Rearrangements.


def concatenation(c: Context) -> None:
    axis = c.axis(c.option("axis"), len(c.shape(0)))
    c.result(ops.Concat(axis), [c.value(i) for i in range(len(c.operator.inputs))])


def split(c: Context) -> None:
    (axis,) = c.integers(0, "the axis")
    axis = c.axis(axis, len(c.shape(1)))
    pieces, length = len(c.operator.outputs), c.shape(1)[axis]
    if pieces == 0 or length % pieces:
        raise c.damaged(f"{pieces} equal pieces of {length}")
    c.results(ops.Split(axis, (length // pieces,) * pieces), [c.value(1)])


def split_v(c: Context) -> None:
    (axis,) = c.integers(2, "the axis")
    axis = c.axis(axis, len(c.shape(0)))
    sizes = c.integers(1, "the sizes")
    if sizes.count(-1) == 1:
        sizes[sizes.index(-1)] = c.shape(0)[axis] - (sum(sizes) + 1)
    c.results(ops.Split(axis, tuple(sizes)), [c.value(0)])


def slice_(c: Context) -> None:
    shape, begin, size = c.shape(0), c.integers(1, "begin"), c.integers(2, "size")
    if not len(shape) == len(begin) == len(size):
        raise c.damaged(f"begin {begin} and size {size} for a tensor of shape {shape}")
    end = tuple(d if n == -1 else b + n for b, n, d in zip(begin, size, shape))
    if any(e < b for b, e in zip(begin, end)):
        raise c.damaged(f"size {size}")
    c.result(ops.Slice(tuple(begin), end, (1,) * len(shape)), [c.value(0)])


def strided_slice(c: Context) -> None:
    """x[begin:end:step, ...] of numpy, with its ellipsis, new axes and plain indices given as bit masks."""
    shape = c.shape(0)
    begin, end, step = (c.integers(i, what) for i, what in ((1, "begin"), (2, "end"), (3, "the strides")))
    if not len(begin) == len(end) == len(step) <= 2 * len(shape) + 8:
        raise c.damaged(f"begin {begin[:16]}, end {end[:16]}, strides {step[:16]}")
    new_axis, ellipsis, shrink = (c.option(f"{mask}_mask") for mask in ("new_axis", "ellipsis", "shrink_axis"))
    taken = sum(not (new_axis | ellipsis) >> i & 1 for i in range(len(begin)))
    slices: list[slice] = []
    result: list[int] = []

    def whole(count: int) -> None:
        for _ in range(count):
            result.append(shape[len(slices)])
            slices.append(slice(0, shape[len(slices)], 1))

    for i, (b, e, s) in enumerate(zip(begin, end, step)):
        if ellipsis >> i & 1:
            whole(len(shape) - taken)
        elif new_axis >> i & 1:
            result.append(1)
        else:
            if len(slices) >= len(shape) or s == 0:
                raise c.damaged(f"begin {begin}, end {end}, strides {step} for a tensor of shape {shape}")
            d = shape[len(slices)]
            if shrink >> i & 1:
                index = b + d if b < 0 else b
                if not 0 <= index < d:
                    raise c.damaged(f"index {b} of {d}")
                slices.append(slice(index, index + 1, 1))
                continue
            if c.option("offset"):
                e += b
            first = None if c.option("begin_mask") >> i & 1 else b
            last = None if c.option("end_mask") >> i & 1 else e
            slices.append(slice(*slice(first, last, s).indices(d)))
            result.append(len(range(*slices[-1].indices(d))) if s > 0 else len(range(*_bounds(slices[-1]))))
    whole(len(shape) - len(slices))
    bounds = [_bounds(s) for s in slices]
    # A slice that takes nothing may begin beyond its end.
    begins, ends = [b for b, _, _ in bounds], [e if len(range(b, e, s)) else b for b, e, s in bounds]
    value = c.value(0)
    op = ops.Slice(tuple(begins), tuple(ends), tuple(s for _, _, s in bounds))
    if len(result) == len(shape) and not shrink:
        c.result(op, [value])
    else:
        c.result(ops.Reshape(tuple(result)), [c.add(op, [value])])


def _bounds(s: slice) -> tuple[int, int, int]:
    return s.start, s.stop, s.step


def reverse_v2(c: Context) -> None:
    shape = c.shape(0)
    axes = {c.axis(a, len(shape)) for a in c.integers(1, "the axes")}
    op = ops.Slice(
        tuple(d - 1 if i in axes else 0 for i, d in enumerate(shape)),
        tuple(-1 if i in axes else d for i, d in enumerate(shape)),
        tuple(-1 if i in axes else 1 for i in range(len(shape))),
    )
    c.result(op, [c.value(0)])


def gather(c: Context) -> None:
    """Known indices: one slice per index, or one for all where they are a range."""
    if c.option("batch_dims"):
        raise c.unsupported(f"batch_dims={c.option('batch_dims')}")
    shape, indices = c.shape(0), c.array(1, "the index list")
    axis = c.axis(c.option("axis"), len(shape))
    listed = c.integers(1) if indices.ndim < 2 else []
    if not listed or any(not 0 <= i < shape[axis] for i in listed):
        raise c.unsupported(f"indices of shape {indices.shape}, or outside 0..{shape[axis] - 1}")
    ascending = listed == list(range(listed[0], listed[0] + len(listed)))
    ranges = [(listed[0], listed[-1] + 1)] if ascending else [(i, i + 1) for i in listed]
    if len(ranges) > GATHER_PIECES:
        raise c.unsupported(f"{len(ranges)} indices that are not a range")
    pieces = []
    for first, last in ranges:
        begin, end = [0] * len(shape), list(shape)
        begin[axis], end[axis] = first, last
        pieces.append(c.add(ops.Slice(tuple(begin), tuple(end), (1,) * len(shape)), [c.value(0)]))
    c.result(ops.Reshape((*shape[:axis], *indices.shape, *shape[axis + 1 :])), [c.add(ops.Concat(axis), pieces)])


def pad(c: Context) -> None:
    before, after = _paddings(c)
    value = 0.0
    if c.has(2):
        constant = c.array(2, "the padding value")
        if constant.size != 1:
            raise c.damaged(f"padding value of shape {constant.shape}")
        value = float(constant.reshape(-1)[0])
    c.result(ops.Pad(before, after, "constant", value), [c.value(0)])


def mirror_pad(c: Context) -> None:
    """REFLECT leaves the edge out; SYMMETRIC repeats it, which is made of reversed slices."""
    before, after = _paddings(c)
    if c.option("mode") == MIRROR_REFLECT:
        c.result(ops.Pad(before, after, "reflect"), [c.value(0)])
        return
    if c.option("mode") != MIRROR_SYMMETRIC:
        raise c.damaged(f"unknown mode {c.option('mode')}")
    value = c.value(0)
    for axis, (b, a) in enumerate(zip(before, after)):
        shape = c.builder.shape(value)
        if max(b, a) > shape[axis] or min(b, a) < 0:
            raise c.damaged(f"symmetric padding {b}, {a} of {shape[axis]}")
        parts = [_reversed(c, value, axis, b - 1, -1)] if b else []
        parts.append(value)
        parts += [_reversed(c, value, axis, shape[axis] - 1, shape[axis] - 1 - a)] if a else []
        value = c.add(ops.Concat(axis), parts)
    c.result(ops.Reshape(c.builder.shape(value)), [value])


def _reversed(c: Context, value: str, axis: int, first: int, last: int) -> str:
    shape = c.builder.shape(value)
    begin, end, step = [0] * len(shape), list(shape), [1] * len(shape)
    begin[axis], end[axis], step[axis] = first, last, -1
    return c.add(ops.Slice(tuple(begin), tuple(end), tuple(step)), [value])


def _paddings(c: Context) -> tuple[tuple[int, ...], tuple[int, ...]]:
    pairs = c.array(1, "the padding")
    if pairs.shape != (len(c.shape(0)), 2) or pairs.dtype.kind != "i":
        raise c.damaged(f"padding of shape {pairs.shape} for an input of {c.shape(0)}")
    return tuple(int(b) for b in pairs[:, 0]), tuple(int(a) for a in pairs[:, 1])


def reshape(c: Context) -> None:
    wanted = c.option("new_shape")
    if c.has(1) and (c.is_known(1) or not wanted):
        wanted = c.integers(1, "the new shape")
    if wanted.count(-1) == 1:
        rest = math.prod(d for d in wanted if d != -1)
        wanted[wanted.index(-1)] = math.prod(c.shape(0)) // rest if rest else 0
    if any(d < 0 for d in wanted):
        raise c.damaged(f"new shape {wanted}")
    c.result(ops.Reshape(tuple(wanted)), [c.value(0)])


def squeeze(c: Context) -> None:
    shape = c.shape(0)
    axes = {c.axis(a, len(shape)) for a in c.option("squeeze_dims")} or {i for i, d in enumerate(shape) if d == 1}
    if any(shape[a] != 1 for a in axes):
        raise c.damaged(f"axes {sorted(axes)} of shape {shape} are not 1")
    c.result(ops.Reshape(tuple(d for i, d in enumerate(shape) if i not in axes)), [c.value(0)])


def expand_dims(c: Context) -> None:
    (axis,) = c.integers(1, "the axis")
    shape = list(c.shape(0))
    shape.insert(c.axis(axis, len(shape) + 1), 1)
    c.result(ops.Reshape(tuple(shape)), [c.value(0)])


def transpose(c: Context) -> None:
    rank = len(c.shape(0))
    c.result(ops.Transpose(tuple(c.axis(a, rank) for a in c.integers(1, "the permutation"))), [c.value(0)])


def tile(c: Context) -> None:
    c.result(ops.Tile(tuple(c.integers(1, "the repeats"))), [c.value(0)])


def broadcast_to(c: Context) -> None:
    c.result(ops.Expand(tuple(c.integers(1, "the shape"))), [c.value(0)])


def fill(c: Context) -> None:
    c.result(ops.Expand(tuple(c.integers(0, "the shape"))), [c.value(1)])


def pack(c: Context) -> None:
    shape = list(c.shape(0))
    axis = c.axis(c.option("axis"), len(shape) + 1)
    shape.insert(axis, 1)
    parts = [c.add(ops.Reshape(tuple(shape)), [c.value(i)]) for i in range(len(c.operator.inputs))]
    c.result(ops.Concat(axis), parts)


def unpack(c: Context) -> None:
    shape = list(c.shape(0))
    axis = c.axis(c.option("axis"), len(shape))
    if shape[axis] != len(c.operator.outputs):
        raise c.damaged(f"{len(c.operator.outputs)} outputs along axis {axis} of shape {tuple(shape)}")
    first = c.names[c.operator.outputs[0]]
    parts = c.builder.add_multi(ops.Split(axis, (1,) * shape[axis]), [c.value(0)], f"{first}/split")
    del shape[axis]
    for part, output in zip(parts, c.operator.outputs):
        c.results(ops.Reshape(tuple(shape)), [part], [output])


def _resize(mode: str) -> Callable[[Context], None]:
    def import_resize(c: Context) -> None:
        height, width = c.integers(1, "the size")
        nearest = "floor"
        if c.option("align_corners"):
            coordinates, nearest = "align_corners", "round_prefer_ceil"
        elif c.option("half_pixel_centers"):
            coordinates, nearest = "half_pixel", "round_prefer_ceil"
        else:
            coordinates = "asymmetric"
        c.result(ops.Resize((height, width), mode, coordinates, nearest), [c.value(0)])

    return import_resize


def depth_to_space(c: Context) -> None:
    n, h, w, channels = c.shape(0)
    b = c.option("block_size")
    if b < 1 or channels % (b * b):
        raise c.damaged(f"blocks of {b} for {channels} channels")
    depth = channels // (b * b)
    value = c.add(ops.Reshape((n, h, w, b, b, depth)), [c.value(0)])
    value = c.add(ops.Transpose((0, 1, 3, 2, 4, 5)), [value])
    c.result(ops.Reshape((n, h * b, w * b, depth)), [value])


def space_to_depth(c: Context) -> None:
    n, h, w, depth = c.shape(0)
    b = c.option("block_size")
    if b < 1 or h % b or w % b:
        raise c.damaged(f"blocks of {b} for a map of {h} x {w}")
    value = c.add(ops.Reshape((n, h // b, b, w // b, b, depth)), [c.value(0)])
    value = c.add(ops.Transpose((0, 1, 3, 2, 4, 5)), [value])
    c.result(ops.Reshape((n, h // b, w // b, b * b * depth)), [value])


def space_to_batch_nd(c: Context) -> None:
    """Pads, then moves each cell of a (b0, b1) block into its own batch: (b0 * b1 * N, H / b0, W / b1, C)."""
    b0, b1, (top, bottom), (left, right) = _blocks(c)
    n, h, w, channels = c.shape(0)
    h, w = h + top + bottom, w + left + right
    if h % b0 or w % b1:
        raise c.damaged(f"blocks of {b0} x {b1} for a padded map of {h} x {w}")
    value = c.add(ops.Pad((0, top, left, 0), (0, bottom, right, 0)), [c.value(0)])
    value = c.add(ops.Reshape((n, h // b0, b0, w // b1, b1, channels)), [value])
    value = c.add(ops.Transpose((2, 4, 0, 1, 3, 5)), [value])
    c.result(ops.Reshape((b0 * b1 * n, h // b0, w // b1, channels)), [value])


def batch_to_space_nd(c: Context) -> None:
    """The inverse of SPACE_TO_BATCH_ND, which crops at the end."""
    b0, b1, (top, bottom), (left, right) = _blocks(c)
    n, h, w, channels = c.shape(0)
    if n % (b0 * b1):
        raise c.damaged(f"blocks of {b0} x {b1} for a batch of {n}")
    n //= b0 * b1
    value = c.add(ops.Reshape((b0, b1, n, h, w, channels)), [c.value(0)])
    value = c.add(ops.Transpose((2, 3, 0, 4, 1, 5)), [value])
    value = c.add(ops.Reshape((n, h * b0, w * b1, channels)), [value])
    end = (n, h * b0 - bottom, w * b1 - right, channels)
    if end[1] < top or end[2] < left:
        raise c.damaged("crops more than there is")
    c.result(ops.Slice((0, top, left, 0), end, (1, 1, 1, 1)), [value])


def _blocks(c: Context) -> tuple[int, int, list[int], list[int]]:
    blocks, pairs = c.integers(1, "the block shape"), c.array(2, "the padding")
    if len(blocks) != 2 or len(c.shape(0)) != 4:
        raise c.unsupported(f"blocks of {len(blocks)} dimensions in a tensor of shape {c.shape(0)}")
    if pairs.shape != (2, 2) or pairs.dtype.kind != "i" or pairs.min() < 0 or min(blocks) < 1:
        raise c.damaged(f"blocks {blocks} with padding of shape {pairs.shape}")
    return blocks[0], blocks[1], pairs[0].tolist(), pairs[1].tolist()


IMPORTERS: dict[str, Callable[[Context], None]] = {
    "ABS": _unary("abs"),
    "ADD": _binary("add"),
    "ADD_N": add_n,
    "ARG_MAX": arg_max,
    "ARG_MIN": arg_min,
    "AVERAGE_POOL_2D": _pool(ops.AveragePool),
    "BATCH_MATMUL": batch_matmul,
    "BATCH_TO_SPACE_ND": batch_to_space_nd,
    "BROADCAST_TO": broadcast_to,
    "CAST": cast,
    "CEIL": _unary("ceil"),
    "CONCATENATION": concatenation,
    "CONV_2D": conv_2d,
    "DEPTHWISE_CONV_2D": depthwise_conv_2d,
    "DEPTH_TO_SPACE": depth_to_space,
    "DIV": _binary("div"),
    "ELU": _unary("elu", 1.0),
    "EXP": _unary("exp"),
    "EXPAND_DIMS": expand_dims,
    "FILL": fill,
    "FLOOR": _unary("floor"),
    "FULLY_CONNECTED": fully_connected,
    "GATHER": gather,
    "GELU": gelu,
    "HARD_SWISH": _unary("hardswish"),
    "L2_NORMALIZATION": l2_normalization,
    "LEAKY_RELU": leaky_relu,
    "LOCAL_RESPONSE_NORMALIZATION": lrn,
    "LOG": _unary("log"),
    "LOGISTIC": _unary("sigmoid"),
    "LOG_SOFTMAX": log_softmax,
    "MAXIMUM": _binary("max"),
    "MAX_POOL_2D": _pool(ops.MaxPool),
    "MEAN": _reduce("mean"),
    "MINIMUM": _binary("min"),
    "MIRROR_PAD": mirror_pad,
    "MUL": _binary("mul"),
    "NEG": _unary("neg"),
    "PACK": pack,
    "PAD": pad,
    "PADV2": pad,
    "POW": _binary("pow"),
    "PRELU": _binary("prelu"),
    "REDUCE_MAX": _reduce("max"),
    "REDUCE_MIN": _reduce("min"),
    "REDUCE_PROD": _reduce("prod"),
    "RELU": _unary("relu"),
    "RELU6": _unary("relu6"),
    "RELU_0_TO_1": _unary("clip", 0.0, 1.0),
    "RELU_N1_TO_1": _unary("hardtan"),
    "RESHAPE": reshape,
    "RESIZE_BILINEAR": _resize("linear"),
    "RESIZE_NEAREST_NEIGHBOR": _resize("nearest"),
    "REVERSE_V2": reverse_v2,
    "RSQRT": rsqrt,
    "SLICE": slice_,
    "SOFTMAX": softmax,
    "SPACE_TO_BATCH_ND": space_to_batch_nd,
    "SPACE_TO_DEPTH": space_to_depth,
    "SPLIT": split,
    "SPLIT_V": split_v,
    "SQRT": _unary("sqrt"),
    "SQUARE": square,
    "SQUARED_DIFFERENCE": squared_difference,
    "SQUEEZE": squeeze,
    "STRIDED_SLICE": strided_slice,
    "SUB": _binary("sub"),
    "SUM": _reduce("sum"),
    "TANH": _unary("tanh"),
    "TILE": tile,
    "TRANSPOSE": transpose,
    "TRANSPOSE_CONV": transpose_conv,
    "UNPACK": unpack,
}
