"""A function right behind a convolution, a fully connected layer or an addition is applied where the result is made."""

from __future__ import annotations

import dataclasses

from edgecnn.graph import ops
from edgecnn.graph.ir import Graph
from edgecnn.passes.rewrite import Rewriter


def fuse_activation(graph: Graph) -> Graph:
    """Moves a Unary into the ``activation`` of the Conv, ConvTranspose, Dense or Binary that alone feeds it."""
    rw = Rewriter(graph)
    for node in rw.nodes():
        if not isinstance(node.op, ops.Unary) or not rw.private(node.inputs[0]):
            continue
        maker = rw.maker(node.inputs[0])
        if maker is None or not isinstance(maker.op, (ops.Conv, ops.ConvTranspose, ops.Dense, ops.Binary)):
            continue
        op = maker.op
        if op.activation is None and not (isinstance(op, ops.Conv) and (op.pool is not None or op.residual == "after")):
            rw.absorb(maker, node, dataclasses.replace(op, activation=node.op.function))
    return rw.finish()
