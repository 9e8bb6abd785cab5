"""The operators of the IR: frozen dataclasses that know their attributes and infer their output shapes.

Their meaning is written once, in numpy, in ``edgecnn.graph.reference``. Conventions:

- Spatial operators (`Conv`, `ConvTranspose`, `MaxPool`, `AveragePool`, `LRN`, `Resize`) take NHWC, rank 4.
- ``padding`` is (top, left, bottom, right), always explicit; importers resolve "SAME", "VALID" and ``auto_pad``.
- Kernels, strides and dilations are (vertical, horizontal).
- Axes are non-negative; importers resolve negative ones.
- Everything that a format computes from shapes is folded by its importer: shapes here are integers.

Each ``infer`` gets the input specs (anything with ``shape`` and ``dtype``) and returns ``[(shape, dtype), ...]``; it
raises `ValueError` on inputs that do not fit, which the builder turns into a `ModelFormatError` that names the node.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol, Union

import numpy as np

from edgecnn.graph.records import dataclass

Shape = tuple[int, ...]
Inferred = list[tuple[Shape, np.dtype]]
F32 = np.dtype(np.float32)


class Spec(Protocol):
    """What ``infer`` needs of a value (`ir.TensorSpec` is one)."""

    @property
    def shape(self) -> Shape: ...
    @property
    def dtype(self) -> np.dtype: ...


# Unary functions: kind -> formula. alpha and beta are used where the formula names them.
UNARY_KINDS: dict[str, str] = {
    "relu": "max(x, 0)",
    "relu6": "min(max(x, 0), 6)",
    "leaky": "x if x > 0 else alpha * x",
    "clip": "min(max(x, alpha), beta)",
    "elu": "x if x > 0 else alpha * (exp(x) - 1)",
    "selu": "beta * (x if x > 0 else alpha * (exp(x) - 1))",
    "sigmoid": "1 / (1 + exp(-x))",
    "tanh": "tanh(x)",
    "hardsigmoid": "min(max(alpha * x + beta, 0), 1)",
    "hardswish": "x * min(max(x / 6 + 0.5, 0), 1)",
    "hardtan": "min(max(x, -1), 1)",
    "softplus": "log(1 + exp(x))",
    "softsign": "x / (1 + |x|)",
    "mish": "x * tanh(log(1 + exp(x)))",
    "swish": "x / (1 + exp(-x))",
    "gelu": "x / 2 * (1 + erf(x / sqrt(2)))",
    "step": "1 if x > 0 else 0",
    "exp": "exp(x)",
    "log": "log(x)",
    "sqrt": "sqrt(x)",
    "abs": "|x|",
    "neg": "-x",
    "reciprocal": "1 / x",
    "floor": "floor(x)",
    "ceil": "ceil(x)",
    "erf": "erf(x)",
}

# The ones that convolution kernels apply while the tile is in registers.
REGISTER_KINDS = frozenset({"relu", "relu6", "leaky", "clip", "hardtan"})

BINARY_KINDS: dict[str, str] = {
    "add": "a + b",
    "sub": "a - b",
    "mul": "a * b",
    "div": "a / b",
    "max": "max(a, b)",
    "min": "min(a, b)",
    "pow": "a ** b",
    "prelu": "a if a > 0 else a * b",
}

REDUCE_KINDS = ("mean", "sum", "max", "min", "prod", "l2")


def _positive(what: str, *values: int) -> None:
    if any(v < 1 for v in values):
        raise ValueError(f"{what} must be at least 1, not {values}")


def _rank(spec: Spec, rank: int, what: str) -> None:
    if len(spec.shape) != rank:
        raise ValueError(f"{what} must have {rank} dimensions, not shape {spec.shape}")


def _count(inputs: Sequence[Spec], *counts: int) -> None:
    if len(inputs) not in counts:
        raise ValueError(f"takes {' or '.join(map(str, counts))} inputs, got {len(inputs)}")


def _float(*inputs: Spec) -> None:
    for spec in inputs:
        if spec.dtype != F32:
            raise ValueError(f"works on float32, not {spec.dtype}")


def _window(size: int, kernel: int, stride: int, before: int, after: int, dilation: int, ceil_mode: bool) -> int:
    """Output length of a sliding window: floor((size + before + after - extent) / stride) + 1.

    With ``ceil_mode`` the division rounds up, but a last window that would start in the padding behind is dropped.
    """
    extent = (kernel - 1) * dilation + 1
    span = size + before + after - extent
    if span < 0:
        raise ValueError(f"a window of {extent} does not fit into {size} with padding {before}+{after}")
    n = span // stride + 1
    if ceil_mode and span % stride and n * stride < size + before:
        n += 1
    return n


@dataclass(frozen=True)
class Op:
    """Base class of operators."""

    def infer(self, inputs: Sequence[Spec]) -> Inferred:
        """Output shapes and dtypes for the given inputs; ValueError where they do not fit."""
        raise NotImplementedError


@dataclass(frozen=True)
class Function:
    """A unary function by name (a key of `UNARY_KINDS`) with its constants."""

    kind: str
    alpha: float = 0.0
    beta: float = 0.0

    def __post_init__(self) -> None:
        if self.kind not in UNARY_KINDS:
            raise ValueError(f"unknown function {self.kind!r}")


@dataclass(frozen=True)
class Unary(Op):
    """Elementwise function of one float32 input of any shape."""

    function: Function

    def infer(self, inputs: Sequence[Spec]) -> Inferred:
        _count(inputs, 1)
        _float(*inputs)
        return [(inputs[0].shape, F32)]


@dataclass(frozen=True)
class Binary(Op):
    """Elementwise function of two float32 inputs, broadcast by numpy's rule. ``kind``: a key of `BINARY_KINDS`.

    ``activation`` is applied to the result (a pass fuses it).
    """

    kind: str
    activation: Union[Function, None] = None

    def __post_init__(self) -> None:
        if self.kind not in BINARY_KINDS:
            raise ValueError(f"unknown function {self.kind!r}")

    def infer(self, inputs: Sequence[Spec]) -> Inferred:
        _count(inputs, 2)
        _float(*inputs)
        return [(np.broadcast_shapes(inputs[0].shape, inputs[1].shape), F32)]


@dataclass(frozen=True)
class MaxPool(Op):
    """Maximum over windows; padding counts as minus infinity. NHWC."""

    kernel: tuple[int, int]
    strides: tuple[int, int] = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    dilations: tuple[int, int] = (1, 1)
    ceil_mode: bool = False

    def infer(self, inputs: Sequence[Spec]) -> Inferred:
        _count(inputs, 1)
        return [(_pooled(self, inputs[0], self.dilations), F32)]


@dataclass(frozen=True)
class AveragePool(Op):
    """Mean over windows. The divisor counts the cells inside the picture, or, with ``count_include_pad``, those
    inside the padded picture (cells that only ``ceil_mode`` reaches count in neither case). NHWC."""

    kernel: tuple[int, int]
    strides: tuple[int, int] = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    ceil_mode: bool = False
    count_include_pad: bool = False

    def infer(self, inputs: Sequence[Spec]) -> Inferred:
        _count(inputs, 1)
        return [(_pooled(self, inputs[0], (1, 1)), F32)]


def _pooled(op: Union[MaxPool, AveragePool], x: Spec, dilations: tuple[int, int]) -> Shape:
    _float(x)
    _rank(x, 4, "the input")
    _positive("kernel, strides and dilations", *op.kernel, *op.strides, *dilations)
    top, left, bottom, right = op.padding
    if min(op.padding) < 0:
        raise ValueError(f"negative padding {op.padding}")
    (kh, kw), (sh, sw), (dh, dw) = op.kernel, op.strides, dilations
    # A window that lies wholly in the padding has no maximum and no mean.
    if top > (kh - 1) * dh or left > (kw - 1) * dw or bottom > (kh - 1) * dh or right > (kw - 1) * dw:
        raise ValueError(f"padding {op.padding} is not smaller than the window {op.kernel}")
    n, h, w, c = x.shape
    oh = _window(h, kh, sh, top, bottom, dh, op.ceil_mode)
    ow = _window(w, kw, sw, left, right, dw, op.ceil_mode)
    return (n, oh, ow, c)


@dataclass(frozen=True)
class Conv(Op):
    """2-D convolution (cross-correlation, as all frameworks have it). NHWC.

    Inputs: x (N, H, W, C), w (O, KH, KW, C / groups), b (O,), and with ``residual`` a fourth of the output's shape
    *before pooling*. Depthwise is ``groups == C``. A source without bias gets zeros.

    The order of the fused stages is: convolution, bias, [residual if "before"], activation, [residual if "after"],
    pool. Importers leave the last three alone; passes fill them.
    """

    strides: tuple[int, int] = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    dilations: tuple[int, int] = (1, 1)
    groups: int = 1
    activation: Union[Function, None] = None
    residual: str = ""  # "", "before" or "after" the activation
    pool: Union[MaxPool, None] = None

    def conv_shape(self, inputs: Sequence[Spec]) -> Shape:
        """(N, OH, OW, O) of the convolution itself, before a fused pool."""
        x, w, b = inputs[:3]
        _float(*inputs)
        _rank(x, 4, "the input")
        _rank(w, 4, "the weights")
        _positive("strides, dilations and groups", *self.strides, *self.dilations, self.groups)
        if min(self.padding) < 0:
            raise ValueError(f"negative padding {self.padding}")
        n, h, wd, c = x.shape
        o, kh, kw, ci = w.shape
        _positive("kernel and channels", o, kh, kw, ci)
        if c != ci * self.groups or o % self.groups:
            raise ValueError(f"weights {w.shape} (O, KH, KW, I) do not fit {c} channels in {self.groups} groups")
        if b.shape != (o,):
            raise ValueError(f"bias of shape {b.shape} for {o} filters")
        top, left, bottom, right = self.padding
        oh = _window(h, kh, self.strides[0], top, bottom, self.dilations[0], False)
        ow = _window(wd, kw, self.strides[1], left, right, self.dilations[1], False)
        return (n, oh, ow, o)

    def infer(self, inputs: Sequence[Spec]) -> Inferred:
        _count(inputs, 4 if self.residual else 3)
        shape = self.conv_shape(inputs)
        if self.residual and inputs[3].shape != shape:
            raise ValueError(f"residual of shape {inputs[3].shape} for an output of {shape}")
        if self.pool is not None:
            shape = _pooled(self.pool, _Shaped(shape), self.pool.dilations)
        return [(shape, F32)]


@dataclass(frozen=True)
class _Shaped:
    shape: Shape
    dtype: np.dtype = F32


@dataclass(frozen=True)
class ConvTranspose(Op):
    """Transposed convolution, the gradient of `Conv` with respect to its input. NHWC.

    Inputs: x (N, H, W, C), w (O / groups, KH, KW, C), b (O,). Channel c of x belongs to group c // (C / groups) and
    reaches the output channels of that group.
    OH = (H - 1) * stride + (KH - 1) * dilation + 1 + output_padding - top - bottom.
    """

    strides: tuple[int, int] = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    output_padding: tuple[int, int] = (0, 0)
    dilations: tuple[int, int] = (1, 1)
    groups: int = 1
    activation: Union[Function, None] = None

    def infer(self, inputs: Sequence[Spec]) -> Inferred:
        _count(inputs, 3)
        _float(*inputs)
        x, w, b = inputs
        _rank(x, 4, "the input")
        _rank(w, 4, "the weights")
        _positive("strides, dilations and groups", *self.strides, *self.dilations, self.groups)
        n, h, wd, c = x.shape
        og, kh, kw, ci = w.shape
        _positive("kernel and channels", og, kh, kw, ci)
        if c != ci or c % self.groups:
            raise ValueError(f"weights {w.shape} (O / groups, KH, KW, C) do not fit {c} channels, {self.groups} groups")
        if b.shape != (og * self.groups,):
            raise ValueError(f"bias of shape {b.shape} for {og * self.groups} filters")
        if min(self.padding) < 0 or min(self.output_padding) < 0:
            raise ValueError(f"negative padding {self.padding} or output_padding {self.output_padding}")
        top, left, bottom, right = self.padding
        oh = (h - 1) * self.strides[0] + (kh - 1) * self.dilations[0] + 1 + self.output_padding[0] - top - bottom
        ow = (wd - 1) * self.strides[1] + (kw - 1) * self.dilations[1] + 1 + self.output_padding[1] - left - right
        _positive("output height and width", oh, ow)
        return [((n, oh, ow, og * self.groups), F32)]


@dataclass(frozen=True)
class Dense(Op):
    """Fully connected: y = x @ w.T + b. Inputs: x (M, K), w (O, K) or (O, ...) with K elements behind O, b (O,)."""

    activation: Union[Function, None] = None

    def infer(self, inputs: Sequence[Spec]) -> Inferred:
        _count(inputs, 3)
        _float(*inputs)
        x, w, b = inputs
        _rank(x, 2, "the input")
        if len(w.shape) < 2 or x.shape[1] != math.prod(w.shape[1:]) or b.shape != (w.shape[0],):
            raise ValueError(f"weights {w.shape} and bias {b.shape} do not fit an input of {x.shape}")
        return [((x.shape[0], w.shape[0]), F32)]


@dataclass(frozen=True)
class MatMul(Op):
    """Matrix product by numpy's rule (leading dimensions broadcast); both inputs have rank 2 or more."""

    def infer(self, inputs: Sequence[Spec]) -> Inferred:
        _count(inputs, 2)
        _float(*inputs)
        a, b = (s.shape for s in inputs)
        if len(a) < 2 or len(b) < 2 or a[-1] != b[-2]:
            raise ValueError(f"shapes {a} and {b} do not fit")
        return [((*np.broadcast_shapes(a[:-2], b[:-2]), a[-2], b[-1]), F32)]


