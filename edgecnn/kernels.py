"""The kernel library as functions on arrays: NHWC float32 in, NHWC float32 out.

Each call plans and runs a network of one layer on the native backend; plans are kept, so that a repeated call with the
same shapes and weights pays for the kernel only. For networks use `edgecnn.load`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Union

import numpy as np

from edgecnn.backends.native import NativeBackend
from edgecnn.errors import InputError, ModelError
from edgecnn.graph import ops
from edgecnn.graph.ir import GraphBuilder
from edgecnn.graph.ops import BINARY_KINDS, REDUCE_KINDS, UNARY_KINDS, Function
from edgecnn.plan import build_plan
from edgecnn.predictor import check_threads

Pair = Union[int, Sequence[int]]
Activation = Union[str, Function, None]

# The usual constants of functions that have some.
DEFAULTS = {
    "leaky": Function("leaky", 0.1),
    "elu": Function("elu", 1.0),
    "selu": Function("selu", 1.67326319217681884765625, 1.05070102214813232421875),
    "hardsigmoid": Function("hardsigmoid", 0.2, 0.5),
    "clip": Function("clip", float("-inf"), float("inf")),
}

MAX_PLANS = 64
_plans: OrderedDict[tuple[object, ...], NativeBackend] = OrderedDict()


def run_op(
    op: ops.Op, inputs: Sequence[np.ndarray], constants: Sequence[np.ndarray] = (), threads: int = 1
) -> list[np.ndarray]:
    """Runs one operator of the IR natively.

    Parameters
    ----------
    op
        An operator of ``edgecnn.graph.ops``.
    inputs, constants
        Its inputs: first the ones that change from call to call, then those that are packed into the plan.
    threads
        Threads that share the work.

    Returns
    -------
    list of ndarray
        Its outputs.

    Raises
    ------
    InputError
        Shapes or dtypes do not fit the operator.
    """
    threads = check_threads(threads)
    arrays = [_dense(a) for a in inputs]
    fixed = [_dense(c) for c in constants]
    key = (
        op,
        threads,
        *((a.shape, a.dtype.str) for a in arrays),
        *((c.shape, c.dtype.str, c.tobytes()) for c in fixed),
    )
    backend = _plans.pop(key, None)
    if backend is None:
        builder = GraphBuilder(type(op).__name__)
        names = [builder.input(f"x{i}", a.shape, a.dtype) for i, a in enumerate(arrays)]
        names += [builder.constant(c, f"c{i}") for i, c in enumerate(fixed)]
        try:
            graph = builder.finish(builder.add_multi(op, names))
            backend = NativeBackend(build_plan(graph), threads, graph.name)
        except ModelError as error:
            raise InputError(str(error)) from error
    _plans[key] = backend
    while len(_plans) > MAX_PLANS:
        _plans.popitem(last=False)
    outputs = backend.predict({f"x{i}": a for i, a in enumerate(arrays)})
    return [outputs[spec.name] for spec in backend.outputs]


def conv2d(
    x: np.ndarray,
    w: np.ndarray,
    b: np.ndarray | None = None,
    *,
    strides: Pair = 1,
    padding: Pair = 0,
    dilations: Pair = 1,
    groups: int = 1,
    activation: Activation = None,
    threads: int = 1,
) -> np.ndarray:
    """2-D convolution; depthwise is ``groups`` = channels.

    Parameters
    ----------
    x : float32 (N, H, W, C)
    w : float32 (O, KH, KW, C / groups)
    b : float32 (O,), optional
    strides, dilations : int or (vertical, horizontal)
    padding : int, (vertical, horizontal) or (top, left, bottom, right)
    activation : name or Function, optional
        Applied in registers or in cache, before the result is written.

    Returns
    -------
    float32 (N, OH, OW, O)
    """
    op = ops.Conv(_pair(strides), _padding(padding), _pair(dilations), groups, _function(activation))
    return run_op(op, [x], [w, _bias(b, len(w))], threads)[0]


def conv_transpose2d(
    x: np.ndarray,
    w: np.ndarray,
    b: np.ndarray | None = None,
    *,
    strides: Pair = 1,
    padding: Pair = 0,
    output_padding: Pair = 0,
    dilations: Pair = 1,
    groups: int = 1,
    activation: Activation = None,
    threads: int = 1,
) -> np.ndarray:
    """Transposed convolution: x (N, H, W, C), w (O / groups, KH, KW, C), b (O,), all float32."""
    op = ops.ConvTranspose(
        _pair(strides), _padding(padding), _pair(output_padding), _pair(dilations), groups, _function(activation)
    )
    return run_op(op, [x], [w, _bias(b, len(w) * groups)], threads)[0]


def dense(
    x: np.ndarray, w: np.ndarray, b: np.ndarray | None = None, *, activation: Activation = None, threads: int = 1
) -> np.ndarray:
    """Fully connected: x (M, K) @ w (O, K).T + b (O,), all float32."""
    return run_op(ops.Dense(_function(activation)), [x], [w, _bias(b, len(w))], threads)[0]


def max_pool2d(
    x: np.ndarray,
    kernel: Pair,
    *,
    strides: Pair | None = None,
    padding: Pair = 0,
    dilations: Pair = 1,
    ceil_mode: bool = False,
    threads: int = 1,
) -> np.ndarray:
    """Maximum over windows of (N, H, W, C) float32; strides default to the kernel, padding never wins."""
    size = _pair(kernel)
    op = ops.MaxPool(size, size if strides is None else _pair(strides), _padding(padding), _pair(dilations), ceil_mode)
    return run_op(op, [x], threads=threads)[0]


def avg_pool2d(
    x: np.ndarray,
    kernel: Pair,
    *,
    strides: Pair | None = None,
    padding: Pair = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = False,
    threads: int = 1,
) -> np.ndarray:
    """Mean over windows of (N, H, W, C) float32; strides default to the kernel."""
    size = _pair(kernel)
    op = ops.AveragePool(
        size, size if strides is None else _pair(strides), _padding(padding), ceil_mode, count_include_pad
    )
    return run_op(op, [x], threads=threads)[0]


def resize(
    x: np.ndarray, size: Pair, *, mode: str = "nearest", coordinates: str = "asymmetric", threads: int = 1
) -> np.ndarray:
    """(N, H, W, C) float32 resampled to size = (height, width); modes and coordinates as in `ops.Resize`."""
    return run_op(ops.Resize(_pair(size), mode, coordinates), [x], threads=threads)[0]


def softmax(x: np.ndarray, axis: int = -1, *, log: bool = False, threads: int = 1) -> np.ndarray:
    """Softmax, or its logarithm, of float32 of any shape along an axis."""
    return run_op(ops.Softmax(_axis(axis, np.ndim(x)), log), [x], threads=threads)[0]


def lrn(
    x: np.ndarray, size: int = 5, alpha: float = 1e-4, beta: float = 0.75, bias: float = 1.0, *, threads: int = 1
) -> np.ndarray:
    """Local response normalisation of (N, H, W, C) float32 across channels."""
    return run_op(ops.LRN(size, alpha, beta, bias), [x], threads=threads)[0]


def activate(x: np.ndarray, function: str | Function, *, threads: int = 1) -> np.ndarray:
    """An elementwise function of float32 of any shape: a name of `UNARY_KINDS`, or a Function with its constants."""
    chosen = _function(function)
    assert chosen is not None
    return run_op(ops.Unary(chosen), [x], threads=threads)[0]


def relu(x: np.ndarray) -> np.ndarray:
    """max(x, 0)"""
    return activate(x, "relu")


def relu6(x: np.ndarray) -> np.ndarray:
    """min(max(x, 0), 6)"""
    return activate(x, "relu6")


def leaky_relu(x: np.ndarray, alpha: float = 0.1) -> np.ndarray:
    """x where positive, else alpha * x; YOLO's alpha is 0.1"""
    return activate(x, Function("leaky", alpha))


