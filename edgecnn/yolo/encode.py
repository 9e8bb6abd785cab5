"""From true boxes to what a network should say: the inverse of ``edgecnn.yolo.decode`` for heads with anchors.

`encode` gives the targets that a loss compares with; `raw_map` turns targets into the raw map whose decoding gives the
boxes again.
"""

from __future__ import annotations

import numpy as np

from edgecnn.graph.metadata import YoloHead
from edgecnn.yolo.anchors import shape_iou

TARGETS = 6  # objectness (0 or 1), x and y within the cell (0 to 1), log of width and height over the anchor's, class
SURE = 16.0  # a raw value whose logistic function is 1 to float32


def encode(
    head: YoloHead, boxes: np.ndarray, class_ids: np.ndarray, grid: tuple[int, int], input_size: tuple[int, int]
) -> np.ndarray:
    """Targets of one picture.

    An object belongs to the cell of its centre. There, of all pairs of a free anchor and an object without one, the
    pair whose shapes overlap most is joined first, so that the order of the boxes does not matter. Where a cell has
    more objects than anchors, those that fit worst are left out.

    Parameters
    ----------
    head
        Of kind "region" or "yolo".
    boxes, class_ids
        (N, 4) x0, y0, x1, y1 in fractions of the input, of positive size, centres inside the input; and (N,).
    grid, input_size
        Width and height of the output map in cells, and of the input in pixels.

    Returns
    -------
    float64 (anchors, 6, grid height, grid width), see `TARGETS`.
    """
    columns, rows = grid
    anchors = np.array(head.anchors, np.float32) / np.array(_unit(head, grid, input_size), np.float32)
    targets = np.zeros((len(anchors), TARGETS, rows, columns))
    boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
    sizes = boxes[:, 2:] - boxes[:, :2]
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2 * (columns, rows)
    cells = np.minimum(centres.astype(int), (columns - 1, rows - 1))
    fit = shape_iou(sizes, anchors.astype(np.float64))
    placed = np.zeros(len(boxes), bool)
    for pair in np.argsort(-fit, axis=None, kind="stable"):
        i, anchor = divmod(int(pair), len(anchors))
        column, row = cells[i]
        if placed[i] or targets[anchor, 0, row, column]:
            continue
        placed[i] = True
        targets[anchor, :, row, column] = (
            1,
            *(centres[i] - cells[i]),
            *np.log(sizes[i] / anchors[anchor]),
            class_ids[i],
        )
    return targets


def raw_map(head: YoloHead, targets: np.ndarray) -> np.ndarray:
    """The map (anchors * (5 + classes), grid height, grid width) of a network that is sure of these targets."""
    has = targets[:, 0] > 0
    squashed = head.kind == "yolo" and head.new_coords
    low, high = (0.0, 1.0) if squashed else (-SURE, SURE)
    count, _, rows, columns = targets.shape
    raw = np.zeros((count, 5 + head.classes, rows, columns))
    stretch = np.float64(np.float32(head.scale_xy)) if head.kind == "yolo" else 1.0
    within = (targets[:, 1:3] + (stretch - 1) / 2) / stretch
    raw[:, :2] = within if squashed else _logit(within)
    raw[:, 2:4] = np.exp(targets[:, 3:5] / 2) / 2 if squashed else targets[:, 3:5]
    raw[:, 4] = np.where(has, high, low)
    classes = np.arange(head.classes)[:, None, None]
    raw[:, 5:] = np.where(has[:, None] & (targets[:, 5:] == classes), high, low)
    return raw.reshape(-1, rows, columns)


def _unit(head: YoloHead, grid: tuple[int, int], input_size: tuple[int, int]) -> tuple[int, int]:
    """What anchors are measured in."""
    if head.kind not in ("region", "yolo"):
        raise ValueError(f"a {head.kind!r} head has no anchors")
    return grid if head.kind == "region" else input_size


def _logit(p: np.ndarray) -> np.ndarray:
    """The inverse of the logistic function, finite at 0 and 1."""
    p = np.clip(p, 1e-9, 1 - 1e-9)
    return np.log(p / (1 - p))
