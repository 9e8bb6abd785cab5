"""Intersection over union, and non-maximum suppression.

`iou` and `nms` run in C++; `reference_iou` and `reference_nms` are their meaning in numpy.
"""

from __future__ import annotations

import numpy as np

from edgecnn.errors import InputError


def iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Intersection over union of every box of *a* with every box of *b*.

    Parameters
    ----------
    a, b
        (N, 4) and (M, 4) boxes x0, y0, x1, y1 in any unit.

    Returns
    -------
    float32 (N, M); 0 where a box has no area or holds a NaN.

    Raises
    ------
    InputError
        An argument is not an (N, 4) array of numbers.
    """
    from edgecnn import _core

    return _core.iou_matrix(_as_boxes(a, "a"), _as_boxes(b, "b"))


def nms(
    boxes: np.ndarray,
    scores: np.ndarray,
    classes: np.ndarray | None = None,
    iou: float = 0.45,
    max_det: int = 300,
    agnostic: bool = False,
) -> np.ndarray:
    """Greedy non-maximum suppression.

    Boxes are taken from the highest score down; one that overlaps a box already taken by more than *iou* is left out.

    Parameters
    ----------
    boxes, scores
        (N, 4) boxes x0, y0, x1, y1 and their (N,) scores. Rows with a NaN are never kept.
    classes
        (N,) integers; boxes of different classes do not suppress each other. None: all are of one class.
    iou
        0 to 1.
    max_det
        Number of boxes kept at most.
    agnostic
        Suppress across classes.

    Returns
    -------
    int64 indices of the boxes kept, highest score first; of equal scores the first given comes first.

    Raises
    ------
    InputError
        Shapes that do not fit together, or an option out of range.
    """
    from edgecnn import _core

    boxes, scores, ids = _check_nms(boxes, scores, classes, iou, max_det)
    return _core.nms(boxes, scores, ids, float(iou), int(max_det), bool(agnostic))


def reference_iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The meaning of `iou`."""
    return _overlap(a, b).astype(np.float32)


def reference_nms(
    boxes: np.ndarray,
    scores: np.ndarray,
    classes: np.ndarray | None = None,
    iou: float = 0.45,
    max_det: int = 300,
    agnostic: bool = False,
) -> np.ndarray:
    """The meaning of `nms`."""
    boxes, scores, ids = _check_nms(boxes, scores, classes, iou, max_det)
    usable = ~(np.isnan(boxes).any(axis=1) | np.isnan(scores))
    order = [i for i in np.argsort(-scores, kind="stable") if usable[i]]
    kept: list[int] = []
    for i in order:
        rivals = [k for k in kept if agnostic or ids is None or ids[i] == ids[k]]
        if len(kept) < max_det and not (_overlap(boxes[i : i + 1], boxes[rivals]) > iou).any():
            kept.append(int(i))
    return np.array(kept, np.int64)


def _overlap(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    a, b = (_as_boxes(v, name).astype(np.float64) for v, name in ((a, "a"), (b, "b")))
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        low = np.maximum(a[:, None, :2], b[None, :, :2])
        high = np.minimum(a[:, None, 2:], b[None, :, 2:])
        both = np.prod(np.maximum(high - low, 0), axis=2)
        area_a, area_b = (np.prod(np.maximum(v[:, 2:] - v[:, :2], 0), axis=1) for v in (a, b))
        either = area_a[:, None] + area_b[None, :] - both
        return np.where((both > 0) & (either > 0), both / either, 0.0)


def _as_boxes(value: np.ndarray, name: str) -> np.ndarray:
    array = _as_numbers(value, np.float32, name)
    if array.size == 0 and array.ndim <= 2:
        return array.reshape(0, 4)
    if array.ndim != 2 or array.shape[1] != 4:
        raise InputError(f"{name} must have shape (N, 4), x0 y0 x1 y1 per row; it has {array.shape}")
    return array


def _as_numbers(value: np.ndarray, dtype: type, name: str) -> np.ndarray:
    try:
        return np.asarray(value, dtype)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name} must be an array of numbers: {error}") from error


def _check_nms(
    boxes: np.ndarray, scores: np.ndarray, classes: np.ndarray | None, iou: float, max_det: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    boxes = _as_boxes(boxes, "boxes")
    scores = _as_numbers(scores, np.float32, "scores")
    ids = None if classes is None else _as_numbers(classes, np.int32, "classes")
    for name, array in (("scores", scores), ("classes", ids)):
        if array is not None and array.shape != (len(boxes),):
            raise InputError(f"{name} must have shape ({len(boxes)},), one per box; it has {array.shape}")
    if not 0 <= iou <= 1:
        raise InputError(f"iou must lie between 0 and 1, got {iou}")
    if max_det < 1:
        raise InputError(f"max_det must be at least 1, got {max_det}")
    return boxes, scores, ids
