"""A scale and a shift per channel are a depthwise convolution of 1x1: one pass over memory in place of two or three.

That is what remains of a batch normalisation that no convolution precedes (DenseNet, pre-activation ResNet), and how
files normalise their input. As a convolution it also takes up the function behind it.
"""

from __future__ import annotations

import numpy as np

from edgecnn.graph import ops
from edgecnn.graph.ir import Graph, Node
from edgecnn.passes.rewrite import Rewriter


def fuse_scale(graph: Graph) -> Graph:
    """Rewrites Binary mul, Binary add by constants per channel of an NHWC map as one depthwise Conv."""
    rw = Rewriter(graph)
    for node in rw.nodes():
        product, shift = _by_channel(rw, node, "add")
        maker = rw.maker(product)
        if shift is None or maker is None or not rw.private(product):
            continue
        source, scale = _by_channel(rw, maker, "mul")
        if scale is not None:
            w = rw.constant(scale.reshape(-1, 1, 1, 1), f"{node.name}_scale")
            b = rw.constant(shift, f"{node.name}_shift")
            rw.absorb(maker, node, ops.Conv(groups=len(scale)), [source, w, b])
    return rw.finish()


def _by_channel(rw: Rewriter, node: Node, kind: str) -> tuple[str, np.ndarray | None]:
    """(x, c) where *node* computes ``x kind c`` for a map x and one constant per channel; else c is None."""
    if node.op != ops.Binary(kind):
        return "", None
    shape = rw.shape(node.outputs[0])
    for value, other in (node.inputs, node.inputs[::-1]):
        array = rw.array(other)
        if array is None or rw.array(value) is not None or len(shape) != 4 or rw.shape(value) != shape:
            continue
        if all(d == 1 for d in array.shape[:-1]) and array.size in (1, shape[3]):
            return value, np.broadcast_to(array.reshape(-1), shape[3:])
    return "", None
