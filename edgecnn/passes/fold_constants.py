"""Nodes that read only constants are evaluated once, here."""

from __future__ import annotations

from edgecnn.graph import ops
from edgecnn.graph.ir import Graph
from edgecnn.graph.reference import evaluate
from edgecnn.passes.rewrite import Rewriter

MAX_FOLDED_ELEMENTS = 1 << 24  # of all results together (64 MiB): a small hostile file must not become a huge graph

# Operators whose work is proportional to their inputs and outputs.
FOLDABLE = (
    ops.Unary,
    ops.Binary,
    ops.BatchNorm,
    ops.Cast,
    ops.Concat,
    ops.Slice,
    ops.Split,
    ops.Pad,
    ops.Reshape,
    ops.Transpose,
    ops.Expand,
    ops.Tile,
    ops.Reduce,
    ops.ArgMax,
    ops.Softmax,
)


def fold_constants(graph: Graph) -> Graph:
    """Replaces nodes of constants by constants, as long as the results stay small."""
    rw = Rewriter(graph)
    budget = MAX_FOLDED_ELEMENTS
    for node in rw.nodes():
        arrays = [rw.array(v) for v in node.inputs]
        size = sum(rw.values[v].size for v in node.outputs)
        known = [a for a in arrays if a is not None and a.size]  # a maximum of no elements does not exist
        is_output = any(v in graph.outputs for v in node.outputs)
        if not isinstance(node.op, FOLDABLE) or len(known) < len(arrays) or size > budget or is_output:
            continue
        budget -= size
        results = evaluate(node.op, known)
        rw.remove(node)
        for value, result in zip(node.outputs, results):
            rw.constants[value] = result.astype(rw.values[value].dtype).reshape(rw.shape(value))
    return rw.finish()
