"""Removes what changes nothing: identities, reshapes of reshapes, functions applied twice, repeated nodes."""

from __future__ import annotations

from edgecnn.graph import ops
from edgecnn.graph.ir import Graph, Node
from edgecnn.passes.rewrite import Rewriter

# Functions with f(f(x)) == f(x).
IDEMPOTENT = frozenset({"relu", "relu6", "clip", "hardtan", "abs", "floor", "ceil", "step"})


def eliminate(graph: Graph) -> Graph:
    """Removes nodes that give what they get, or what another node gives already."""
    rw = Rewriter(graph)
    for node in rw.nodes():
        if len(node.outputs) == 1:
            value = _same_as(rw, node)
            if value is not None:
                rw.bypass(node, value)
            else:
                _merge(rw, node)
    _join_repeated(rw)
    return rw.finish()


def _same_as(rw: Rewriter, node: Node) -> str | None:
    """The input that the output of *node* always equals, if there is one."""
    op, first = node.op, node.inputs[0]
    same_shape = rw.shape(first) == rw.shape(node.outputs[0])
    if isinstance(op, (ops.Reshape, ops.Expand, ops.Tile, ops.Pad, ops.Split)):
        return first if same_shape else None
    if isinstance(op, ops.Concat):
        return first if len(node.inputs) == 1 else None
    if isinstance(op, ops.Transpose):
        return first if op.perm == tuple(range(len(op.perm))) else None
    if isinstance(op, ops.Slice):
        return first if same_shape and all(s > 0 for s in op.step) else None
    if isinstance(op, ops.Cast):
        return first if rw.values[first].dtype == rw.values[node.outputs[0]].dtype else None
    if isinstance(op, ops.Resize):
        return first if same_shape and op.scale is None else None
    if isinstance(op, (ops.MaxPool, ops.AveragePool)):
        return first if op.kernel == (1, 1) and op.strides == (1, 1) else None
    if isinstance(op, ops.Unary) and op.function.kind in IDEMPOTENT:
        maker = rw.maker(first)
        return first if maker is not None and maker.op == op else None
    if isinstance(op, ops.Binary) and op.activation is None:
        return _neutral(rw, node, op.kind)
    return None


def _neutral(rw: Rewriter, node: Node, kind: str) -> str | None:
    a, b = node.inputs
    neutral = {"add": 0.0, "sub": 0.0, "mul": 1.0, "div": 1.0, "pow": 1.0}.get(kind)
    for value, other in ((a, b), (b, a)) if kind in ("add", "mul") else ((a, b),):
        if neutral is not None and rw.scalar(other) == neutral and rw.shape(value) == rw.shape(node.outputs[0]):
            return value
    return None


def _merge(rw: Rewriter, node: Node) -> None:
    """Reshape of reshape: the first one is not needed. Transpose of transpose: one does."""
    maker = rw.maker(node.inputs[0])
    if maker is None:
        return
    if isinstance(node.op, ops.Reshape) and isinstance(maker.op, ops.Reshape):
        merged = rw.update(node, inputs=maker.inputs)
    elif isinstance(node.op, ops.Transpose) and isinstance(maker.op, ops.Transpose):
        perm = tuple(maker.op.perm[i] for i in node.op.perm)
        merged = rw.update(node, ops.Transpose(perm), maker.inputs)
    else:
        return
    value = _same_as(rw, merged)
    if value is not None:
        rw.bypass(merged, value)


def _join_repeated(rw: Rewriter) -> None:
    """The same operator on the same inputs need run only once."""
    seen: dict[tuple[ops.Op, tuple[str, ...]], str] = {}
    for node in rw.nodes():
        earlier = rw.node(seen.setdefault((node.op, node.inputs), node.name))
        if earlier.name != node.name and len(node.outputs) == 1:
            rw.bypass(node, earlier.outputs[0])
