"""What a graph costs: arithmetic, parameters, bytes.

FLOP are counted as papers do it: two per multiply-accumulate of convolutions, fully connected layers and matrix
products (padding counts as work), nothing for the rest (bias, activation, pooling).
"""

from __future__ import annotations

from collections.abc import Iterable

from edgecnn.graph import ops
from edgecnn.graph.ir import Graph, Node


def node_flops(graph: Graph, node: Node) -> int:
    """FLOP of one node."""
    op = node.op
    if not isinstance(op, (ops.Conv, ops.ConvTranspose, ops.Dense, ops.MatMul)):
        return 0
    inputs = [graph.values[v] for v in node.inputs]
    if isinstance(op, ops.Conv):
        n, oh, ow, _ = op.conv_shape(inputs)
        return 2 * n * oh * ow * inputs[1].size
    if isinstance(op, ops.ConvTranspose):
        n, h, w, _ = inputs[0].shape
        return 2 * n * h * w * inputs[1].size
    return 2 * graph.values[node.outputs[0]].size * inputs[0].shape[-1]


def node_params(graph: Graph, node: Node) -> int:
    """Number of parameters that a node reads."""
    return sum(graph.values[v].size for v in _parameters(graph, [node]))


def node_bytes(graph: Graph, node: Node) -> int:
    """Bytes of the maps that a node reads and writes, constants left out."""
    names = [name for name in (*dict.fromkeys(node.inputs), *node.outputs) if name not in graph.constants]
    return sum(graph.values[name].nbytes for name in names)


def mflop(graph: Graph) -> float:
    """Millions of floating-point operations of one run."""
    return sum(node_flops(graph, node) for node in graph.nodes) / 1e6


def parameters(graph: Graph) -> int:
    """Number of parameters; those that several nodes read count once."""
    return sum(graph.values[v].size for v in _parameters(graph, graph.nodes))


def _parameters(graph: Graph, nodes: Iterable[Node]) -> set[str]:
    """The float constants that nodes read, without the biases of zeros that importers put before a normalisation."""
    normalised = _normalised(graph)
    found: set[str] = set()
    for node in nodes:
        for i, value in enumerate(node.inputs):
            array = graph.constants.get(value)
            if array is None or array.dtype.kind != "f":
                continue
            is_bias = i == 2 and isinstance(node.op, (ops.Conv, ops.ConvTranspose, ops.Dense))
            if not is_bias or node.outputs[0] not in normalised or array.any():
                found.add(value)
    return found


def _normalised(graph: Graph) -> set[str]:
    """The values that a BatchNorm reads, be it through a Transpose."""
    found: set[str] = set()
    for node in reversed(graph.nodes):
        if isinstance(node.op, ops.BatchNorm) or (isinstance(node.op, ops.Transpose) and node.outputs[0] in found):
            found.add(node.inputs[0])
    return found
