"""Which kernel a convolution gets. A cost is an estimate in vector operations; it only ranks candidates of one layer.
Where `edgecnn.tune` has measured all candidates of a layer on this machine, its verdict ranks them instead.

The matrix-product kernel does a multiply-add per vector of output channels, tap, input channel and pixel: a layer whose
channels per group do not fill the vectors wastes the rest. The depthwise kernel works along the channels themselves and
has no such waste, but loads an input for each multiply-add, which makes an operation cost about twice as much.

Winograd's F(4x4, 3x3) does 36 multiply-adds for a 4x4 tile of results instead of 144, but transforms 36 inputs and 36
products of every tile and channel, computes whole tiles where the picture ends within one, and reads four times the
weights; its products also are shallower. The constants are fits to the measured times of all 3x3 layers of ResNet-18,
GoogLeNet, Tiny-YOLOv3 and VGG-16 on one thread (x86), and to the modelled cycles of those of YOLO-LITE on the
Cortex-A53 and A72 (armv8), each relative to the matrix product of the same layer; "armv7" and "portable" go with these.

One level of Strassen's algorithm (in Winograd's variant) saves one in eight multiply-adds of a pointwise convolution,
for additions along its inputs and results, and reads seven quarters of the weights, which a small picture uses seldom.
The constants are fits to the modelled cycles of the pointwise layers of MobileNetV1, MobileNetV2 and SqueezeNet on the
Cortex-A53 and A72. On x86 eight such layers took 0.93 to 1.15 times as long as the matrix product with AVX-512, and 0.8
to 1.2 times with AVX2: too little for so much more memory.

The kernel for first layers reads up to four channels as they lie, NHWC or NCHW, and takes the maximum behind it
whatever its window. It does the same multiply-adds as the matrix product without its pointers, on tiles of neighbouring
pixels of a row, which a short row leaves unused in part. For 3x3 at stride 1 it has a sibling that does Winograd's
F(4x4, 3x3) without storing the products, which wins from two or three channels on.

A depthwise convolution and the pointwise one that alone reads it become one step where that pays: the map between them
is then never written, but the pointwise weights are read once for each block of pixels, which is cheap only from the
second-level cache.

The environment variable ``EDGECNN_CONV`` overrides the choice: ``gemm`` for the matrix product wherever Winograd,
Strassen or the kernels for first layers could run, ``winograd`` or ``strassen`` for that wherever it can, or ``auto``
(the default) for the cheapest.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import replace

from edgecnn.errors import BackendError
from edgecnn.graph.ops import Conv, MaxPool, Shape
from edgecnn.graph.records import dataclass
from edgecnn.plan.pack import panel_widths, round_up, strassen_half
from edgecnn.plan.target import Target

DEPTHWISE_COST = 2.0


@dataclass(frozen=True)
class WinogradCost:
    """Of a multiply-add of the products; of the transforms, for each vector of channels of a tile; of loading a vector
    of transformed weights, and of streaming one where they are more than `WINOGRAD_CACHED_BYTES`. And the most bytes of
    them that are kept: more would stream from memory in more time than they save (x86), or are more than a board has to
    spare."""

    product: float
    input: float
    output: float
    weight: float
    streamed: float
    most_bytes: int


WINOGRAD = {
    "x86-avx512": WinogradCost(1.42, 400, 140, 13.5, 21, 64 << 20),
    "x86-avx2": WinogradCost(1.02, 675, 340, 7.6, 10.6, 64 << 20),
    "armv8": WinogradCost(1.2, 300, 300, 4, 4, 160 << 20),
    "armv7": WinogradCost(1.2, 300, 300, 4, 4, 64 << 20),
    "portable": WinogradCost(1.2, 300, 300, 4, 4, 64 << 20),
}
# Transformed weights of more bytes come from beyond the second-level cache in each frame.
WINOGRAD_CACHED_BYTES = 4 << 20


@dataclass(frozen=True)
class StrassenCost:
    """Of Strassen's algorithm: for each vector of input channels and of output channels of a pixel, and for reading a
    vector of the weights that there are more of."""

    input: float
    output: float
    weight: float


# Where it is worth its memory; elsewhere it runs only where it is asked for.
STRASSEN = {"armv8": StrassenCost(12, 12, 5)}
STRASSEN_CHANNELS = 8  # input channels are a multiple
# Of a multiply-add of rows so deep that the matrix product packs them in cuts on armv8 (csrc/gemm/packed-inl.h).
PACKED_DEPTH = 512
DEEP_COST = 1.1

# What the kernel for first layers takes, and its multiply-adds against those of a matrix product over so few channels.
FIRST_CHANNELS = 4
FIRST_KERNEL = 16
FIRST_STRIDE = 4
FIRST_WIDTH = 1 << 14
FIRST_ROW = 1 << 20
FIRST_COST = 0.6
FIRST_TILE = 8
# Of its sibling by Winograd's algorithm, for 3x3 at stride 1: a multiply-add of the products, the transforms for each
# vector of output channels of a tile (by modelled cycles of the Cortex-A53 and A72 and times on x86), tiles of a group.
FIRST_WINOGRAD_PRODUCT = 0.8
FIRST_WINOGRAD_TRANSFORM = 110
FIRST_WINOGRAD_TILES = 4

# The maximum that a convolution takes of what it has in registers; of any other, for each vector of its input.
QUADS = MaxPool((2, 2), (2, 2))
POOL_COST = 8.0

# Pointwise weights of more bytes would leave the second-level cache (512 KiB on a Cortex-A53) between two blocks.
FUSED_MOST_BYTES = 288 << 10

# Of the depthwise multiply-adds, where their results are not written, and where they are not even read.
FUSED_COST = 0.75
INVERTED_COST = 0.5

# The step of three convolutions makes so many rows at a time. What it keeps of the expanded map, and the weights that
# it reads each time, share a second-level cache.
INVERTED_ROWS = 2
RING_MOST_BYTES = 224 << 10
INVERTED_MOST_BYTES = 256 << 10

# Those that read a graph input as it lies.
FIRST_KERNELS = ("FirstConv", "FirstWinograd")

CHOICES = ("auto", "gemm", "winograd", "strassen")


@dataclass(frozen=True)
class Candidate:
    """A kernel that could run a layer, what it is estimated to cost, and where it was measured its milliseconds."""

    kernel: str
    cost: float
    ms: float | None = None


def layer_key(op: Conv, x: Shape, w: Shape, target: Target, then: int = 0, after: int = 0) -> str:
    """What the time of a convolution depends on, as text: the name of a layer in the verdicts.

    *then*, *after*: output channels of the pointwise convolution behind it, and input channels of the one before it,
    that could go into the same step.
    """
    behind = (f" then {then} pointwise" if then else "") + (f" after pointwise of {after}" if after else "")
    pool = f" pool {op.pool}" if op.pool else ""
    residual = f" residual {op.residual}" if op.residual else ""
    window = "x".join(map(str, w[1:3]))
    strides, padding, dilations = (",".join(map(str, v)) for v in (op.strides, op.padding, op.dilations))
    return (
        f"{target.name} {'x'.join(map(str, x))} -> {w[0]}, {window} by {strides} padding {padding} "
        f"dilation {dilations} groups {op.groups}{pool}{residual}{behind}"
    )


def ranked(found: list[Candidate], times: Mapping[str, float]) -> list[Candidate]:
    """Candidates with their measured milliseconds: those that have any first, by these; then the others as they were.

    What has none where others have is what `edgecnn.tune` found too dear to be worth a measurement.
    """
    found = [replace(c, ms=times.get(c.kernel)) for c in found]
    return sorted(found, key=lambda c: math.inf if c.ms is None else c.ms)


def with_fused(found: list[Candidate], kernel: str) -> list[Candidate]:
    """The candidates of a depthwise convolution and *kernel*: a step with the pointwise one behind, or both.

    The multiply-adds of these are the same either way and not counted.
    """
    part = {"DwPw": FUSED_COST, "PwDwPw": INVERTED_COST, "FirstDwPw": INVERTED_COST}[kernel]
    fused = [Candidate(kernel, part * c.cost) for c in found if c.kernel == "DwConv"]
    return sorted([*found, *fused], key=lambda c: c.cost)


def fuses(depthwise: Conv, x: Shape, kernel: tuple[int, int], out_w: int, pointwise: Conv, w: Shape) -> bool:
    """Whether the step DwPw runs a depthwise convolution of *x* and the pointwise one behind it, of weights *w*."""
    stride = depthwise.strides[0]
    left = depthwise.padding[1]
    return (
        kernel == (3, 3)
        and depthwise.strides in ((1, 1), (2, 2))
        and depthwise.dilations == (1, 1)
        and not depthwise.residual
        and depthwise.pool is None
        and left <= 3 - stride
        and (out_w - 1) * stride - left < x[2]
        and w[1:3] == pointwise.strides == (1, 1)
        and not any(pointwise.padding)
        and pointwise.groups == 1
        and pointwise.pool is None
        and 4 * w[0] * w[3] <= FUSED_MOST_BYTES
    )


def inverts(expand: Conv, x: Shape, w: Shape, depthwise: Conv, pointwise: Shape) -> bool:
    """Whether the step PwDwPw runs a pointwise convolution of *x*, of weights *w*, too.

    *depthwise* and the weights *pointwise*: of the convolutions behind it, for which `fuses` holds.
    """
    channels, _, _, ci = w
    ring = ((INVERTED_ROWS - 1) * depthwise.strides[0] + 3) * x[2] * channels
    return (
        w[1:3] == expand.strides == (1, 1)
        and not any(expand.padding)
        and expand.groups == 1
        and expand.pool is None
        and not expand.residual
        and 4 * ring <= RING_MOST_BYTES
        and 4 * channels * (ci + pointwise[0]) <= INVERTED_MOST_BYTES
    )


def starts(first: Conv, shape: Shape, depthwise: Conv) -> bool:
    """Whether the step FirstDwPw runs a first layer with a result of that shape, too.

    *depthwise*: the convolution behind it, for which `fuses` holds.
    """
    ring = ((INVERTED_ROWS - 1) * depthwise.strides[0] + 3) * shape[2] * shape[3]
    return first.pool is None and 4 * ring <= RING_MOST_BYTES


def conv_candidates(op: Conv, x: Shape, w: Shape, conv_shape: Shape, target: Target) -> list[Candidate]:
    """All kernels that can run a convolution, the cheapest first."""
    pixels = conv_shape[0] * conv_shape[1] * conv_shape[2]
    o, kh, kw, ci = w
    vectors = sum(panel_widths(o // op.groups, target)) * op.groups / target.lanes
    # A maximum over other windows than 2x2 is a step of its own for all but the kernel of first layers.
    apart = POOL_COST * pixels * vectors if op.pool not in (None, QUADS) else 0.0
    found = [Candidate(f"Conv {target.mr}x{target.nr}", pixels * vectors * kh * kw * ci + apart)]
    if op.groups == x[3] == o and op.pool is None:
        vectors = round_up(o, target.lanes) / target.lanes
        found.append(Candidate("DwConv", DEPTHWISE_COST * pixels * vectors * kh * kw))
    if first_layer(op, w, conv_shape[2]):
        columns = round_up(conv_shape[2], FIRST_TILE) / conv_shape[2]
        found.append(Candidate("FirstConv", FIRST_COST * pixels * columns * vectors * kh * kw * ci))
    if (kh, kw) == (3, 3) and op.strides == op.dilations == (1, 1) and op.groups == 1:
        tiles = conv_shape[0] * -(-conv_shape[1] // 4) * -(-conv_shape[2] // 4)
        if first_layer(op, w, conv_shape[2]) and op.pool in (None, QUADS):
            whole = conv_shape[0] * -(-conv_shape[1] // 4) * round_up(-(-conv_shape[2] // 4), FIRST_WINOGRAD_TILES)
            each_tile = FIRST_WINOGRAD_PRODUCT * 36 * ci + FIRST_WINOGRAD_TRANSFORM
            found.append(Candidate("FirstWinograd", whole * vectors * each_tile))
        products = 36 * ci * vectors
        each = WINOGRAD[target.name]
        transforms = each.input * -(-ci // target.lanes) + each.output * vectors
        weight_bytes = 4 * products * target.lanes
        load = each.weight if weight_bytes <= WINOGRAD_CACHED_BYTES else each.streamed
        cost = tiles * (each.product * products + transforms) + load * products + apart
        too_large = weight_bytes > each.most_bytes
        found.append(Candidate("Winograd", float("inf") if too_large else cost))
    if strassen_layer(op, w, pixels, target):
        found.append(Candidate("Strassen", strassen_cost(pixels, w, target)))
        if target.name == "armv8" and ci > PACKED_DEPTH:
            found[0] = replace(found[0], cost=DEEP_COST * found[0].cost)
    forced = os.environ.get("EDGECNN_CONV") or "auto"
    if forced not in CHOICES:
        raise BackendError(f"EDGECNN_CONV={forced}: choose one of {', '.join(CHOICES)}")
    kernels = [c.kernel for c in found]
    if forced == "winograd" and "Winograd" in kernels:
        found = [c for c in found if c.kernel == "Winograd"]
    elif forced == "strassen" and "Strassen" in kernels:
        found = [c for c in found if c.kernel == "Strassen"]
    elif forced == "gemm":
        found = [c for c in found if c.kernel not in (*FIRST_KERNELS, "Winograd", "Strassen")]
    return sorted(found, key=lambda c: c.cost)


def strassen_layer(op: Conv, w: Shape, pixels: int, target: Target) -> bool:
    """Whether Strassen's kernel can run a convolution of so many pixels with weights of that shape."""
    return (
        w[1:3] == op.strides == (1, 1)
        and not any(op.padding)
        and op.groups == 1
        and op.pool is None
        and w[3] % STRASSEN_CHANNELS == 0
        and w[0] >= 2 * target.nr
        and pixels >= 2 * target.mr
    )