@dataclass(frozen=True)
class BatchNorm(Op):
    """y = (x - mean) / sqrt(variance + epsilon) * scale + bias along ``axis``. Inputs: x, scale, bias, mean, variance.

    ``sqrt_first`` is the older Darknet's (x - mean) / (sqrt(variance) + epsilon).
    """

    axis: int
    epsilon: float = 1e-5
    sqrt_first: bool = False

    def infer(self, inputs: Sequence[Spec]) -> Inferred:
        _count(inputs, 5)
        _float(*inputs)
        shape = inputs[0].shape
        if not 0 <= self.axis < len(shape):
            raise ValueError(f"axis {self.axis} of shape {shape}")
        if any(s.shape != (shape[self.axis],) for s in inputs[1:]):
            raise ValueError(f"statistics {[s.shape for s in inputs[1:]]} for {shape[self.axis]} channels")
        return [(shape, F32)]


@dataclass(frozen=True)
class LRN(Op):
    """Local response normalisation across channels (AlexNet, section 3.3). NHWC.

    y[c] = x[c] / (bias + alpha / size * sum over c - (size-1)//2 .. c + size//2 of x[i]^2) ** beta
    """

    size: int
    alpha: float = 1e-4
    beta: float = 0.75
    bias: float = 1.0

    def infer(self, inputs: Sequence[Spec]) -> Inferred:
        _count(inputs, 1)
        _float(*inputs)
        _rank(inputs[0], 4, "the input")
        _positive("size", self.size)
        return [(inputs[0].shape, F32)]


