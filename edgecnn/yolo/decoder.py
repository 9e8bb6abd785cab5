"""Raw YOLO output maps into candidate boxes: production code over ``csrc/vision/yolo``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from edgecnn.errors import ModelError
from edgecnn.graph.ir import TensorSpec
from edgecnn.graph.metadata import YoloHead
from edgecnn.yolo.families import ROW_VALUES, nanodet_rows

_MAX_CLASSES = 1 << 20
_KINDS = ("detection", "region", "yolo", "v5", "v8", "fastestdet", "nanodet", "ssd")
_NO_BOXES = np.zeros(0, np.float32)


class Decoder:
    """Decodes the output maps of one network.

    Parameters
    ----------
    heads
        One per output map.
    outputs
        The network's outputs; those that heads name must have the shapes that `YoloHead` states.
    input_size
        Width and height of the network's input.
    model
        Name of the model, for messages.

    Raises
    ------
    ModelError
        A head names an output that is not there, or whose shape does not fit it.
    """

    def __init__(
        self, heads: Sequence[YoloHead], outputs: Sequence[TensorSpec], input_size: tuple[int, int], model: str
    ) -> None:
        from edgecnn import _core

        self.classes = max(head.classes for head in heads)
        self._input_size = input_size
        self._names = [(head.output, head.box_output) for head in heads]
        specs = {spec.name: spec for spec in outputs}
        self._grids = [_grid(head, specs, input_size, model) for head in heads]
        self._heads = [
            _core.YoloHead(
                head.kind,
                head.classes,
                head.boxes or len(head.anchors) or 1,
                [float(v) for anchor in head.anchors for v in anchor],
                head.softmax,
                head.sqrt,
                head.scale_xy,
                head.new_coords,
            )
            for head in heads
        ]
        self._decode = _core.decode_yolo

    def __call__(self, outputs: Mapping[str, np.ndarray], conf: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Candidates whose score is above *conf*; returns what `edgecnn.yolo.decode.decode` returns."""
        maps = [outputs[name][:1] for name, _ in self._names]
        boxes = [outputs[name][:1] if name else _NO_BOXES for _, name in self._names]
        return self._decode(maps, boxes, self._heads, self._grids, *self._input_size, conf)


def _grid(head: YoloHead, specs: Mapping[str, TensorSpec], input_size: tuple[int, int], model: str) -> tuple[int, int]:
    """Width and height of a head's grid, or rows and 1, after checking that everything fits."""
    what = f"{model}: the {head.kind!r} head of output {head.output!r}"
    if head.output not in specs:
        raise ModelError(f"{what} has no output; there are {', '.join(map(repr, specs))}")
    if head.kind not in _KINDS:
        raise ModelError(f"{what} is of a kind that edgecnn does not decode (it does {', '.join(_KINDS)})")
    shape = tuple(specs[head.output].shape)
    if not 1 <= head.classes <= _MAX_CLASSES:
        raise ModelError(f"{what} has {head.classes} classes")
    if head.kind == "detection":
        length = head.side * head.side * (head.classes + 5 * head.boxes)
        if head.side < 1 or head.boxes < 1 or int(np.prod(shape[1:])) != length:
            raise ModelError(
                f"{what} has shape {shape}; {head.side}x{head.side} cells of {head.boxes} boxes and "
                f"{head.classes} classes need {length} values"
            )
        return head.side, head.side
    if head.kind in ROW_VALUES:
        return _rows(head, specs, input_size, what), 1
    if head.kind == "fastestdet":
        if len(shape) != 4 or shape[1] != 5 + head.classes:
            raise ModelError(f"{what} has shape {shape}; {head.classes} classes need (1, {5 + head.classes}, H, W)")
        return int(shape[3]), int(shape[2])
    anchors = len(head.anchors)
    channels = anchors * (5 + head.classes)
    if not anchors or len(shape) != 4 or shape[1] != channels:
        raise ModelError(
            f"{what} has shape {shape}; {anchors} anchors and {head.classes} classes need (1, {channels}, H, W)"
        )
    return int(shape[3]), int(shape[2])


def _rows(head: YoloHead, specs: Mapping[str, TensorSpec], input_size: tuple[int, int], what: str) -> int:
    shape, values = tuple(specs[head.output].shape), ROW_VALUES[head.kind](head)
    rows = shape[-1] if head.kind == "v8" else shape[1] if len(shape) == 3 else 0
    expected = (values, rows) if head.kind == "v8" else (rows, values)
    if len(shape) != 3 or shape[1:] != expected:
        wanted = f"(1, {values}, N)" if head.kind == "v8" else f"(1, N, {values})"
        raise ModelError(f"{what} has shape {shape}; {head.classes} classes need {wanted}")
    if head.kind == "nanodet" and (head.boxes < 2 or rows != nanodet_rows(input_size)):
        raise ModelError(
            f"{what} has {rows} rows of {head.boxes} scores a side; this input needs {nanodet_rows(input_size)}"
        )
    if head.kind == "ssd":
        boxes = specs.get(head.box_output)
        if boxes is None or tuple(boxes.shape[1:]) != (rows, 4):
            raise ModelError(f"{what} needs an output of {rows} boxes; {head.box_output!r} is none")
    return int(rows)
