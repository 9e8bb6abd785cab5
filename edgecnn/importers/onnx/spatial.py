"""ONNX operators on pictures: (N, C, H, W), or (N, C, L), which is treated as pictures of height 1.

The IR has them on NHWC, so each goes in and out through a Transpose that ``passes/layout.py`` cancels later.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Callable

import numpy as np

from edgecnn.graph import ops, reference
from edgecnn.graph.records import dataclass
from edgecnn.importers.onnx.context import Context

TO_NHWC = (0, 2, 3, 1)
TO_NCHW = (0, 3, 1, 2)


def enter(c: Context) -> str:
    """Input 0 as NHWC."""
    shape = c.shape(0)
    x = c.value(0)
    if len(shape) == 3:
        x = c.reshape(x, (*shape[:2], 1, shape[2]), "picture")
    elif len(shape) == 5:
        raise c.unsupported(f"an input of shape {shape}: three spatial dimensions are not supported")
    elif len(shape) != 4:
        raise c.damaged(f"an input of shape {shape} is no (N, C, H, W)")
    return c.add(ops.Transpose(TO_NHWC), [x], "nhwc")


def leave(c: Context, value: str) -> None:
    """The output of the node, of the rank of its input, from NHWC."""
    if len(c.shape(0)) == 4:
        c.result(ops.Transpose(TO_NCHW), [value])
    else:
        n, _, length, channels = c.builder.shape(value)
        picture = c.add(ops.Transpose(TO_NCHW), [value], "nchw")
        c.result(ops.Reshape((n, channels, length)), [picture])


def pair(c: Context, values: Sequence[int] | None, default: int, what: str) -> tuple[int, int]:
    """(vertical, horizontal) of an attribute with one entry per spatial dimension."""
    rank = len(c.shape(0))
    values = [default] * (rank - 2) if values is None else values
    if len(values) != rank - 2:
        raise c.damaged(f"{what} {tuple(values)} for an input of shape {c.shape(0)}")
    return (default, values[0]) if rank == 3 else (values[0], values[1])


@dataclass(frozen=True)
class Window:
    """The geometry of a sliding window."""

    kernel: tuple[int, int]
    strides: tuple[int, int]
    dilations: tuple[int, int]

    @staticmethod
    def of(c: Context, kernel: tuple[int, int]) -> Window:
        strides = pair(c, c.integers("strides"), 1, "strides")
        dilations = pair(c, c.integers("dilations"), 1, "dilations")
        if min(*kernel, *strides, *dilations) < 1:
            raise c.damaged(f"kernel {kernel}, strides {strides}, dilations {dilations}")
        return Window(kernel, strides, dilations)

    def extent(self, axis: int) -> int:
        return (self.kernel[axis] - 1) * self.dilations[axis] + 1


def explicit_pads(c: Context) -> tuple[int, int, int, int]:
    """(top, left, bottom, right) of the attribute pads."""
    values = c.integers("pads")
    half = len(values) // 2 if values is not None else 0
    if values is not None and len(values) % 2:
        raise c.damaged(f"pads {tuple(values)}")
    top, left = pair(c, None if values is None else values[:half], 0, "pads")
    bottom, right = pair(c, None if values is None else values[half:], 0, "pads")
    return (top, left, bottom, right)


def padding(c: Context, x: str, window: Window) -> tuple[str, tuple[int, int, int, int]]:
    """*x* (NHWC) and the padding around it; negative padding has become a Slice."""
    mode = c.text("auto_pad", "NOTSET")
    if mode == "VALID":
        return x, (0, 0, 0, 0)
    n, h, w, channels = c.builder.shape(x)
    if mode in ("SAME_UPPER", "SAME_LOWER"):
        before, after = [], []
        for axis, size in enumerate((h, w)):
            stride = window.strides[axis]
            total = max((-(-size // stride) - 1) * stride + window.extent(axis) - size, 0)
            small, large = total // 2, total - total // 2
            before.append(small if mode == "SAME_UPPER" else large)
            after.append(large if mode == "SAME_UPPER" else small)
        return x, (before[0], before[1], after[0], after[1])
    if mode not in ("NOTSET", ""):
        raise c.damaged(f"unknown auto_pad {mode!r}")
    top, left, bottom, right = explicit_pads(c)
    if min(top, left, bottom, right) < 0:
        begin = (0, max(-top, 0), max(-left, 0), 0)
        end = (n, h - max(-bottom, 0), w - max(-right, 0), channels)
        x = c.add(ops.Slice(begin, end, (1, 1, 1, 1)), [x], "cropped")
    return x, (max(top, 0), max(left, 0), max(bottom, 0), max(right, 0))


def kernel_of_weights(c: Context) -> tuple[int, int]:
    shape = c.weights(1, "the weights").shape
    if len(shape) != len(c.shape(0)):
        raise c.damaged(f"weights of shape {shape} for an input of shape {c.shape(0)}")
    kernel = pair(c, shape[2:], 1, "kernel")
    if pair(c, c.integers("kernel_shape") or shape[2:], 1, "kernel_shape") != kernel:
        raise c.damaged(f"kernel_shape {c.integers('kernel_shape')} for weights of shape {shape}")
    return kernel


def bias(c: Context, filters: int) -> str:
    if c.has(2):
        c.weights(2, "the bias")
        return c.value(2)
    return c.constant(np.zeros(filters, np.float32), "bias")


def conv(c: Context) -> None:
    x = enter(c)
    kernel = kernel_of_weights(c)
    window = Window.of(c, kernel)
    x, pads = padding(c, x, window)
    w = c.weights(1, "the weights")
    weights = c.converted(1, ("weights",), lambda a: a.reshape(*a.shape[:2], *kernel).transpose(0, 2, 3, 1))
    op = ops.Conv(window.strides, pads, window.dilations, c.integer("group", 1))
    leave(c, c.add(op, [x, weights, bias(c, w.shape[0])], "conv"))


def conv_transpose(c: Context) -> None:
    x = enter(c)
    kernel = kernel_of_weights(c)
    window = Window.of(c, kernel)
    groups = c.integer("group", 1)
    pads, output_padding = transposed_pads(c, window, c.builder.shape(x)[1:3])
    w = c.weights(1, "the weights")
    weights = c.converted(1, ("transposed weights",), lambda a: a.reshape(*a.shape[:2], *kernel).transpose(1, 2, 3, 0))
    op = ops.ConvTranspose(window.strides, pads, output_padding, window.dilations, groups)
    leave(c, c.add(op, [x, weights, bias(c, w.shape[1] * groups)], "conv"))


def transposed_pads(
    c: Context, window: Window, size: Sequence[int]
) -> tuple[tuple[int, int, int, int], tuple[int, int]]:
    """Padding and output_padding of a ConvTranspose, from pads, auto_pad and output_shape."""
    mode = c.text("auto_pad", "NOTSET")
    extra = list(pair(c, c.integers("output_padding"), 0, "output_padding"))
    wanted: list[int] | None = None
    if c.integers("output_shape") is not None:
        spatial = c.integers("output_shape") or []
        wanted = list(pair(c, spatial[-(len(c.shape(0)) - 2) :], 1, "output_shape"))
    elif mode in ("SAME_UPPER", "SAME_LOWER"):
        wanted = [n * s for n, s in zip(size, window.strides)]
    if wanted is None:
        pads = (0, 0, 0, 0) if mode == "VALID" else explicit_pads(c)
        if min(pads) < 0:
            raise c.unsupported(f"negative pads {pads}")
        return pads, (extra[0], extra[1])
    before, after = [], []
    for axis in (0, 1):
        total = (size[axis] - 1) * window.strides[axis] + window.extent(axis) + extra[axis] - wanted[axis]
        extra[axis] += max(-total, 0)
        total = max(total, 0)
        small, large = total // 2, total - total // 2
        before.append(small if mode == "SAME_UPPER" else large)
        after.append(large if mode == "SAME_UPPER" else small)
    return (before[0], before[1], after[0], after[1]), (extra[0], extra[1])


def pool_window(c: Context) -> Window:
    kernel = c.integers("kernel_shape")
    if kernel is None:
        raise c.damaged("kernel_shape is missing")
    return Window.of(c, pair(c, kernel, 1, "kernel_shape"))


def max_pool(c: Context) -> None:
    x = enter(c)
    window = pool_window(c)
    x, pads = padding(c, x, window)
    op = ops.MaxPool(window.kernel, window.strides, pads, window.dilations, c.flag("ceil_mode"))
    leave(c, c.add(op, [x], "pool"))


def average_pool(c: Context) -> None:
    x = enter(c)
    window = pool_window(c)
    x, pads = padding(c, x, window)
    include = c.flag("count_include_pad")
    if window.dilations == (1, 1):
        op = ops.AveragePool(window.kernel, window.strides, pads, c.flag("ceil_mode"), include)
        leave(c, c.add(op, [x], "pool"))
    else:
        leave(c, dilated_average_pool(c, x, window, pads, include))


def dilated_average_pool(c: Context, x: str, window: Window, pads: tuple[int, int, int, int], include: bool) -> str:
    """The mean over spread cells: a depthwise convolution with ones, divided by how many cells there are."""
    _, h, w, channels = c.builder.shape(x)
    ceil = c.flag("ceil_mode")
    pooled = ops.MaxPool(window.kernel, window.strides, pads, window.dilations, ceil).infer([c.builder.values[x]])
    (oh, ow), (top, left, bottom, right) = pooled[0][0][1:3], pads
    # ceil_mode's last window reaches beyond the padding
    reach_y = max((oh - 1) * window.strides[0] + window.extent(0) - h - top, 0)
    reach_x = max((ow - 1) * window.strides[1] + window.extent(1) - w - left, 0)
    op = ops.Conv(window.strides, (top, left, reach_y, reach_x), window.dilations, channels)
    ones = np.ones((channels, *window.kernel, 1), np.float32)
    zeros = np.zeros(channels, np.float32)
    c.spend((h + top + reach_y) * (w + left + reach_x))
    inside = np.zeros((1, h + top + reach_y, w + left + reach_x, 1), np.float32)
    if include:
        inside[:, : h + top + bottom, : w + left + right] = 1
    else:
        inside[:, top : top + h, left : left + w] = 1
    count_op = ops.Conv(window.strides, (0, 0, 0, 0), window.dilations)
    (count,) = reference.evaluate(count_op, [inside, ones[:1], zeros[:1]])
    total = c.add(op, [x, c.constant(ones, "ones"), c.constant(zeros, "bias")], "sum")
    return c.add(ops.Binary("div"), [total, c.constant(count, "count")], "pool")


def global_pool(kind: str) -> Callable[[Context], None]:
    def import_(c: Context) -> None:
        rank = len(c.shape(0))
        if rank < 3:
            raise c.damaged(f"an input of shape {c.shape(0)} has nothing to pool")
        c.result(ops.Reduce(kind, tuple(range(2, rank)), True), [c.value(0)])

    return import_


def lrn(c: Context) -> None:
    if "size" not in c.node.attributes:
        raise c.damaged("size is missing")
    op = ops.LRN(c.integer("size", 0), c.number("alpha", 1e-4), c.number("beta", 0.75), c.number("bias", 1.0))
    leave(c, c.add(op, [enter(c)], "lrn"))


# Resize and its ancestor Upsample.


@dataclass(frozen=True)
class Sampling:
    """Output size and scale of each axis of the input."""

    sizes: list[int]
    scales: list[float]


def upsample(c: Context) -> None:
    scales = scales_of(c, 1) if c.has(1) else [float(s) for s in c.attribute("scales", list, [])]
    resample(c, by_scales(c, scales), c.text("mode", "nearest"), "asymmetric", "floor")


def resize(c: Context) -> None:
    mode = c.text("mode", "nearest")
    if c.opset == 10:
        sampling = by_scales(c, scales_of(c, 1))
        down = [s < 1 for s in sampling.scales if s != 1]
        if mode == "nearest" and any(down) and not all(down):
            raise c.unsupported("enlarging one axis and reducing the other with operator set 10")
        resample(c, sampling, mode, "asymmetric", "ceil" if any(down) else "floor")
        return
    if c.flag("antialias") and mode != "nearest":
        raise c.unsupported("antialias")
    sampling = by_sizes(c) if c.has(3) else by_scales(c, spread(c, scales_of(c, 2), 1.0))
    coordinates = c.text("coordinate_transformation_mode", "half_pixel")
    nearest = c.text("nearest_mode", "round_prefer_floor")
    if coordinates == "tf_half_pixel_for_nn" and mode == "nearest" and nearest == "floor":
        # floor((i + 0.5) / s) is what rounding (i + 0.5) / s - 0.5 upwards gives
        coordinates, nearest = "half_pixel", "round_prefer_ceil"
    if coordinates == "half_pixel_symmetric" and all(
        size == n * scale for n, size, scale in zip(c.shape(0), sampling.sizes, sampling.scales)
    ):
        coordinates = "half_pixel"
    resample(c, sampling, mode, coordinates, nearest)


def scales_of(c: Context, i: int) -> list[float]:
    array = c.array(i, "the scales")
    if array.dtype.kind != "f" or array.ndim != 1 or array.size > len(c.shape(0)):
        raise c.damaged(f"scales of shape {array.shape} and type {array.dtype} for an input of shape {c.shape(0)}")
    return [float(s) for s in array]


def spread(c: Context, values: list[float], default: float) -> list[float]:
    """One value per axis of the input, from one per axis named by the attribute axes."""
    axes = c.integers("axes")
    if axes is None:
        return values
    rank = len(c.shape(0))
    full = [default] * rank
    if len(axes) != len(values):
        raise c.damaged(f"{len(values)} scales or sizes for the axes {axes}")
    for axis, value in zip(axes, values):
        full[c.axis(axis, rank)] = value
    return full


def by_scales(c: Context, scales: list[float]) -> Sampling:
    shape = c.shape(0)
    if len(scales) != len(shape) or any(not math.isfinite(s) or s <= 0 or s > 1 << 20 for s in scales):
        raise c.damaged(f"scales {scales} for an input of shape {shape}")
    return Sampling([math.floor(n * s) for n, s in zip(shape, scales)], scales)


def by_sizes(c: Context) -> Sampling:
    shape = c.shape(0)
    sizes = [int(s) for s in spread(c, [float(s) for s in c.integers_of(3, "the sizes")], -1)]
    if len(sizes) != len(shape) or any(n == 0 for n in shape):
        raise c.damaged(f"sizes {sizes} for an input of shape {shape}")
    ratios = [s / n for s, n in zip(sizes, shape) if s >= 0]
    policy = c.text("keep_aspect_ratio_policy", "stretch")
    if policy != "stretch":
        if policy not in ("not_larger", "not_smaller"):
            raise c.damaged(f"unknown keep_aspect_ratio_policy {policy!r}")
        ratio = min(ratios) if policy == "not_larger" else max(ratios)
        sizes = [s if s < 0 else math.floor(n * ratio + 0.5) for s, n in zip(sizes, shape)]
        return Sampling([n if s < 0 else s for s, n in zip(sizes, shape)], [1.0 if s < 0 else ratio for s in sizes])
    sizes = [n if s < 0 else s for s, n in zip(sizes, shape)]
    return Sampling(sizes, [s / n for s, n in zip(sizes, shape)])


def resample(c: Context, sampling: Sampling, mode: str, coordinates: str, nearest: str) -> None:
    """The Resize node: over the axes 2 and 3 (or 2 alone), or 1 and 2 of a picture that is NHWC already."""
    shape, sizes = c.shape(0), sampling.sizes
    if mode == "cubic":
        raise c.unsupported("cubic interpolation")
    if mode not in ("nearest", "linear", "bilinear"):
        raise c.unsupported(f"mode {mode!r}")
    if coordinates not in ("half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel"):
        raise c.unsupported(f"coordinate_transformation_mode {coordinates!r}")
    changed = [i for i in range(len(shape)) if sizes[i] != shape[i] or sampling.scales[i] != 1]
    if not changed:
        c.same(c.value(0))
        return
    inside = len(shape) == 4 and set(changed) <= {1, 2} and 1 in changed
    first = 1 if inside else 2
    if not set(changed) <= ({1, 2} if inside else set(range(2, len(shape)))):
        raise c.unsupported(f"resizing the axes {changed} of an input of shape {shape}")
    size = sizes[first : first + 2]
    scale = sampling.scales[first : first + 2]
    if len(shape) == 3:
        size, scale = [1, *size], [1.0, *scale]
    x = c.value(0) if inside else enter(c)
    h, w = c.builder.shape(x)[1:3]
    exact = scale[0] * h == size[0] and scale[1] * w == size[1]
    op = ops.Resize(
        (size[0], size[1]),
        "nearest" if mode == "nearest" else "linear",
        coordinates,
        nearest,
        None if exact else (scale[0], scale[1]),
    )
    if inside:
        c.result(op, [x])
    else:
        leave(c, c.add(op, [x], "resize"))
