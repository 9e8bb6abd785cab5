"""A matrix product with a constant matrix is a fully connected layer without bias."""

from __future__ import annotations

import numpy as np

from edgecnn.graph import ops
from edgecnn.graph.ir import Graph
from edgecnn.passes.rewrite import Rewriter


def matmul_to_dense(graph: Graph) -> Graph:
    """Rewrites MatMul (M, K) by a constant (K, O) as Dense, so that bias and activation can join it."""
    rw = Rewriter(graph)
    for node in rw.nodes():
        if isinstance(node.op, ops.MatMul):
            x, matrix = node.inputs[0], rw.array(node.inputs[1])
            if len(rw.shape(x)) == 2 and matrix is not None and matrix.ndim == 2:
                w = rw.constant(matrix.T, node.inputs[1])
                b = rw.constant(np.zeros(matrix.shape[1], np.float32), f"{node.name}_bias")
                rw.update(node, ops.Dense(), [x, w, b])
    return rw.finish()
