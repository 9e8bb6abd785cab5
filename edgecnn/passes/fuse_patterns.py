"""Finds functions that a file spells out in several operators: swish, mish, hardswish, leaky, clip and others."""

from __future__ import annotations

from collections.abc import Iterator
from math import isclose

from edgecnn.graph import ops
from edgecnn.graph.ir import Graph, Node
from edgecnn.graph.ops import Function
from edgecnn.passes.rewrite import Rewriter


def fuse_patterns(graph: Graph) -> Graph:
    """Rewrites groups of Unary and Binary operators that compute a known function as one Unary."""
    rw = Rewriter(graph)
    for node in rw.nodes():
        if not isinstance(node.op, ops.Binary) or node.op.activation is not None:
            continue
        for source, function in _candidates(rw, node, node.op.kind):
            if rw.shape(source) == rw.shape(node.outputs[0]):
                rw.update(node, ops.Unary(function), [source])
                break
    return rw.finish()


def _candidates(rw: Rewriter, node: Node, kind: str) -> Iterator[tuple[str, Function]]:
    """(x, f) where the output of *node* equals f(x), up to broadcasting."""
    for a, b in (node.inputs, node.inputs[::-1]):
        c = rw.scalar(b)
        if kind == "mul":
            yield from _gated(rw, a, b)
        if kind == "max":
            slope = _scaled(rw, b, a)
            if slope is not None and 0 <= slope <= 1:
                yield a, Function("leaky", slope)
        if c is not None and kind in ("max", "min"):
            yield from _clamp(rw, a, kind, c)
        if c is not None and kind == "mul":
            yield from _sixth(rw, a, c)
        if c and kind == "div" and b == node.inputs[1]:
            yield from _sixth(rw, a, 1 / c)
        if c is not None and kind == "prelu" and b == node.inputs[1]:
            yield a, Function("leaky", c)


def _gated(rw: Rewriter, x: str, gate: str) -> Iterator[tuple[str, Function]]:
    """x * f(x): swish, hardswish and mish."""
    f, argument = _function_of(rw, gate)
    if f is None:
        return
    if argument == x and f.kind == "sigmoid":
        yield x, Function("swish")
    if argument == x and f.kind == "hardsigmoid" and isclose(f.alpha, 1 / 6, rel_tol=1e-5) and f.beta == 0.5:
        yield x, Function("hardswish")
    if f.kind == "tanh":
        inner, argument = _function_of(rw, argument)
        if inner is not None and inner.kind == "softplus" and argument == x:
            yield x, Function("mish")


def _sixth(rw: Rewriter, product: str, factor: float) -> Iterator[tuple[str, Function]]:
    """relu6(x + 3) / 6 is a hardsigmoid, x * relu6(x + 3) / 6 hardswish."""
    if not isclose(factor, 1 / 6, rel_tol=1e-5):
        return
    x = _relu6_of_plus_3(rw, product)
    if x is not None:
        yield x, Function("hardsigmoid", 1 / 6, 0.5)
    maker = rw.maker(product)
    if maker is not None and maker.op == ops.Binary("mul") and rw.private(product):
        for x, gate in (maker.inputs, maker.inputs[::-1]):
            if _relu6_of_plus_3(rw, gate) == x:
                yield x, Function("hardswish")


def _clamp(rw: Rewriter, x: str, kind: str, bound: float) -> Iterator[tuple[str, Function]]:
    """max(x, 0), and min and max one after the other."""
    inner, argument = _function_of(rw, x)
    if kind == "max":
        yield x, Function("relu") if bound == 0 else Function("clip", bound, float("inf"))
        return
    if inner is not None and inner.kind == "relu" and bound >= 0:
        yield argument, Function("relu6") if bound == 6 else Function("clip", 0.0, bound)
    elif inner is not None and inner.kind == "clip" and inner.beta == float("inf") and bound >= inner.alpha:
        yield argument, Function("clip", inner.alpha, bound)
    else:
        yield x, Function("clip", float("-inf"), bound)


def _function_of(rw: Rewriter, value: str) -> tuple[Function | None, str]:
    """(f, x) where *value* is f(x) and read by nothing else."""
    maker = rw.maker(value)
    if maker is None or not isinstance(maker.op, ops.Unary) or not rw.private(value):
        return None, ""
    return maker.op.function, maker.inputs[0]


def _scaled(rw: Rewriter, value: str, x: str) -> float | None:
    """The constant c where *value* is c * x and read by nothing else."""
    maker = rw.maker(value)
    if maker is None or maker.op != ops.Binary("mul") or x not in maker.inputs or not rw.private(value):
        return None
    return rw.scalar(maker.inputs[1] if maker.inputs[0] == x else maker.inputs[0])


def _relu6_of_plus_3(rw: Rewriter, value: str) -> str | None:
    """x where *value* is relu6(x + 3) and read by nothing else."""
    f, total = _function_of(rw, value)
    if f is None or (f.kind != "relu6" and not (f.kind == "clip" and (f.alpha, f.beta) == (0, 6))):
        return None
    maker = rw.maker(total)
    if maker is None or maker.op != ops.Binary("add") or not rw.private(total):
        return None
    for x, other in (maker.inputs, maker.inputs[::-1]):
        if rw.scalar(other) == 3:
            return x
    return None
