"""The unary functions of the IR in builtin operators of TensorFlow Lite."""

from __future__ import annotations

import math
from typing import Callable

from edgecnn.errors import UnsupportedOperator
from edgecnn.exporters.tflite_context import Context
from edgecnn.graph.ops import UNARY_KINDS, Function
from edgecnn.tflite_schema import ACTIVATION_NONE, ACTIVATION_RELU, ACTIVATION_RELU6, ACTIVATION_RELU_N1_TO_1

# The functions that are one operator.
BUILTIN: dict[str, str] = {
    "relu": "RELU",
    "relu6": "RELU6",
    "sigmoid": "LOGISTIC",
    "tanh": "TANH",
    "hardswish": "HARD_SWISH",
    "hardtan": "RELU_N1_TO_1",
    "gelu": "GELU",
    "exp": "EXP",
    "log": "LOG",
    "sqrt": "SQRT",
    "abs": "ABS",
    "neg": "NEG",
    "floor": "FLOOR",
    "ceil": "CEIL",
}

# What "clip" is for these limits.
_CLIPS = {(0.0, math.inf): "relu", (0.0, 6.0): "relu6", (-1.0, 1.0): "hardtan"}

_FUSED = {"relu": ACTIVATION_RELU, "relu6": ACTIVATION_RELU6, "hardtan": ACTIVATION_RELU_N1_TO_1}


def split_activation(function: Function | None) -> tuple[int, Function | None]:
    """(code of the activation that an operator takes with it, the function that is left to apply)."""
    if function is None:
        return ACTIVATION_NONE, None
    code = _FUSED.get(_plain(function).kind, ACTIVATION_NONE)
    return code, None if code else function


def _plain(function: Function) -> Function:
    kind = _CLIPS.get((function.alpha, function.beta)) if function.kind == "clip" else None
    return Function(kind) if kind else function


def apply(c: Context, function: Function, x: int) -> int:
    """f(x)."""
    function = _plain(function)
    if function.kind in BUILTIN:
        return c.unary(BUILTIN[function.kind], x)
    if function.kind not in COMPOSED:
        raise UnsupportedOperator(f"the function {function.kind!r} ({UNARY_KINDS[function.kind]})")
    return COMPOSED[function.kind](c, x, function.alpha, function.beta)


def _scaled(c: Context, x: int, factor: float) -> int:
    return x if factor == 1 else c.binary("MUL", x, c.scalar(factor))


def _clip(c: Context, x: int, low: float, high: float) -> int:
    if math.isfinite(low) or math.isnan(low):
        x = c.binary("MAXIMUM", x, c.scalar(low))
    if math.isfinite(high) or math.isnan(high) or not math.isfinite(low):
        x = c.binary("MINIMUM", x, c.scalar(high))
    return x


def _elu(c: Context, x: int, alpha: float, beta: float) -> int:
    """max(x, 0) + alpha * elu(min(x, 0)), where ELU is the builtin with alpha = 1."""
    if alpha == 1:
        return c.unary("ELU", x)
    below = c.unary("ELU", c.binary("MINIMUM", x, c.scalar(0)))
    return c.binary("ADD", c.unary("RELU", x), _scaled(c, below, alpha))


def _selu(c: Context, x: int, alpha: float, beta: float) -> int:
    return _scaled(c, _elu(c, x, alpha, 0.0), beta)


def _hardsigmoid(c: Context, x: int, alpha: float, beta: float) -> int:
    return _clip(c, c.binary("ADD", _scaled(c, x, alpha), c.scalar(beta)), 0, 1)


def _softplus(c: Context, x: int) -> int:
    """max(x, 0) + log(1 + exp(-|x|)), which never overflows."""
    small = c.unary("EXP", c.unary("NEG", c.unary("ABS", x)))
    return c.binary("ADD", c.unary("RELU", x), c.unary("LOG", c.binary("ADD", small, c.scalar(1))))


def _mish(c: Context, x: int, alpha: float, beta: float) -> int:
    return c.binary("MUL", x, c.unary("TANH", _softplus(c, x)))


def _softsign(c: Context, x: int, alpha: float, beta: float) -> int:
    return c.binary("DIV", x, c.binary("ADD", c.unary("ABS", x), c.scalar(1)))


def _step(c: Context, x: int, alpha: float, beta: float) -> int:
    """min(ceil(max(x, 0)), 1)."""
    return c.binary("MINIMUM", c.unary("CEIL", c.unary("RELU", x)), c.scalar(1))


def _erf(c: Context, x: int, alpha: float, beta: float) -> int:
    """From gelu(u) = u / 2 * (1 + erf(u / sqrt(2))): sign(x) * (2 * gelu(u) / u - 1) with u = |x| * sqrt(2).

    u is kept above 1e-6, where erf is about as small, so that 0 / 0 does not arise.
    """
    size = c.unary("ABS", x)
    u = c.binary("MAXIMUM", _scaled(c, size, math.sqrt(2)), c.scalar(1e-6))
    ratio = c.binary("DIV", c.unary("GELU", u), u)
    positive = c.binary("SUB", _scaled(c, ratio, 2), c.scalar(1))
    sign = c.binary("DIV", x, c.binary("MAXIMUM", size, c.scalar(1e-30)))
    return c.binary("MUL", sign, positive)


COMPOSED: dict[str, Callable[[Context, int, float, float], int]] = {
    "leaky": lambda c, x, alpha, beta: c.unary("LEAKY_RELU", x, alpha=alpha),
    "clip": _clip,
    "elu": _elu,
    "selu": _selu,
    "hardsigmoid": _hardsigmoid,
    "softplus": lambda c, x, alpha, beta: _softplus(c, x),
    "softsign": _softsign,
    "mish": _mish,
    "swish": lambda c, x, alpha, beta: c.binary("MUL", x, c.unary("LOGISTIC", x)),
    "step": _step,
    "reciprocal": lambda c, x, alpha, beta: c.binary("DIV", c.scalar(1), x),
    "erf": _erf,
}
