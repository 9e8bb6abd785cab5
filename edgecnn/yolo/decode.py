"""The meaning of ``csrc/vision/yolo``: from the raw output maps of a YOLO network to candidate boxes.

Formulas as the papers write them (b = box, t = raw value, c = corner of the cell, p = anchor, s = logistic function):

* "detection", YOLOv1 (arXiv 1506.02640): ``bx = (tx + cx) / side``, ``bw = tw^2`` (or tw), objectness and class
  scores as they are (or classes by softmax)
* "region", YOLOv2 (arXiv 1612.08242): ``bx = (s(tx) + cx) / grid``, ``bw = pw exp(tw) / grid``, objectness ``s(to)``,
  classes by softmax (or s)
* "yolo", YOLOv3 (arXiv 1804.02767): the same with anchors in pixels of the input, classes by s; YOLOv4
  (arXiv 2004.10934) stretches s(tx) about its middle by ``scale_xy``; Scaled-YOLOv4 (arXiv 2011.08036,
  ``new_coords``) has s in the network, and ``bw = pw (2 tw)^2``

* "v5", "v8": boxes in pixels of the input and probabilities, as Ultralytics exports them, a row each; "v8" transposed
  and without objectness
* "fastestdet": ``bx = (tanh(tx) + cx) / grid``, ``bw = s(tw)``, ``score = objectness^0.6 * probability^0.4`` of the
  best class alone
* "nanodet" (generalized focal loss, arXiv 2006.04388): the distance of a side from the cell's corner is the mean of a
  distribution, softmax of ``boxes`` scores, in strides
* "ssd": probabilities, the first of them the background's; corners in fractions of the input are another output

Production code is `edgecnn.yolo.decoder`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgecnn.graph.metadata import YoloHead
from edgecnn.yolo.families import NANODET_STRIDES

# Per box: corners (N, 4) in fractions of the input, objectness (N,), class probabilities (N, classes).
Boxes = tuple[np.ndarray, np.ndarray, np.ndarray]


def logistic(x: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-x))."""
    with np.errstate(over="ignore"):
        return 1 / (1 + np.exp(-x))


def softmax(x: np.ndarray, axis: int) -> np.ndarray:
    """exp(x) / sum(exp(x)), safe for large x."""
    with np.errstate(invalid="ignore"):
        e = np.exp(x - np.max(x, axis=axis, keepdims=True))
        return e / e.sum(axis=axis, keepdims=True)


def corners(x: np.ndarray, y: np.ndarray, w: np.ndarray, h: np.ndarray) -> np.ndarray:
    """Centre and size -> (..., 4) corners x0, y0, x1, y1."""
    with np.errstate(invalid="ignore"):
        return np.stack([x - w / 2, y - h / 2, x + w / 2, y + h / 2], axis=-1)


