"""ONNX matrix products, normalisation, softmax and reductions."""

from __future__ import annotations

import math
from typing import Callable

import numpy as np

from edgecnn.graph import ops
from edgecnn.importers.onnx.context import Context


def gemm(c: Context) -> None:
    """alpha * A' @ B' + beta * C."""
    alpha, beta = c.number("alpha", 1.0), c.number("beta", 1.0)
    if len(c.shape(0)) != 2 or len(c.shape(1)) != 2:
        raise c.damaged(f"matrices of shapes {c.shape(0)} and {c.shape(1)}")
    a = c.value(0)
    if c.flag("transA"):
        a = c.add(ops.Transpose((1, 0)), [a], "a")
    trans_b = c.flag("transB")
    columns = c.shape(1)[0 if trans_b else 1]
    with_c = c.has(2) and beta != 0
    if not c.is_known(1):
        b = c.value(1) if not trans_b else c.add(ops.Transpose((1, 0)), [c.value(1)], "b")
        product = c.add(ops.MatMul(), [a, b], "product")
        if alpha != 1:
            product = c.add(ops.Binary("mul"), [product, c.scalar(alpha)], "scaled")
        add_c(c, product, beta if with_c else 0)
        return

    def matrix(w: np.ndarray) -> np.ndarray:
        w = w if trans_b else w.T
        return w if alpha == 1 else w * np.float32(alpha)  # usually a view of the file

    weights = c.converted(1, ("matrix", trans_b, alpha), matrix)
    in_bias = with_c and c.is_known(2) and c.shape(2) in ((), (1,), (columns,), (1, 1), (1, columns))
    bias = np.zeros(columns, np.float32)
    if in_bias:
        bias = np.broadcast_to(c.weights(2, "the bias").reshape(-1) * np.float32(beta), (columns,))
    inputs = [a, weights, c.constant(bias, "bias")]
    if with_c and not in_bias:
        add_c(c, c.add(ops.Dense(), inputs, "product"), beta)
    else:
        c.result(ops.Dense(), inputs)


def add_c(c: Context, product: str, beta: float) -> None:
    if beta == 0:
        c.same(product)
        return
    addend = c.value(2)
    if beta != 1:
        addend = c.add(ops.Binary("mul"), [addend, c.scalar(beta)], "beta")
    c.result(ops.Binary("add"), [product, addend])


def matmul(c: Context) -> None:
    a_shape, b_shape = c.shape(0), c.shape(1)
    if not a_shape or not b_shape:
        raise c.damaged("a product with a number instead of a matrix")
    a = c.value(0)
    if len(a_shape) == 1:
        a = c.reshape(a, (1, *a_shape), "row")
    full = c.builder.shape(a)
    op: ops.Op
    if len(b_shape) == 2 and c.is_known(1):
        flat = c.reshape(a, (math.prod(full[:-1]), full[-1]), "rows")
        weights = c.converted(1, ("matrix", False, 1.0), lambda w: w.T)
        op, inputs = ops.Dense(), [flat, weights, c.constant(np.zeros(b_shape[1], np.float32), "bias")]
        shape: tuple[int, ...] = (*full[:-1], b_shape[1])
    else:
        b = c.value(1) if len(b_shape) > 1 else c.reshape(c.value(1), (*b_shape, 1), "column")
        op, inputs = ops.MatMul(), [a, b]
        shape = (*np.broadcast_shapes(full[:-2], c.builder.shape(b)[:-2]), full[-2], c.builder.shape(b)[-1])
    if len(b_shape) == 1:
        shape = shape[:-1]
    if len(a_shape) == 1:
        shape = (*shape[:-2], *shape[-1:]) if len(b_shape) > 1 else shape[:-1]
    if len(a_shape) > 1 and len(b_shape) > 1 and (isinstance(op, ops.MatMul) or len(a_shape) == 2):
        c.result(op, inputs)
    else:
        c.result(ops.Reshape(shape), [c.add(op, inputs, "product")])


def batch_normalization(c: Context) -> None:
    if c.flag("training_mode"):
        raise c.unsupported("training mode")
    if not c.flag("spatial", True):
        raise c.unsupported("spatial=0")
    if len(c.shape(0)) < 2:
        raise c.damaged(f"an input of shape {c.shape(0)}")
    names = ("scale", "bias", "mean", "variance")
    for i, what in enumerate(names, 1):
        c.weights(i, f"the {what}")
    # Only the first output exists outside training.
    op = ops.BatchNorm(1, c.number("epsilon", 1e-5))
    c.values[c.node.outputs[0]] = c.builder.add(
        op, [c.value(i) for i in range(5)], c.node.outputs[0], c.node.outputs[:1]
    )


def softmax(log: bool) -> Callable[[Context], None]:
    def import_(c: Context) -> None:
        shape = c.shape(0)
        old = c.opset < 13
        axis = c.axis(c.integer("axis", 1 if old else -1), len(shape))
        if not old or math.prod(shape[axis + 1 :]) == 1:
            c.result(ops.Softmax(axis, log), [c.value(0)])
            return
        # Older operator sets see a matrix: everything from the axis on is one row.
        rows = c.reshape(c.value(0), (math.prod(shape[:axis]), math.prod(shape[axis:])), "rows")
        c.result(ops.Reshape(shape), [c.add(ops.Softmax(1, log), [rows], "softmax")])

    return import_


def reduce(kind: str) -> Callable[[Context], None]:
    def import_(c: Context) -> None:
        rank = len(c.shape(0))
        axes = c.axes(1)
        if not axes:
            if c.flag("noop_with_empty_axes"):
                c.same(c.value(0))
                return
            axes = list(range(rank))
        resolved = tuple(sorted({c.axis(a, rank) for a in axes}))
        c.result(ops.Reduce(kind, resolved, c.flag("keepdims", True)), [c.value(0)])

    return import_


def arg_max(c: Context) -> None:
    axis = c.axis(c.integer("axis", 0), len(c.shape(0)))
    c.result(ops.ArgMax(axis, c.flag("keepdims", True), c.flag("select_last_index")), [c.value(0)])