def strassen_cost(pixels: int, w: Shape, target: Target) -> float:
    """The cost of Strassen's algorithm; infinite where it is not worth its memory."""
    each = STRASSEN.get(target.name)
    if each is None:
        return math.inf
    o, ci = w[0], w[3]
    half = strassen_half(o, target) // target.lanes
    behind = sum(panel_widths(o, target)) / target.lanes - 2 * half
    pairs = pixels // (2 * target.mr) * target.mr
    products = (4 * pixels - pairs) * half * ci / 2
    additions = pixels * (each.input * ci / target.lanes + each.output * 2 * half)
    return products + additions + each.weight * 2 * half * ci + pixels * behind * ci


def first_layer(op: Conv, w: Shape, width: int) -> bool:
    """Whether the kernel for first layers can run a convolution of that width with weights of that shape."""
    return (
        op.groups == 1
        and op.dilations == (1, 1)
        and not op.residual
        and w[3] <= FIRST_CHANNELS
        and max(w[1:3]) <= FIRST_KERNEL
        and max(op.strides) <= FIRST_STRIDE
        and (op.pool is None or (max(op.pool.kernel) <= FIRST_KERNEL and op.pool.dilations == (1, 1)))
        and width <= FIRST_WIDTH
        and width * w[0] <= FIRST_ROW
    )
