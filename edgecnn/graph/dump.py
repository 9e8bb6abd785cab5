"""A graph as a table: layers, shapes, receptive fields, parameters, MFLOP, bytes. What ``edgecnn inspect`` prints."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from edgecnn.graph import ops
from edgecnn.graph.cost import node_flops, node_params, parameters
from edgecnn.graph.ir import Graph, Node, TensorSpec
from edgecnn.graph.receptive import receptive_fields

__all__ = ["describe", "inspect_text", "node_flops", "node_params", "summary"]


def summary(graph: Graph) -> dict[str, Any]:
    """The table as plain data, ready for JSON.

    Returns
    -------
    dict
        ``name``, ``source``, ``task``, ``inputs`` and ``outputs`` (name, shape, dtype), ``labels``, ``preprocess``,
        ``heads``, ``layers`` (name, op, shape, receptive_field (height, width; null where none is known), params,
        flops, and bytes of the outputs), ``operators`` (how many of
        each kind) and ``totals`` (layers, params, flops, activation_bytes, weight_bytes).
    """
    fields = receptive_fields(graph)
    layers = [
        {
            "name": node.name,
            "op": _describe_node(graph, node),
            "shape": list(graph.values[node.outputs[0]].shape),
            "receptive_field": list(fields[node.name]) if node.name in fields else None,
            "params": node_params(graph, node),
            "flops": node_flops(graph, node),
            "bytes": sum(graph.values[v].nbytes for v in node.outputs),
        }
        for node in graph.nodes
    ]
    operators: dict[str, int] = {}
    for node in graph.nodes:
        kind = type(node.op).__name__
        operators[kind] = operators.get(kind, 0) + 1
    meta = graph.metadata
    return {
        "name": graph.name,
        "source": meta.source,
        "task": meta.task,
        "inputs": [_spec(s) for s in graph.input_specs],
        "outputs": [_spec(s) for s in graph.output_specs],
        "labels": list(meta.labels),
        "preprocess": dataclasses.asdict(meta.preprocess),
        "heads": [dataclasses.asdict(head) for head in meta.heads],
        "layers": layers,
        "operators": operators,
        "totals": {
            "layers": len(layers),
            "params": parameters(graph),
            "flops": sum(layer["flops"] for layer in layers),
            "activation_bytes": sum(layer["bytes"] for layer in layers),
            "weight_bytes": sum(a.nbytes for a in graph.constants.values()),
        },
    }


def inspect_text(graph: Graph) -> str:
    """The table as text, one line per layer, totals below."""
    data = summary(graph)
    rows = [
        (
            layer["name"],
            layer["op"],
            "x".join(map(str, layer["shape"])) or "scalar",
            "x".join(map(str, layer["receptive_field"] or ())),
            f"{layer['params']}" if layer["params"] else "",
            _mega(layer["flops"]) if layer["flops"] else "",
            _size(layer["bytes"]),
        )
        for layer in data["layers"]
    ]
    totals = data["totals"]
    last = ("total", f"{totals['layers']} layers", "", "", str(totals["params"]), _mega(totals["flops"]))
    lines = _table(
        ("layer", "operator", "output", "sees", "params", "MFLOP", "bytes"),
        rows,
        (*last, _size(totals["activation_bytes"])),
    )
    for title, specs in (("input", graph.input_specs), ("output", graph.output_specs)):
        lines.extend(f"{title:<7} {s.name}: {'x'.join(map(str, s.shape)) or 'scalar'} {s.dtype}" for s in specs)
    lines.extend(_metadata(graph))
    lines.append(f"weights {_size(totals['weight_bytes'])}B")
    return "\n".join([graph.name, *lines])


def _metadata(graph: Graph) -> list[str]:
    meta, lines = graph.metadata, []
    if meta.task:
        pre = meta.preprocess
        lines.append(f"task    {meta.task}; picture as {pre.color}, resized by {pre.resize}")
    if meta.labels:
        shown = ", ".join(meta.labels[:8]) + (", ..." if len(meta.labels) > 8 else "")
        lines.append(f"labels  {len(meta.labels)}: {shown}")
    for head in meta.heads:
        lines.append(f"head    {head.output}: {head.kind}, {head.classes} classes, {len(head.anchors)} anchors")
    return lines


def describe(op: ops.Op) -> str:
    """An operator in a few words: kind, window, what is fused into it."""
    words = [type(op).__name__]
    if isinstance(op, (ops.MaxPool, ops.AveragePool)):
        words.append(_window(op.kernel, op.strides))
    if isinstance(op, (ops.Conv, ops.ConvTranspose)):
        words.append(f"/{op.strides[0]}" if op.strides[0] == op.strides[1] else f"/{op.strides[0]},{op.strides[1]}")
        if op.groups > 1:
            words.append(f"groups {op.groups}")
        if op.dilations != (1, 1):
            words.append(f"dilation {op.dilations[0]},{op.dilations[1]}")
    if isinstance(op, ops.Unary):
        return op.function.kind
    if isinstance(op, (ops.Binary, ops.Reduce)):
        words = [op.kind if isinstance(op, ops.Binary) else f"Reduce {op.kind}"]
    if isinstance(op, ops.Resize):
        words.append(op.mode)
    if isinstance(op, ops.Transpose):
        words.append(",".join(map(str, op.perm)))
    if isinstance(op, ops.Conv) and op.residual == "before":
        words.append("+ residual")
    activation = getattr(op, "activation", None)
    if activation is not None:
        words.append(f"+ {activation.kind}")
    if isinstance(op, ops.Conv):
        if op.residual == "after":
            words.append("+ residual")
        if op.pool is not None:
            words.append(f"+ max {_window(op.pool.kernel, op.pool.strides)}")
    return " ".join(words)


def _describe_node(graph: Graph, node: Node) -> str:
    """`describe`, with the window of a convolution, which only its weights know."""
    text = describe(node.op)
    if not isinstance(node.op, (ops.Conv, ops.ConvTranspose)):
        return text
    _, kh, kw, _ = graph.values[node.inputs[1]].shape
    return text.replace(" /", f" {kh}x{kw}/", 1)


def _spec(spec: TensorSpec) -> dict[str, Any]:
    return {"name": spec.name, "shape": list(spec.shape), "dtype": str(spec.dtype)}


def _window(kernel: tuple[int, int], strides: tuple[int, int]) -> str:
    stride = str(strides[0]) if strides[0] == strides[1] else f"{strides[0]},{strides[1]}"
    return f"{kernel[0]}x{kernel[1]}/{stride}"


def _mega(flops: int) -> str:
    return f"{flops / 1e6:.1f}" if flops >= 1e5 else f"{flops / 1e6:.3f}"


def _size(number: int) -> str:
    for unit, scale in (("Gi", 1 << 30), ("Mi", 1 << 20), ("Ki", 1 << 10)):
        if number >= scale:
            return f"{number / scale:.1f} {unit}"
    return f"{number} "


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], last: Sequence[str]) -> list[str]:
    """Lines of a table whose first three columns stand left and the others right."""
    widths = [max(len(r[i]) for r in (head, *rows, last)) for i in range(len(head))]

    def line(row: Sequence[str]) -> str:
        cells = [c.ljust(w) if i < 3 else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths))]
        return "  ".join(cells).rstrip()

    rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
    return [line(head), rule, *(line(r) for r in rows), rule, line(last)]
