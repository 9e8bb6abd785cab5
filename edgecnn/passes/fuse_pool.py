"""The maximum behind a convolution becomes part of it: where its kernel can take it, the large map never exists."""

from __future__ import annotations

import dataclasses

from edgecnn.graph import ops
from edgecnn.graph.ir import Graph
from edgecnn.passes.rewrite import Rewriter


def fuse_pool(graph: Graph) -> Graph:
    """Moves an undilated MaxPool into the ungrouped Conv that alone feeds it; the planner may take them apart again."""
    rw = Rewriter(graph)
    for node in rw.nodes():
        pool = node.op
        if not isinstance(pool, ops.MaxPool) or pool.dilations != (1, 1) or not rw.private(node.inputs[0]):
            continue
        conv = rw.maker(node.inputs[0])
        if conv is not None and isinstance(conv.op, ops.Conv) and conv.op.groups == 1 and conv.op.pool is None:
            _, h, w, _ = rw.shape(node.inputs[0])
            if (pool.kernel, pool.strides) == ((2, 2), (2, 2)) and h % 2 == 0 and w % 2 == 0:
                pool = dataclasses.replace(pool, ceil_mode=False)
            rw.absorb(conv, node, dataclasses.replace(conv.op, pool=pool))
    return rw.finish()