@dataclass(frozen=True)
class Softmax(Op):
    """exp(x - max) / sum along ``axis``; with ``log``, its logarithm."""

    axis: int
    log: bool = False

    def infer(self, inputs: Sequence[Spec]) -> Inferred:
        _count(inputs, 1)
        _float(*inputs)
        if not 0 <= self.axis < len(inputs[0].shape):
            raise ValueError(f"axis {self.axis} of shape {inputs[0].shape}")
        return [(inputs[0].shape, F32)]


@dataclass(frozen=True)
class Reduce(Op):
    """Reduction over ``axes``. ``kind``: one of `REDUCE_KINDS`."""

    kind: str
    axes: tuple[int, ...]
    keepdims: bool = True

    def __post_init__(self) -> None:
        if self.kind not in REDUCE_KINDS:
            raise ValueError(f"unknown reduction {self.kind!r}")

    def infer(self, inputs: Sequence[Spec]) -> Inferred:
        _count(inputs, 1)
        _float(*inputs)
        return [(_reduced(inputs[0].shape, self.axes, self.keepdims), F32)]


@dataclass(frozen=True)
class ArgMax(Op):
    """Index (int64) of the largest element along ``axis``; of equal ones the first, or the last."""

    axis: int
    keepdims: bool = True
    select_last: bool = False

    def infer(self, inputs: Sequence[Spec]) -> Inferred:
        _count(inputs, 1)
        _float(*inputs)
        return [(_reduced(inputs[0].shape, (self.axis,), self.keepdims), np.dtype(np.int64))]


