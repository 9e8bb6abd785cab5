"""Average precision of detections as PASCAL VOC defines it (Everingham et al., 2010, section 4.2)."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

METHODS = ("every-point", "11-point")


@dataclass
class ClassBoxes:
    """Boxes of one class over a set of pictures; a picture is named by any hashable key."""

    truth: dict[Hashable, list[tuple[float, ...]]] = field(default_factory=dict)  # x1, y1, x2, y2
    ignored: dict[Hashable, list[bool]] = field(default_factory=dict)  # per true box: counts neither way ("difficult")
    found: list[tuple[float, Hashable, tuple[float, ...]]] = field(default_factory=list)  # score, picture, box

    def add_truth(self, picture: Hashable, box: Iterable[float], ignored: bool = False) -> None:
        """Adds a true box."""
        self.truth.setdefault(picture, []).append(tuple(float(v) for v in box))
        self.ignored.setdefault(picture, []).append(ignored)

    def add_found(self, picture: Hashable, box: Iterable[float], score: float) -> None:
        """Adds a detection."""
        self.found.append((float(score), picture, tuple(float(v) for v in box)))


def average_precision(
    boxes: ClassBoxes, iou: float = 0.5, method: str = "every-point", inclusive: bool = False
) -> float | None:
    """Average precision of one class.

    Detections are taken by falling score. One is right when the true box that it overlaps most, by at least *iou*, has
    not been found before; if that box is to be ignored, so is the detection.

    Parameters
    ----------
    boxes
        True boxes and detections of the class.
    iou
        Smallest intersection over union of a right detection.
    method
        "every-point": the area under the interpolated precision-recall curve (VOC 2010 on); "11-point": the mean of
        the interpolated precision at recall 0, .1, ..., 1 (VOC 2007).
    inclusive
        Whether x2 and y2 name the last pixel inside, as in VOC's own tools, or the first outside.

    Returns
    -------
    float or None
        None where no true box counts.
    """
    if method not in METHODS:
        raise ValueError(f"method {method!r} is not one of {METHODS}")
    curve = precision_recall(boxes, iou, inclusive)
    if curve is None:
        return None
    return every_point(*curve) if method == "every-point" else eleven_points(*curve)


def precision_recall(
    boxes: ClassBoxes, iou: float = 0.5, inclusive: bool = False
) -> tuple[np.ndarray, np.ndarray] | None:
    """Recall and precision, float64 (N,) each, after each detection that counts; as for `average_precision`.

    None where no true box counts.
    """
    total = sum(not flag for flags in boxes.ignored.values() for flag in flags)
    if total == 0:
        return None
    truth = {picture: np.array(rows, np.float64) for picture, rows in boxes.truth.items()}
    seen: dict[Hashable, set[int]] = {picture: set() for picture in truth}
    right = []
    for _, picture, box in sorted(boxes.found, key=lambda row: -row[0]):
        best, overlap = -1, 0.0
        if picture in truth:
            overlaps = _iou(truth[picture], np.array(box), float(inclusive))
            best = int(np.argmax(overlaps))
            overlap = float(overlaps[best])
        if best < 0 or overlap < iou:
            right.append(False)
        elif not boxes.ignored[picture][best]:
            right.append(best not in seen[picture])
            seen[picture].add(best)
    hits = np.cumsum(right)
    recall = hits / total
    precision = hits / np.arange(1, len(hits) + 1)
    return recall, precision


def mean_average_precision(classes: Mapping[Hashable, ClassBoxes], iou: float = 0.5) -> float:
    """Mean of the every-point average precision of all classes that have a true box; 0 where none has."""
    values = [average_precision(boxes, iou) for boxes in classes.values()]
    counted = [value for value in values if value is not None]
    return float(np.mean(counted)) if counted else 0.0


def _iou(truth: np.ndarray, box: np.ndarray, one: float) -> np.ndarray:
    """IoU of each true box (N, 4) with one box (4,)."""
    low = np.maximum(truth[:, :2], box[:2])
    high = np.minimum(truth[:, 2:], box[2:])
    common = np.prod(np.maximum(high - low + one, 0), axis=1)
    areas = np.prod(truth[:, 2:] - truth[:, :2] + one, axis=1)
    area = np.prod(box[2:] - box[:2] + one)
    return np.asarray(common / np.maximum(areas + area - common, 1e-12))


def every_point(recall: np.ndarray, precision: np.ndarray) -> float:
    """Average precision of a curve: the area under the precision made monotone from the right."""
    best = np.maximum.accumulate(precision[::-1])[::-1]
    steps = np.diff(np.concatenate([[0.0], recall]))
    return float(np.sum(steps * best))


def eleven_points(recall: np.ndarray, precision: np.ndarray) -> float:
    """Average precision of a curve: the mean of the best precision at recall 0, .1, ..., 1 or beyond."""
    # The points are those of VOC's tools to the last bit: 9 of 15 have not quite reached their 0.6000000000000001.
    reached = [precision[recall >= point] for point in np.arange(11) * 0.1]
    return float(np.mean([p.max() if p.size else 0.0 for p in reached]))
