"""Receptive fields: how much of the picture each number of a map has seen.

A layer with windows of k (k' = (k - 1) * dilation + 1 with holes) and stride s makes of a field r, whose neighbours
lie j pixels apart,

    r' = r + (k' - 1) * j,    j' = j * s,    from r = 1, j = 1 at the input.

Windows that reach into the padding count in full, so a field may be larger than the picture. Behind a Resize by a
factor that is no whole number j is a mean, and a field may see a pixel or two more.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from edgecnn.graph import ops
from edgecnn.graph.ir import Graph, Node


@dataclass(frozen=True)
class Field:
    """Of one axis: size of the field, distance of neighbouring fields, both in pixels; cells of the map."""

    size: float
    jump: float
    cells: int

    def window(self, kernel: int, stride: int, dilation: int, cells: int) -> Field:
        """Behind windows."""
        return Field(self.size + (kernel - 1) * dilation * self.jump, self.jump * stride, cells)

    def spread(self, kernel: int, stride: int, cells: int) -> Field:
        """Behind a transposed convolution, whose results see every stride-th tap."""
        return Field(self.size + (math.ceil(kernel / stride) - 1) * self.jump, self.jump / stride, cells)

    def whole(self) -> Field:
        """Behind what sees all cells."""
        return Field(self.size + (self.cells - 1) * self.jump, self.jump * self.cells, 1)


Fields = tuple[Field, Field]  # vertical, horizontal


def receptive_fields(graph: Graph) -> dict[str, tuple[int, int]]:
    """Height and width of the field of each node's outputs, by the node's name; of those that see a picture."""
    fields: dict[str, Fields] = {}
    for spec in graph.input_specs:
        if len(spec.shape) == 4:
            h, w = spec.shape[2:] if spec.shape[1] in (1, 3, 4) else spec.shape[1:3]
            fields[spec.name] = Field(1, 1, h), Field(1, 1, w)
    found: dict[str, tuple[int, int]] = {}
    for node in graph.nodes:
        seen = [fields[v] for v in node.inputs if v in fields]
        if not seen:
            continue
        widest = max((f[0] for f in seen), key=_size), max((f[1] for f in seen), key=_size)
        result = _behind(graph, node, widest)
        fields.update(dict.fromkeys(node.outputs, result))
        found[node.name] = math.ceil(result[0].size), math.ceil(result[1].size)
    return found


def _size(field: Field) -> float:
    return field.size


def _behind(graph: Graph, node: Node, fields: Fields) -> Fields:
    """The fields behind a node whose inputs' are *fields*."""
    op, shape = node.op, graph.values[node.outputs[0]].shape
    v, h = fields
    if isinstance(op, ops.Conv):
        _, kh, kw, _ = graph.values[node.inputs[1]].shape
        _, rows, columns, _ = op.conv_shape([graph.values[name] for name in node.inputs])
        v = v.window(kh, op.strides[0], op.dilations[0], rows)
        h = h.window(kw, op.strides[1], op.dilations[1], columns)
        return (v, h) if op.pool is None else _pooled(op.pool, v, h, shape)
    if isinstance(op, (ops.MaxPool, ops.AveragePool)):
        return _pooled(op, v, h, shape)
    if isinstance(op, ops.ConvTranspose):
        _, kh, kw, _ = graph.values[node.inputs[1]].shape
        return v.spread(kh, op.strides[0], shape[1]), h.spread(kw, op.strides[1], shape[2])
    if isinstance(op, ops.Resize):
        seen = 1 if op.mode == "linear" else 0
        return tuple(  # type: ignore[return-value]
            Field(f.size + seen * f.jump, f.jump * f.cells / n, n) for f, n in zip((v, h), op.size)
        )
    if isinstance(op, (ops.Dense, ops.MatMul)) or (isinstance(op, ops.Reduce) and len(op.axes) > 1):
        return v.whole(), h.whole()
    if isinstance(op, ops.Reshape) and len(shape) == 4:
        return _stacked(v, shape[2]), _stacked(h, shape[3])
    return v, h


def _pooled(op: ops.MaxPool | ops.AveragePool, v: Field, h: Field, shape: tuple[int, ...]) -> Fields:
    dilations = op.dilations if isinstance(op, ops.MaxPool) else (1, 1)
    return (
        v.window(op.kernel[0], op.strides[0], dilations[0], shape[1]),
        h.window(op.kernel[1], op.strides[1], dilations[1], shape[2]),
    )


def _stacked(field: Field, cells: int) -> Field:
    """Behind a Reshape to a map in the order C, H, W: [reorg] stacks neighbouring cells into channels."""
    if cells == 0 or field.cells % cells or field.cells == cells:
        return field
    together = field.cells // cells
    return field.window(together, together, 1, cells)