def _reduced(shape: Shape, axes: tuple[int, ...], keepdims: bool) -> Shape:
    if any(not 0 <= a < len(shape) for a in axes) or len(set(axes)) != len(axes):
        raise ValueError(f"axes {axes} of shape {shape}")
    if keepdims:
        return tuple(1 if i in axes else d for i, d in enumerate(shape))
    return tuple(d for i, d in enumerate(shape) if i not in axes)


@dataclass(frozen=True)
class Cast(Op):
    """Conversion between float32, int32 and int64 (towards zero, as C has it)."""

    to: str  # a dtype name

    def infer(self, inputs: Sequence[Spec]) -> Inferred:
        _count(inputs, 1)
        return [(inputs[0].shape, np.dtype(self.to))]


@dataclass(frozen=True)
class Concat(Op):
    """Joins its inputs along ``axis``."""

    axis: int

    def infer(self, inputs: Sequence[Spec]) -> Inferred:
        if not inputs:
            raise ValueError("takes at least one input")
        first = inputs[0].shape
        if not 0 <= self.axis < len(first):
            raise ValueError(f"axis {self.axis} of shape {first}")
        for spec in inputs:
            if len(spec.shape) != len(first) or any(
                a != b for i, (a, b) in enumerate(zip(spec.shape, first)) if i != self.axis
            ):
                raise ValueError(f"shapes {[s.shape for s in inputs]} differ beside axis {self.axis}")
            if spec.dtype != inputs[0].dtype:
                raise ValueError(f"dtypes {[str(s.dtype) for s in inputs]} differ")
        total = sum(s.shape[self.axis] for s in inputs)
        return [((*first[: self.axis], total, *first[self.axis + 1 :]), inputs[0].dtype)]


