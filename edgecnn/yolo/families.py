"""Detectors that people train elsewhere and export to ONNX, known by the outputs that they have.

Such a file does not say how its outputs are to be read, but their shapes do, together with the size of the input:
`recognise` gives the graph the head and the preprocessing of its family. What fits none stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable

from edgecnn.graph import ops
from edgecnn.graph.ir import Graph
from edgecnn.graph.metadata import Preprocess, YoloHead

# Values of a row of those heads that have one box a row.
ROW_VALUES: dict[str, Callable[[YoloHead], int]] = {
    "v5": lambda head: 5 + head.classes,
    "v8": lambda head: 4 + head.classes,
    "nanodet": lambda head: head.classes + 4 * head.boxes,
    "ssd": lambda head: 1 + head.classes,
}
ULTRALYTICS_STRIDES = (8, 16, 32)
NANODET_STRIDES = (8, 16, 32, 64)
NANODET_SCORES = 8  # of a side: reg_max + 1
PREPROCESS = {
    "v5": Preprocess(resize="letterbox"),
    "v8": Preprocess(resize="letterbox"),
    "fastestdet": Preprocess(color="bgr"),
    "nanodet": Preprocess("bgr", mean=(103.53, 116.28, 123.675), scale=(1 / 57.375, 1 / 57.12, 1 / 58.395)),
    "ssd": Preprocess(mean=(127.0,), scale=(1 / 128,)),
}


def nanodet_rows(input_size: tuple[int, int]) -> int:
    """Cells of all strides; ``input_size`` is (width, height)."""
    return _cells(input_size, NANODET_STRIDES)


def _cells(input_size: tuple[int, int], strides: tuple[int, ...]) -> int:
    return sum(-(-input_size[0] // stride) * -(-input_size[1] // stride) for stride in strides)


def recognise(graph: Graph) -> Graph:
    """The graph with head, preprocessing and task of its family, where it is of one and does not say so itself."""
    known = graph.metadata
    if known.heads or known.task not in ("", "detect") or len(graph.inputs) != 1:
        return graph
    shape = graph.input_specs[0].shape
    if len(shape) != 4 or shape[1] != 3:
        return graph
    head = _head(graph, (shape[3], shape[2]))
    if head is None:
        return graph
    if len(known.labels) not in (0, head.classes):
        return graph
    return graph.with_metadata(heads=(head,), task="detect", preprocess=PREPROCESS[head.kind])


def _head(graph: Graph, input_size: tuple[int, int]) -> YoloHead | None:
    specs = [spec for spec in graph.output_specs if spec.dtype == "float32" and spec.shape[:1] == (1,)]
    outputs = {spec.name: spec.shape for spec in specs}
    if len(outputs) == 2 and len(graph.outputs) == 2:
        (scores, score_shape), (boxes, box_shape) = sorted(outputs.items(), key=lambda item: item[1][-1] == 4)
        pairs = len(score_shape) == len(box_shape) == 3 and score_shape[1] == box_shape[1]
        if pairs and box_shape[2] == 4 and score_shape[2] == 2 and _maker(graph, scores, ops.Softmax, ops.Concat):
            return YoloHead(scores, "ssd", 1, box_output=boxes)
    if len(outputs) != 1 or len(graph.outputs) != 1:
        return None
    ((name, shape),) = outputs.items()
    cells = _cells(input_size, ULTRALYTICS_STRIDES)
    if len(shape) == 3 and shape[2] == cells and shape[1] > 4:
        return YoloHead(name, "v8", shape[1] - 4)
    if len(shape) == 3 and shape[1] == 3 * cells and shape[2] > 5:
        return YoloHead(name, "v5", shape[2] - 5)
    if len(shape) == 3 and shape[1] == nanodet_rows(input_size) and shape[2] > 4 * NANODET_SCORES:
        return YoloHead(name, "nanodet", shape[2] - 4 * NANODET_SCORES, boxes=NANODET_SCORES)
    joined = len(shape) == 4 and shape[1] > 5 and shape[2:] == tuple(side // 16 for side in input_size[::-1])
    if joined and _is_fastestdet(graph, name):
        return YoloHead(name, "fastestdet", shape[1] - 5)
    return None


def _maker(graph: Graph, name: str, *kinds: type) -> bool:
    """Whether a value comes from a node of one of these kinds, looking through those that only move it."""
    producers = {output: node for node in graph.nodes for output in node.outputs}
    while (node := producers.get(name)) is not None and isinstance(node.op, (ops.Transpose, ops.Reshape)):
        name = node.inputs[0]
    return node is not None and isinstance(node.op, kinds)


def _is_fastestdet(graph: Graph, name: str) -> bool:
    """A concatenation whose last part are probabilities: other maps of that shape are features."""
    node = next((node for node in graph.nodes if name in node.outputs), None)
    return node is not None and isinstance(node.op, ops.Concat) and _maker(graph, node.inputs[-1], ops.Softmax)
