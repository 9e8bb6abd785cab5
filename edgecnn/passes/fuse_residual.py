"""The addition that closes a residual block is done by the block's last convolution while its result is at hand."""

from __future__ import annotations

import dataclasses

from edgecnn.graph import ops
from edgecnn.graph.ir import Graph, Node
from edgecnn.passes.rewrite import Rewriter


def fuse_residual(graph: Graph) -> Graph:
    """Moves a Binary add of two values of one shape into the Conv that makes one of them.

    A convolution without activation adds before it and takes over the addition's own activation (ResNet, MobileNetV2);
    one with an activation adds after it (Darknet).
    """
    rw = Rewriter(graph)
    position = {node.name: i for i, node in enumerate(graph.nodes)}
    for node in rw.nodes():
        if not isinstance(node.op, ops.Binary) or node.op.kind != "add":
            continue
        # Of two convolutions the later one: the other's result exists by then.
        makers = [m for m in map(rw.maker, node.inputs) if m is not None and isinstance(m.op, ops.Conv)]
        for conv in sorted(makers, key=lambda m: -position[m.name]):
            if _fuse(rw, conv, node, node.op):
                break
    return rw.finish()


def _fuse(rw: Rewriter, conv: Node, node: Node, add: ops.Binary) -> bool:
    op, made = conv.op, conv.outputs[0]
    others = [v for v in node.inputs if v != made]
    if not isinstance(op, ops.Conv) or op.residual or op.pool is not None or len(others) != 1 or not rw.private(made):
        return False
    residual = others[0]
    if rw.shape(residual) != rw.shape(made) or rw.array(residual) is not None:
        return False
    if op.activation is not None and add.activation is not None:
        return False
    if op.activation is None:
        fused = dataclasses.replace(op, residual="before", activation=add.activation)
    else:
        fused = dataclasses.replace(op, residual="after")
    rw.absorb(conv, node, fused, [*conv.inputs, residual])
    return True