@dataclass(frozen=True)
class Slice(Op):
    """Strided slice, x[begin[0]:end[0]:step[0], ...]; one entry per axis, begin and end as Python resolves them.

    Negative steps are allowed; then ``end`` may be -1, meaning "before index 0".
    """

    begin: tuple[int, ...]
    end: tuple[int, ...]
    step: tuple[int, ...]

    def infer(self, inputs: Sequence[Spec]) -> Inferred:
        _count(inputs, 1)
        shape = inputs[0].shape
        if not len(self.begin) == len(self.end) == len(self.step) == len(shape) or 0 in self.step:
            raise ValueError(f"slice {self.begin}:{self.end}:{self.step} of shape {shape}")
        out = []
        for b, e, s, d in zip(self.begin, self.end, self.step, shape):
            inside = (0 <= b <= d and 0 <= e <= d) if s > 0 else (-1 <= b < d and -1 <= e < d)
            if not inside:
                raise ValueError(f"slice {self.begin}:{self.end}:{self.step} leaves shape {shape}")
            out.append(len(range(b, e, s)))
        return [(tuple(out), inputs[0].dtype)]


@dataclass(frozen=True)
class Split(Op):
    """Cuts the input along ``axis`` into pieces of the given sizes (one output each)."""

    axis: int
    sizes: tuple[int, ...]

    def infer(self, inputs: Sequence[Spec]) -> Inferred:
        _count(inputs, 1)
        shape = inputs[0].shape
        if not 0 <= self.axis < len(shape) or sum(self.sizes) != shape[self.axis] or min(self.sizes, default=-1) < 0:
            raise ValueError(f"sizes {self.sizes} along axis {self.axis} of shape {shape}")
        return [((*shape[: self.axis], n, *shape[self.axis + 1 :]), inputs[0].dtype) for n in self.sizes]