def decode_detection(head: YoloHead, flat: np.ndarray) -> Boxes:
    """YOLOv1: a flat map of three blocks, class scores per cell, objectness per box, (x, y, w, h) per box."""
    cells, boxes = head.side * head.side, head.boxes
    flat = flat.reshape(-1)
    classes = flat[: cells * head.classes].reshape(cells, head.classes)
    objectness = flat[cells * head.classes :][: cells * boxes].reshape(cells, boxes)
    t = flat[cells * (head.classes + boxes) :].reshape(cells, boxes, 4)
    cell = np.arange(cells, dtype=np.float32)[:, None]
    x = (t[..., 0] + cell % head.side) / head.side
    y = (t[..., 1] + cell // head.side) / head.side
    with np.errstate(over="ignore"):
        w, h = (t[..., 2] ** 2, t[..., 3] ** 2) if head.sqrt else (t[..., 2], t[..., 3])
    probability = softmax(classes, axis=1) if head.softmax else classes
    probability = np.repeat(probability[:, None, :], boxes, axis=1)
    return corners(x, y, w, h).reshape(-1, 4), objectness.reshape(-1), probability.reshape(-1, head.classes)


def decode_anchors(head: YoloHead, planes: np.ndarray, input_size: tuple[int, int]) -> Boxes:
    """YOLOv2 to v4: map (anchors * (5 + classes), grid_h, grid_w); ``input_size`` is (width, height)."""
    grid_h, grid_w = planes.shape[-2:]
    t = planes.reshape(len(head.anchors), 5 + head.classes, grid_h, grid_w)
    anchors = np.array(head.anchors, np.float32)[:, :, None, None]
    unit_w, unit_h = (grid_w, grid_h) if head.kind == "region" else input_size
    squash = (lambda v: v) if head.kind == "yolo" and head.new_coords else logistic
    stretch = np.float32(head.scale_xy if head.kind == "yolo" else 1.0)
    dx, dy = (squash(v) * stretch - (stretch - 1) / 2 for v in (t[:, 0], t[:, 1]))
    x = (dx + np.arange(grid_w, dtype=np.float32)) / grid_w
    y = (dy + np.arange(grid_h, dtype=np.float32)[:, None]) / grid_h
    with np.errstate(over="ignore", invalid="ignore"):
        if head.kind == "yolo" and head.new_coords:
            w, h = anchors[:, 0] / unit_w * 4 * t[:, 2] ** 2, anchors[:, 1] / unit_h * 4 * t[:, 3] ** 2
        else:
            w, h = anchors[:, 0] / unit_w * np.exp(t[:, 2]), anchors[:, 1] / unit_h * np.exp(t[:, 3])
    by_softmax = head.kind == "region" and head.softmax
    probability = softmax(t[:, 5:], axis=1) if by_softmax else squash(t[:, 5:])
    probability = np.moveaxis(probability, 1, -1).reshape(-1, head.classes)
    return corners(x, y, w, h).reshape(-1, 4), squash(t[:, 4]).reshape(-1), probability


def decode_rows(head: YoloHead, rows: np.ndarray, input_size: tuple[int, int]) -> Boxes:
    """Heads "v5" and "v8": (1, rows, 5 + classes) and (1, 4 + classes, rows)."""
    t = rows[0].T if head.kind == "v8" else rows[0]
    unit = np.array([*input_size, *input_size], np.float32)
    x, y, w, h = (t[:, :4] / unit).T
    first = 4 if head.kind == "v8" else 5
    objectness = np.ones(len(t), np.float32) if head.kind == "v8" else t[:, 4]
    return corners(x, y, w, h), objectness, t[:, first:]


def decode_fastestdet(head: YoloHead, planes: np.ndarray) -> Boxes:
    """Map (1, 5 + classes, grid_h, grid_w). The probability of a class that is not the best is 0 here."""
    t = planes[0]
    grid_h, grid_w = t.shape[1:]
    x = (np.tanh(t[1]) + np.arange(grid_w, dtype=np.float32)) / grid_w
    y = (np.tanh(t[2]) + np.arange(grid_h, dtype=np.float32)[:, None]) / grid_h
    classes = t[5:].reshape(head.classes, -1).T
    best = np.where(np.isnan(classes), -np.inf, classes).argmax(axis=1)[:, None] == np.arange(head.classes)
    with np.errstate(invalid="ignore"):
        objectness, probability = t[0].reshape(-1) ** np.float32(0.6), np.where(best, classes ** np.float32(0.4), 0)
    return corners(x, y, logistic(t[3]), logistic(t[4])).reshape(-1, 4), objectness, probability.astype(np.float32)


def decode_nanodet(head: YoloHead, rows: np.ndarray, input_size: tuple[int, int]) -> Boxes:
    """Rows (1, N, classes + 4 * boxes), the cells of each stride in turn."""
    cells = []
    for stride in NANODET_STRIDES:
        y, x = np.mgrid[: -(-input_size[1] // stride), : -(-input_size[0] // stride)]
        cells.append(np.stack([v.reshape(-1) for v in (x * stride, y * stride, np.full_like(x, stride))], axis=1))
    x, y, stride = np.concatenate(cells).astype(np.float32).T
    scores = rows[0, :, head.classes :].reshape(-1, 4, head.boxes)
    left, top, right, bottom = (softmax(scores, axis=2) @ np.arange(head.boxes, dtype=np.float32)).T * stride
    unit = np.array([*input_size, *input_size], np.float32)
    xyxy = np.stack([x - left, y - top, x + right, y + bottom], axis=1) / unit
    return xyxy, np.ones(len(x), np.float32), rows[0, :, : head.classes]


def candidates(boxes: Boxes, conf: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Each box once for every class whose objectness * probability is above *conf*.

    NaN scores are above nothing, and boxes with a NaN coordinate are left out. Of anchor heads and "v5", whose
    probabilities are at most 1, the objectness alone must be above *conf* too.
    """
    xyxy, objectness, probability = boxes
    with np.errstate(invalid="ignore"):
        score = objectness[:, None] * probability
        passed = (score > np.float32(conf)) & ~np.isnan(xyxy).any(axis=1, keepdims=True)
    box, class_id = np.nonzero(passed)
    return xyxy[box].astype(np.float32), score[box, class_id].astype(np.float32), class_id.astype(np.int32)


def decode(
    heads: Sequence[YoloHead],
    maps: Sequence[np.ndarray],
    input_size: tuple[int, int],
    conf: float,
    boxes_of_rows: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All candidates of all heads.

    Parameters
    ----------
    heads, maps
        One raw float32 map per head: (1, channels, grid_h, grid_w), or (1, length) for "detection".
    input_size
        Width and height of the network's input.
    conf
        Scores must be greater.
    boxes_of_rows
        The second output, (1, rows, 4), of a head "ssd".

    Returns
    -------
    Boxes float32 (N, 4) x0, y0, x1, y1 in fractions of the input, scores float32 (N,), class ids int32 (N,).
    """
    found = [(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int32))]
    for head, values in zip(heads, maps):
        if head.kind == "detection":
            found.append(candidates(decode_detection(head, values), conf))
        elif head.kind == "fastestdet":
            found.append(candidates(decode_fastestdet(head, values), conf))
        elif head.kind == "nanodet":
            found.append(candidates(decode_nanodet(head, values, input_size), conf))
        elif head.kind == "ssd":
            assert boxes_of_rows is not None
            ones = np.ones(values.shape[1], np.float32)
            found.append(candidates((boxes_of_rows[0], ones, values[0, :, 1:]), conf))
        else:
            read = decode_rows if head.kind in ("v5", "v8") else decode_anchors
            xyxy, objectness, probability = read(head, values, input_size)
            with np.errstate(invalid="ignore"):
                alive = objectness > np.float32(conf)
            found.append(candidates((xyxy[alive], objectness[alive], probability[alive]), conf))
    boxes_, scores, classes = (np.concatenate(parts) for parts in zip(*found))
    return boxes_, scores, classes