def elu(x: np.ndarray, alpha: float = 1.0) -> np.ndarray:
    """x where positive, else alpha * (exp(x) - 1)"""
    return activate(x, Function("elu", alpha))


def sigmoid(x: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-x))"""
    return activate(x, "sigmoid")


def tanh(x: np.ndarray) -> np.ndarray:
    """Hyperbolic tangent"""
    return activate(x, "tanh")


def step(x: np.ndarray) -> np.ndarray:
    """1 where x > 0, else 0"""
    return activate(x, "step")


def clip(x: np.ndarray, low: float, high: float) -> np.ndarray:
    """min(max(x, low), high)"""
    return activate(x, Function("clip", low, high))


def selu(x: np.ndarray) -> np.ndarray:
    """elu scaled so that networks normalise themselves"""
    return activate(x, "selu")


def hard_sigmoid(x: np.ndarray, alpha: float = 0.2, beta: float = 0.5) -> np.ndarray:
    """alpha * x + beta, limited to 0 and 1"""
    return activate(x, Function("hardsigmoid", alpha, beta))


def hard_swish(x: np.ndarray) -> np.ndarray:
    """x * min(max(x + 3, 0), 6) / 6"""
    return activate(x, "hardswish")


def hard_tanh(x: np.ndarray) -> np.ndarray:
    """x limited to -1 and 1"""
    return activate(x, "hardtan")


def softplus(x: np.ndarray) -> np.ndarray:
    """log(1 + exp(x))"""
    return activate(x, "softplus")


def softsign(x: np.ndarray) -> np.ndarray:
    """x / (1 + |x|)"""
    return activate(x, "softsign")


def gelu(x: np.ndarray) -> np.ndarray:
    """x * (1 + erf(x / sqrt(2))) / 2"""
    return activate(x, "gelu")


def mish(x: np.ndarray) -> np.ndarray:
    """x * tanh(log(1 + exp(x)))"""
    return activate(x, "mish")


def swish(x: np.ndarray) -> np.ndarray:
    """x / (1 + exp(-x))"""
    return activate(x, "swish")


def combine(kind: str, a: np.ndarray, b: np.ndarray, *, activation: Activation = None, threads: int = 1) -> np.ndarray:
    """A function of two float32 arrays, a name of `BINARY_KINDS`, with numpy's broadcasting."""
    if kind not in BINARY_KINDS:
        raise InputError(f"unknown function {kind!r}: choose one of {', '.join(BINARY_KINDS)}")
    return run_op(ops.Binary(kind, _function(activation)), [a, b], threads=threads)[0]


