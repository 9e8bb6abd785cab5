"""A function that never falls may be applied before a maximum as well as after it; before, a convolution can do it."""

from __future__ import annotations

from edgecnn.graph import ops
from edgecnn.graph.ir import Graph
from edgecnn.passes.rewrite import Rewriter


def pool_last(graph: Graph) -> Graph:
    """Rewrites Conv, MaxPool, Unary as Conv, Unary, MaxPool, so that the other passes find the order they know."""
    rw = Rewriter(graph)
    for node in rw.nodes():
        if not isinstance(node.op, ops.Unary) or not _cheap_and_rising(node.op.function):
            continue
        pool = rw.maker(node.inputs[0])
        if pool is None or not isinstance(pool.op, ops.MaxPool) or not rw.private(pool.outputs[0]):
            continue
        conv = rw.maker(pool.inputs[0])
        if (
            conv is not None
            and isinstance(conv.op, ops.Conv)
            and conv.op.activation is None
            and rw.private(pool.inputs[0])
        ):
            activated = rw.add(node.op, pool.inputs, f"{node.name}_first")
            rw.absorb(pool, node, pool.op, [activated])
    return rw.finish()


def _cheap_and_rising(function: ops.Function) -> bool:
    # Cheap, because before the pool there are more elements: what the convolution does in registers costs nothing.
    return function.kind in ops.REGISTER_KINDS and not (function.kind == "leaky" and function.alpha < 0)
