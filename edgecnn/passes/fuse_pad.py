"""Padding with zeros before a convolution or an average is padding that these can do themselves."""

from __future__ import annotations

import dataclasses

from edgecnn.graph import ops
from edgecnn.graph.ir import Graph, Node
from edgecnn.passes.rewrite import Rewriter


def fuse_pad(graph: Graph) -> Graph:
    """Moves a Pad of height and width with zeros into the Conv or AveragePool that reads it."""
    rw = Rewriter(graph)
    for node in rw.nodes():
        op = node.op
        if not isinstance(op, ops.Pad) or op.mode != "constant" or op.value != 0 or len(op.before) != 4:
            continue
        if op.before[0] or op.before[3] or op.after[0] or op.after[3]:
            continue
        for reader in rw.readers(node.outputs[0]):
            wider = _padded(reader, node.outputs[0], (*op.before[1:3], *op.after[1:3]))
            if wider is not None and _fits(rw, reader, wider, node.inputs[0]):
                rw.update(reader, wider, [node.inputs[0], *reader.inputs[1:]])
    return rw.finish()


def _padded(reader: Node, value: str, more: tuple[int, ...]) -> ops.Op | None:
    """The operator of *reader* with more padding, or None if it cannot do that."""
    op = reader.op
    if reader.inputs[0] != value or value in reader.inputs[1:]:
        return None
    if isinstance(op, ops.Conv):
        top, left, bottom, right = (a + b for a, b in zip(op.padding, more))
        return dataclasses.replace(op, padding=(top, left, bottom, right))
    if isinstance(op, ops.AveragePool) and not any(op.padding) and not op.ceil_mode:
        top, left, bottom, right = more
        return dataclasses.replace(op, padding=(top, left, bottom, right), count_include_pad=True)
    return None


def _fits(rw: Rewriter, reader: Node, op: ops.Op, source: str) -> bool:
    """Whether *op* on *source* is valid and has the shape that *reader* has now (a pool refuses wide padding)."""
    try:
        specs = op.infer([rw.values[v] for v in (source, *reader.inputs[1:])])
    except ValueError:
        return False
    return specs[0][0] == rw.shape(reader.outputs[0])