def add(a: np.ndarray, b: np.ndarray, *, activation: Activation = None, threads: int = 1) -> np.ndarray:
    """a + b with numpy's broadcasting, float32"""
    return combine("add", a, b, activation=activation, threads=threads)


def subtract(a: np.ndarray, b: np.ndarray, *, activation: Activation = None, threads: int = 1) -> np.ndarray:
    """a - b with numpy's broadcasting, float32"""
    return combine("sub", a, b, activation=activation, threads=threads)


def multiply(a: np.ndarray, b: np.ndarray, *, activation: Activation = None, threads: int = 1) -> np.ndarray:
    """a * b with numpy's broadcasting, float32"""
    return combine("mul", a, b, activation=activation, threads=threads)


def divide(a: np.ndarray, b: np.ndarray, *, activation: Activation = None, threads: int = 1) -> np.ndarray:
    """a / b with numpy's broadcasting, float32"""
    return combine("div", a, b, activation=activation, threads=threads)


def reduce(
    x: np.ndarray, kind: str, axes: int | Sequence[int], *, keepdims: bool = False, threads: int = 1
) -> np.ndarray:
    """The "mean", "sum", "max", "min", "prod" or "l2" norm of float32 along axes."""
    if kind not in REDUCE_KINDS:
        raise InputError(f"unknown reduction {kind!r}: choose one of {', '.join(REDUCE_KINDS)}")
    picked = (axes,) if isinstance(axes, (int, np.integer)) else tuple(axes)
    op = ops.Reduce(kind, tuple(_axis(a, np.ndim(x)) for a in picked), keepdims)
    return run_op(op, [x], threads=threads)[0]


def pad(
    x: np.ndarray,
    widths: Sequence[tuple[int, int]],
    *,
    mode: str = "constant",
    value: float = 0.0,
    threads: int = 1,
) -> np.ndarray:
    """Float32 with ``widths`` = (before, after) elements more along each axis, as numpy.pad takes them.

    ``mode``: "constant" (with ``value``), "reflect", "edge" or "wrap".
    """
    before, after = tuple(int(b) for b, _ in widths), tuple(int(a) for _, a in widths)
    return run_op(ops.Pad(before, after, mode, value), [x], threads=threads)[0]


def matmul(a: np.ndarray, b: np.ndarray, *, threads: int = 1) -> np.ndarray:
    """Matrix product of float32 (..., M, K) and (..., K, N)"""
    return run_op(ops.MatMul(), [a, b], threads=threads)[0]


def concat(arrays: Sequence[np.ndarray], axis: int = -1, *, threads: int = 1) -> np.ndarray:
    """Joins arrays along an axis"""
    if not len(arrays):
        raise InputError("concat takes at least one array")
    return run_op(ops.Concat(_axis(axis, np.ndim(arrays[0]))), arrays, threads=threads)[0]


def _dense(array: np.ndarray) -> np.ndarray:
    if not isinstance(array, np.ndarray):
        raise InputError(f"takes numpy arrays, not {type(array).__name__}")
    return np.ascontiguousarray(array).reshape(array.shape)


def _axis(axis: int, rank: int) -> int:
    if not -rank <= axis < rank:
        raise InputError(f"axis {axis} of an array with {rank} dimensions")
    return int(axis) % rank


def _pair(value: Pair) -> tuple[int, int]:
    a, b = (value, value) if isinstance(value, (int, np.integer)) else tuple(value)
    return int(a), int(b)


def _padding(value: Pair) -> tuple[int, int, int, int]:
    if isinstance(value, (int, np.integer)) or len(value) == 2:
        v, h = _pair(value)
        return v, h, v, h
    top, left, bottom, right = value
    return int(top), int(left), int(bottom), int(right)


def _function(activation: Activation) -> Function | None:
    if activation is None or isinstance(activation, Function):
        return activation
    if activation not in UNARY_KINDS:
        raise InputError(f"unknown function {activation!r}: choose one of {', '.join(UNARY_KINDS)}")
    return DEFAULTS.get(activation, Function(activation))


def _bias(b: np.ndarray | None, filters: int) -> np.ndarray:
    return np.zeros(filters, np.float32) if b is None else b
