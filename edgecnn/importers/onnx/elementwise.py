"""ONNX operators that work element by element."""

from __future__ import annotations

import math
from typing import Callable

import numpy as np

from edgecnn.graph import ops
from edgecnn.importers.onnx.context import Context

FLOAT_MAX = float(np.finfo(np.float32).max)

SIMPLE = {
    "Relu": "relu",
    "Sigmoid": "sigmoid",
    "Tanh": "tanh",
    "HardSwish": "hardswish",
    "Softplus": "softplus",
    "Softsign": "softsign",
    "Mish": "mish",
    "Exp": "exp",
    "Log": "log",
    "Sqrt": "sqrt",
    "Abs": "abs",
    "Neg": "neg",
    "Reciprocal": "reciprocal",
    "Floor": "floor",
    "Ceil": "ceil",
    "Erf": "erf",
}


def function(make: Callable[[Context], ops.Function]) -> Callable[[Context], None]:
    """The import function of an operator that is one unary function."""

    def import_(c: Context) -> None:
        c.result(ops.Unary(make(c)), [c.value(0)])

    return import_


def leaky_relu(c: Context) -> ops.Function:
    return ops.Function("leaky", c.number("alpha", 0.01))


def elu(c: Context) -> ops.Function:
    return ops.Function("elu", c.number("alpha", 1.0))


def selu(c: Context) -> ops.Function:
    alpha, gamma = c.number("alpha", 1.67326319217681884765625), c.number("gamma", 1.05070102214813232421875)
    return ops.Function("selu", alpha, gamma)


def hard_sigmoid(c: Context) -> ops.Function:
    return ops.Function("hardsigmoid", c.number("alpha", 0.2), c.number("beta", 0.5))


def swish(c: Context) -> None:
    alpha = c.number("alpha", 1.0)
    if alpha == 1:
        c.result(ops.Unary(ops.Function("swish")), [c.value(0)])
        return
    scaled = c.add(ops.Binary("mul"), [c.value(0), c.scalar(alpha)], "scaled")
    gate = c.add(ops.Unary(ops.Function("sigmoid")), [scaled], "gate")
    c.result(ops.Binary("mul"), [c.value(0), gate])


def gelu(c: Context) -> None:
    approximate = c.text("approximate", "none")
    if approximate == "none":
        c.result(ops.Unary(ops.Function("gelu")), [c.value(0)])
        return
    if approximate != "tanh":
        raise c.damaged(f"unknown approximation {approximate!r}")
    # x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3)))
    x, half = c.value(0), c.scalar(0.5)
    square = c.add(ops.Binary("mul"), [x, x], "square")
    factor = c.add(ops.Binary("mul"), [square, c.scalar(0.044715 * math.sqrt(2 / math.pi))], "factor")
    slope = c.add(ops.Binary("add"), [factor, c.scalar(math.sqrt(2 / math.pi))], "slope")
    inner = c.add(ops.Binary("mul"), [x, slope], "inner")
    bent = c.add(ops.Unary(ops.Function("tanh")), [inner], "tanh")
    gate = c.add(ops.Binary("mul"), [c.add(ops.Binary("add"), [bent, c.scalar(1.0)], "gate"), half], "half")
    c.result(ops.Binary("mul"), [x, gate])


def clip(c: Context) -> None:
    if c.opset < 11:
        c.result(ops.Unary(ops.Function("clip", c.number("min", -FLOAT_MAX), c.number("max", FLOAT_MAX))), [c.value(0)])
    elif all(not c.has(i) or c.is_known(i) for i in (1, 2)):
        low = c.number_of(1, "min") if c.has(1) else -FLOAT_MAX
        high = c.number_of(2, "max") if c.has(2) else FLOAT_MAX
        c.result(ops.Unary(ops.Function("clip", low, high)), [c.value(0)])
    else:
        x = c.value(0)
        for i, kind in ((1, "max"), (2, "min")):
            if c.has(i):
                x = c.add(ops.Binary(kind), [x, c.value(i)], f"bound{i}")
        c.same(x)


def binary(kind: str) -> Callable[[Context], None]:
    def import_(c: Context) -> None:
        c.result(ops.Binary(kind), [c.value(0), c.value(1)])

    return import_


def power(c: Context) -> None:
    """Pow, whose exponent may be of another type than its base."""
    exponent = c.node.inputs[1] if c.has(1) else ""
    array = c.constant_of(exponent)
    if array is not None and array.dtype.kind in "iuf" and array.dtype != np.float32:
        c.result(ops.Binary("pow"), [c.value(0), c.constant(array.astype(np.float32), "exponent")])
    else:
        binary("pow")(c)


def variadic(kind: str, mean: bool = False) -> Callable[[Context], None]:
    """Max, Min, Sum and Mean of any number of inputs."""

    def import_(c: Context) -> None:
        if not c.node.inputs:
            raise c.damaged("has no inputs")
        x = c.value(0)
        for i in range(1, len(c.node.inputs)):
            last = i == len(c.node.inputs) - 1 and not mean
            if last:
                c.result(ops.Binary(kind), [x, c.value(i)])
            else:
                x = c.add(ops.Binary(kind), [x, c.value(i)], f"{kind}{i}")
        if len(c.node.inputs) == 1:
            c.same(x)
        elif mean:
            c.result(ops.Binary("mul"), [x, c.scalar(1 / len(c.node.inputs))])

    return import_


def cast(c: Context) -> None:
    names = {1: "float32", 6: "int32", 7: "int64"}
    to = c.integer("to", 0)
    if to not in names:
        raise c.unsupported(f"conversion to the element type {to} while the network runs")
    if c.dtype(0) == np.dtype(names[to]):
        c.same(c.value(0))
    else:
        c.result(ops.Cast(names[to]), [c.value(0)])


def identity(c: Context) -> None:
    c.same(c.value(0))


def dropout(c: Context) -> None:
    ratio = c.number_of(1, "the ratio") if c.has(1) else 0.5
    if c.has(2) and c.number_of(2, "training_mode") and ratio:
        raise c.unsupported("training mode")
    c.same(c.value(0))
