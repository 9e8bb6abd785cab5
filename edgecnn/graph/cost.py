"""What a graph costs: arithmetic, parameters, bytes."""

from __future__ import annotations

from edgecnn.graph import ops
from edgecnn.graph.ir import Graph, Node


def flop(graph: Graph, node: Node) -> int:
    """Floating-point operations of the products in a node (a multiply-add is two); 0 for everything else.

    That is how papers count: bias, activations and pooling are left out.
    """
    op = node.op
    shapes = [graph.values[name].shape for name in node.inputs]
    if isinstance(op, ops.Conv):
        n, oh, ow, filters = op.conv_shape([graph.values[name] for name in node.inputs])
        _, kh, kw, depth = shapes[1]
        return 2 * n * oh * ow * filters * kh * kw * depth
    if isinstance(op, ops.ConvTranspose):
        n, h, w, c = shapes[0]
        out_per_group, kh, kw, _ = shapes[1]
        return 2 * n * h * w * c * kh * kw * out_per_group
    if isinstance(op, ops.Dense):
        return 2 * shapes[0][0] * shapes[1][0] * shapes[1][1]
    if isinstance(op, ops.MatMul):
        return 2 * graph.values[node.outputs[0]].size * shapes[0][-1]
    return 0


def mflop(graph: Graph) -> float:
    """Millions of floating-point operations of one run."""
    return sum(flop(graph, node) for node in graph.nodes) / 1e6


def parameters(graph: Graph) -> int:
    """Number of elements of all float constants."""
    return sum(array.size for array in graph.constants.values() if array.dtype.kind == "f")


def node_parameters(graph: Graph, node: Node) -> int:
    """Number of elements of a node's float constants."""
    arrays = [graph.constants[name] for name in dict.fromkeys(node.inputs) if name in graph.constants]
    return sum(array.size for array in arrays if array.dtype.kind == "f")


def node_bytes(graph: Graph, node: Node) -> int:
    """Bytes of the maps that a node reads and writes, constants left out."""
    names = [name for name in (*dict.fromkeys(node.inputs), *node.outputs) if name not in graph.constants]
    return sum(graph.values[name].nbytes for name in names)
