"""Folds batch normalisation, and other arithmetic with a constant per channel, into the weights that precede it.

Batch normalisation in a trained network is y = x * s + t with s = scale / sqrt(variance + epsilon) and
t = bias - mean * s; and a convolution followed by that is a convolution with weights w * s and bias b * s + t. Where
nothing precedes that could take it up, a multiplication and an addition remain. All in float64, rounded once.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgecnn.graph import ops
from edgecnn.graph.ir import Graph, Node
from edgecnn.passes.rewrite import Rewriter


def fold_batch_norm(graph: Graph) -> Graph:
    """Turns each BatchNorm into changed weights or a multiplication and an addition; folds those too where it can."""
    rw = Rewriter(graph)
    for node in rw.nodes():
        if isinstance(node.op, ops.BatchNorm):
            factors = _normalisation(rw, node)
            on_last_axis = node.op.axis == len(rw.shape(node.inputs[0])) - 1
            if factors is not None and not (on_last_axis and _fold(rw, node, node.inputs[0], *factors)):
                _spell_out(rw, node, *factors)
    for node in rw.nodes():
        if isinstance(node.op, ops.Binary) and node.op.activation is None:
            for value, other in (node.inputs, node.inputs[::-1]):
                factors = _arithmetic(rw, node.op.kind, other, value == node.inputs[0], rw.shape(value))
                if factors is not None and _fold(rw, node, value, *factors):
                    break
    return rw.finish()


def _normalisation(rw: Rewriter, node: Node) -> tuple[np.ndarray, np.ndarray] | None:
    """(s, t) of a BatchNorm of constants."""
    arrays = [rw.array(v) for v in node.inputs[1:]]
    known = [a.astype(np.float64) for a in arrays if a is not None]
    op = node.op
    if len(known) < 4 or not isinstance(op, ops.BatchNorm):
        return None
    scale, bias, mean, variance = known
    with np.errstate(all="ignore"):
        s = scale / (np.sqrt(variance) + op.epsilon if op.sqrt_first else np.sqrt(variance + op.epsilon))
        return s, bias - mean * s


def _arithmetic(
    rw: Rewriter, kind: str, other: str, constant_last: bool, shape: Sequence[int]
) -> tuple[np.ndarray, np.ndarray] | None:
    """(s, t) with x * s + t equal to ``x kind other`` (or ``other kind x``), *other* a constant per channel."""
    array = rw.array(other)
    if array is None or not shape or array.ndim > len(shape) or any(d != 1 for d in array.shape[:-1]):
        return None
    if array.size not in (1, shape[-1]) or (not constant_last and kind not in ("add", "mul", "sub")):
        return None
    c = np.broadcast_to(array.astype(np.float64).reshape(-1), (shape[-1],))
    one, zero = np.ones_like(c), np.zeros_like(c)
    if kind == "add":
        return one, c
    if kind == "sub":
        return (one, -c) if constant_last else (-one, c)
    if kind == "mul":
        return c, zero
    if kind == "div" and (c != 0).all():
        return 1 / c, zero
    return None


def _fold(rw: Rewriter, node: Node, value: str, s: np.ndarray, t: np.ndarray) -> bool:
    """Lets the maker of *value* make x * s + t; False if it cannot."""
    maker = rw.maker(value)
    if maker is None or not rw.private(value) or not isinstance(maker.op, (ops.Conv, ops.ConvTranspose, ops.Dense)):
        return False
    op = maker.op
    if op.activation is not None or (isinstance(op, ops.Conv) and (op.residual or op.pool is not None)):
        return False
    w, b = rw.array(maker.inputs[1]), rw.array(maker.inputs[2])
    if w is None or b is None or not (np.isfinite(s).all() and np.isfinite(t).all()):
        return False
    if isinstance(op, ops.ConvTranspose):  # w (O / groups, KH, KW, C): the filter depends on the group of the channel
        per_group = s.reshape(op.groups, -1).T
        scaled = w * np.repeat(per_group, w.shape[3] // op.groups, axis=1)[:, np.newaxis, np.newaxis, :]
    else:
        scaled = w * s.reshape(-1, *[1] * (w.ndim - 1))
    inputs = [
        maker.inputs[0],
        rw.constant(scaled.astype(np.float32), maker.inputs[1]),
        rw.constant((b * s + t).astype(np.float32), maker.inputs[2]),
    ]
    rw.absorb(maker, node, op, inputs)
    return True


def _spell_out(rw: Rewriter, node: Node, s: np.ndarray, t: np.ndarray) -> None:
    """Binary mul and add in place of a BatchNorm."""
    assert isinstance(node.op, ops.BatchNorm)
    shape = [1] * len(rw.shape(node.inputs[0]))
    shape[node.op.axis] = -1
    name = node.name
    scale = rw.constant(s.reshape(shape).astype(np.float32), f"{name}_scale")
    shift = rw.constant(t.reshape(shape).astype(np.float32), f"{name}_shift")
    product = rw.add(ops.Binary("mul"), [node.inputs[0], scale], f"{name}_mul")
    rw.update(node, ops.Binary("add"), [product, shift])
