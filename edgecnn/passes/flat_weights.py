"""The weights of fully connected layers as matrices, for formats that know no others."""

from __future__ import annotations

import math

from edgecnn.graph import ops
from edgecnn.graph.ir import Graph
from edgecnn.passes.rewrite import Rewriter


def flat_weights(graph: Graph) -> Graph:
    """Gives each Dense whose weights have more than two axes a copy with two."""
    rw = Rewriter(graph)
    for node in rw.nodes():
        w = rw.array(node.inputs[1]) if isinstance(node.op, ops.Dense) else None
        if w is not None and w.ndim > 2:
            x, name, b = node.inputs
            rw.update(node, inputs=[x, rw.constant(w.reshape(len(w), math.prod(w.shape[1:])), name), b])
    return rw.finish()
