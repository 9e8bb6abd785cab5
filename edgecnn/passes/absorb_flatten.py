"""The transpose before Flatten and a fully connected layer goes into the layer's weights.

A classifier written for NCHW flattens (C, H, W); what is stored is (H, W, C). Instead of bringing every picture into
the other order, the columns of the weight matrix are, once.
"""

from __future__ import annotations

import numpy as np

from edgecnn.graph import ops
from edgecnn.graph.ir import Graph, Node
from edgecnn.passes.rewrite import Rewriter


def absorb_flatten(graph: Graph) -> Graph:
    """Rewrites Transpose, Reshape (N, K), [functions], Dense as Reshape, [functions], Dense."""
    rw = Rewriter(graph)
    for node in rw.nodes():
        if isinstance(node.op, ops.Reshape):
            transpose = rw.maker(node.inputs[0])
            if transpose is not None and isinstance(transpose.op, ops.Transpose):
                _absorb(rw, node, transpose)
    return rw.finish()


def _absorb(rw: Rewriter, reshape: Node, transpose: Node) -> None:
    assert isinstance(transpose.op, ops.Transpose)
    perm, shape = transpose.op.perm, rw.shape(reshape.inputs[0])
    flat = rw.shape(reshape.outputs[0])
    if len(flat) != 2 or not shape or shape[0] != flat[0] or perm[0] != 0:
        return
    layers = _dense_readers(rw, reshape.outputs[0])
    if layers is None:
        return
    back = [0, *(1 + int(i) for i in np.argsort(perm[1:]))]
    for layer in layers:
        w = rw.constants[layer.inputs[1]]
        columns = w.reshape(w.shape[0], *shape[1:]).transpose(back)  # a view; packing brings them into this order
        rw.update(layer, inputs=[layer.inputs[0], rw.constant(columns, layer.inputs[1]), layer.inputs[2]])
    rw.update(reshape, inputs=transpose.inputs)


def _dense_readers(rw: Rewriter, value: str) -> list[Node] | None:
    """The fully connected layers that *value* reaches, if through functions it reaches nothing else."""
    found: list[Node] = []
    ahead = [value]
    while ahead:
        value = ahead.pop()
        if value in rw.graph.outputs:
            return None
        for reader in rw.readers(value):
            op, inputs = reader.op, reader.inputs
            if isinstance(op, ops.Unary):
                ahead.append(reader.outputs[0])
            elif isinstance(op, ops.Dense) and inputs.count(value) == 1 and rw.array(inputs[1]) is not None:
                found.append(reader)
            else:
                return None
    return found
