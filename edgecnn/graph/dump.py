"""A graph as text and as plain data: what ``edgecnn inspect`` prints."""

from __future__ import annotations

import dataclasses
from typing import Any

from edgecnn.graph import cost, ops
from edgecnn.graph.ir import Graph, Node, TensorSpec


def rows(graph: Graph) -> list[dict[str, Any]]:
    """One row of plain data for each node."""
    return [
        {
            "name": node.name,
            "op": type(node.op).__name__,
            "details": details(graph, node),
            "output": [list(graph.values[name].shape) for name in node.outputs],
            "parameters": cost.node_parameters(graph, node),
            "mflop": cost.flop(graph, node) / 1e6,
            "bytes": cost.node_bytes(graph, node),
        }
        for node in graph.nodes
    ]


def as_dict(graph: Graph) -> dict[str, Any]:
    """The whole graph, without its weights, as plain data."""
    meta = graph.metadata
    return {
        "name": graph.name,
        "source": meta.source,
        "task": meta.task,
        "inputs": [_spec_dict(spec) for spec in graph.input_specs],
        "outputs": [_spec_dict(spec) for spec in graph.output_specs],
        "labels": list(meta.labels),
        "preprocess": dataclasses.asdict(meta.preprocess),
        "heads": [dataclasses.asdict(head) for head in meta.heads],
        "parameters": cost.parameters(graph),
        "mflop": cost.mflop(graph),
        "layers": rows(graph),
    }


def text(graph: Graph) -> str:
    """The graph for people: a head, a table of layers, the sums."""
    meta = graph.metadata
    lines = [f"{graph.name}" + (f"  ({meta.source})" if meta.source else "")]
    lines += [f"input   {_spec_text(spec)}" for spec in graph.input_specs]
    lines += [f"output  {_spec_text(spec)}" for spec in graph.output_specs]
    if meta.task:
        pre = meta.preprocess
        lines.append(f"task    {meta.task}; picture as {pre.color}, resized by {pre.resize}")
    if meta.labels:
        shown = ", ".join(meta.labels[:8]) + (", ..." if len(meta.labels) > 8 else "")
        lines.append(f"labels  {len(meta.labels)}: {shown}")
    for head in meta.heads:
        lines.append(f"head    {head.output}: {head.kind}, {head.classes} classes, {len(head.anchors)} anchors")
    header = ("layer", "operator", "output", "parameters", "MFLOP", "KiB")
    table = [header]
    for node, row in zip(graph.nodes, rows(graph)):
        operator = " ".join(part for part in (row["op"], row["details"]) if part)
        shape = " ".join(_sizes(graph.values[name].shape) for name in node.outputs)
        numbers = (str(row["parameters"] or ""), f"{row['mflop']:.2f}" if row["mflop"] else "")
        table.append((row["name"], operator, shape, *numbers, f"{row['bytes'] / 1024:.0f}"))
    widths = [max(len(line[i]) for line in table) for i in range(len(header))]
    lines.append("")
    for line in table:
        cells = [cell.ljust(w) if i < 3 else cell.rjust(w) for i, (cell, w) in enumerate(zip(line, widths))]
        lines.append("  ".join(cells).rstrip())
    weights = sum(array.nbytes for array in graph.constants.values())
    total = f"{cost.parameters(graph)} parameters ({weights / 1024:.0f} KiB), {cost.mflop(graph):.1f} MFLOP"
    return "\n".join([*lines, "", f"{len(graph.nodes)} layers, {total}"])


def details(graph: Graph, node: Node) -> str:
    """The attributes that a reader looks for first."""
    op = node.op
    if isinstance(op, (ops.Conv, ops.ConvTranspose)):
        _, kh, kw, _ = graph.values[node.inputs[1]].shape
        parts = [f"{kh}x{kw}", f"s{_pair(op.strides)}" if op.strides != (1, 1) else ""]
        parts.append(f"d{_pair(op.dilations)}" if op.dilations != (1, 1) else "")
        parts.append(f"g{op.groups}" if op.groups > 1 else "")
        parts.append(op.activation.kind if op.activation else "")
        if isinstance(op, ops.Conv):
            parts.append(f"+residual {op.residual}" if op.residual else "")
            parts.append(f"+maxpool {_pair(op.pool.kernel)} s{_pair(op.pool.strides)}" if op.pool else "")
        return " ".join(part for part in parts if part)
    if isinstance(op, (ops.MaxPool, ops.AveragePool)):
        return f"{op.kernel[0]}x{op.kernel[1]} s{_pair(op.strides)}"
    if isinstance(op, ops.Unary):
        return op.function.kind
    if isinstance(op, ops.Binary):
        return op.kind + (f" {op.activation.kind}" if op.activation else "")
    if isinstance(op, ops.Dense):
        return op.activation.kind if op.activation else ""
    if isinstance(op, ops.Reduce):
        return f"{op.kind} {op.axes}"
    if isinstance(op, ops.Transpose):
        return str(op.perm)
    return ""


def _pair(values: tuple[int, int]) -> str:
    return str(values[0]) if values[0] == values[1] else f"{values[0]}x{values[1]}"


def _sizes(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "scalar"


def _spec_text(spec: TensorSpec) -> str:
    return f"{spec.name}  {_sizes(spec.shape)}  {spec.dtype}"


def _spec_dict(spec: TensorSpec) -> dict[str, Any]:
    return {"name": spec.name, "shape": list(spec.shape), "dtype": str(spec.dtype)}