@dataclass(frozen=True)
class Pad(Op):
    """Padding before and after each axis. ``mode``: "constant" (with ``value``), "reflect", "edge" or "wrap"."""

    before: tuple[int, ...]
    after: tuple[int, ...]
    mode: str = "constant"
    value: float = 0.0

    def infer(self, inputs: Sequence[Spec]) -> Inferred:
        _count(inputs, 1)
        shape = inputs[0].shape
        if not len(self.before) == len(self.after) == len(shape):
            raise ValueError(f"padding {self.before}, {self.after} of shape {shape}")
        if self.mode not in ("constant", "reflect", "edge", "wrap"):
            raise ValueError(f"unknown mode {self.mode!r}")
        if min((*self.before, *self.after), default=0) < 0:
            raise ValueError("negative padding (importers write it as a Slice)")
        if self.mode == "reflect" and any(max(b, a) > max(d - 1, 0) for b, a, d in zip(self.before, self.after, shape)):
            raise ValueError(f"reflected padding {self.before}, {self.after} is larger than shape {shape} allows")
        return [(tuple(b + d + a for b, d, a in zip(self.before, shape, self.after)), inputs[0].dtype)]


@dataclass(frozen=True)
class Reshape(Op):
    """The same elements in the same order under another shape. Also serves Flatten, Squeeze and Unsqueeze."""

    shape: Shape

    def infer(self, inputs: Sequence[Spec]) -> Inferred:
        _count(inputs, 1)
        if int(np.prod(self.shape, dtype=object)) != int(np.prod(inputs[0].shape, dtype=object)):
            raise ValueError(f"shape {inputs[0].shape} cannot become {self.shape}")
        return [(self.shape, inputs[0].dtype)]


@dataclass(frozen=True)
class Transpose(Op):
    """Axis i of the output is axis perm[i] of the input."""

    perm: tuple[int, ...]

    def infer(self, inputs: Sequence[Spec]) -> Inferred:
        _count(inputs, 1)
        shape = inputs[0].shape
        if sorted(self.perm) != list(range(len(shape))):
            raise ValueError(f"permutation {self.perm} of shape {shape}")
        return [(tuple(shape[i] for i in self.perm), inputs[0].dtype)]


@dataclass(frozen=True)
class Expand(Op):
    """Broadcasts the input to ``shape`` by numpy's rule."""

    shape: Shape

    def infer(self, inputs: Sequence[Spec]) -> Inferred:
        _count(inputs, 1)
        if np.broadcast_shapes(inputs[0].shape, self.shape) != self.shape:
            raise ValueError(f"shape {inputs[0].shape} does not broadcast to {self.shape}")
        return [(self.shape, inputs[0].dtype)]


@dataclass(frozen=True)
class Tile(Op):
    """Repeats the input along each axis."""

    repeats: tuple[int, ...]

    def infer(self, inputs: Sequence[Spec]) -> Inferred:
        _count(inputs, 1)
        shape = inputs[0].shape
        if len(self.repeats) != len(shape) or min(self.repeats, default=0) < 0:
            raise ValueError(f"repeats {self.repeats} of shape {shape}")
        return [(tuple(d * r for d, r in zip(shape, self.repeats)), inputs[0].dtype)]


@dataclass(frozen=True)
class Resize(Op):
    """Resampling of height and width to ``size``. NHWC.

    For output index i of an axis of n (out of m input) cells, with scale s (``scale`` where the file gives one that
    differs from n / m, else n / m), the source position is

    - "half_pixel": (i + 0.5) / s - 0.5          - "asymmetric": i / s
    - "align_corners": i * (m - 1) / (n - 1)     - "pytorch_half_pixel": as half_pixel, 0 where n = 1

    ``mode`` "nearest" rounds it by ``nearest`` ("floor", "ceil", "round_prefer_floor", "round_prefer_ceil") and clamps
    it; "linear" interpolates between the two neighbours, clamped.
    """

    size: tuple[int, int]
    mode: str = "nearest"
    coordinates: str = "asymmetric"
    nearest: str = "floor"
    scale: Union[tuple[float, float], None] = None

    def infer(self, inputs: Sequence[Spec]) -> Inferred:
        _count(inputs, 1)
        _float(*inputs)
        _rank(inputs[0], 4, "the input")
        _positive("size", *self.size)
        if self.mode not in ("nearest", "linear"):
            raise ValueError(f"unknown mode {self.mode!r}")
        if self.coordinates not in ("half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel"):
            raise ValueError(f"unknown coordinates {self.coordinates!r}")
        if self.nearest not in ("floor", "ceil", "round_prefer_floor", "round_prefer_ceil"):
            raise ValueError(f"unknown rounding {self.nearest!r}")
        n, h, w, c = inputs[0].shape
        _positive("input height and width", h, w)
        return [((n, *self.size, c), F32)]
