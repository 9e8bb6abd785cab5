"""The 2x2 maximum behind a convolution is taken before the result goes to memory: the large map never exists."""

from __future__ import annotations

import dataclasses

from edgecnn.graph import ops
from edgecnn.graph.ir import Graph
from edgecnn.passes.rewrite import Rewriter


def fuse_pool(graph: Graph) -> Graph:
    """Moves a MaxPool of 2x2 at stride 2 without padding into the ungrouped Conv that alone feeds it."""
    rw = Rewriter(graph)
    plain = ops.MaxPool((2, 2), (2, 2))
    for node in rw.nodes():
        if not isinstance(node.op, ops.MaxPool) or not rw.private(node.inputs[0]):
            continue
        _, h, w, _ = rw.shape(node.inputs[0])
        even = h % 2 == 0 and w % 2 == 0
        if node.op != plain and not (even and node.op == dataclasses.replace(plain, ceil_mode=True)):
            continue
        conv = rw.maker(node.inputs[0])
        if conv is not None and isinstance(conv.op, ops.Conv) and conv.op.groups == 1 and conv.op.pool is None:
            rw.absorb(conv, node, dataclasses.replace(conv.op, pool=plain))
    return rw.finish()
