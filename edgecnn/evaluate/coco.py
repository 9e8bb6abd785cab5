"""COCO's average precision and recall (Lin et al., 2014, and the definitions on the challenge's page).

Detections of a class are matched picture by picture, best score first, each to the true box that it overlaps most and
that is not matched yet; boxes that count neither way ("ignore", crowds, areas outside of the range asked for) come
last. Precision is read off at 101 recalls, 0, .01, ..., 1, and averaged over IoU .5, .55, ..., .95 and all classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Optional

import numpy as np

from edgecnn.evaluate.annotations import TrueBox

IOUS = np.linspace(0.5, 0.95, 10)
RECALLS = np.linspace(0.0, 1.0, 101)
MOST = (1, 10, 100)
SIZES = {"": (0.0, 1e10), "small": (0.0, 32.0**2), "medium": (32.0**2, 96.0**2), "large": (96.0**2, 1e10)}


@dataclass(frozen=True)
class Found:
    """A detection: class, box in pixels, score."""

    class_id: int
    xyxy: tuple[float, float, float, float]
    score: float


@dataclass(frozen=True)
class _Matches:
    """Of one class and range of areas: scores (N,), right and ignored (IoUs, N), by picture; true boxes that count."""

    scores: np.ndarray
    right: np.ndarray
    ignored: np.ndarray
    total: int


def coco_summary(
    truth: Mapping[Any, Sequence[TrueBox]], found: Mapping[Any, Sequence[Found]]
) -> dict[str, Optional[float]]:
    """The twelve figures of COCO's evaluation.

    Parameters
    ----------
    truth, found
        Picture (any key) -> its true boxes, and its detections.

    Returns
    -------
    dict
        AP, AP50, AP75, APsmall, APmedium, APlarge, AR1, AR10, AR100, ARsmall, ARmedium, ARlarge; None where no true
        box counts. Sizes are by area: below 32x32, below 96x96, above. Of equal scores, those of the picture that
        stands first come first.
    """
    classes = sorted({box.class_id for boxes in truth.values() for box in boxes})
    by_class = {c: _of_class(c, truth, found) for c in classes}
    result: dict[str, Optional[float]] = {}
    for size, area in SIZES.items():
        found_of = [_precision(_match(by_class[c], area, MOST[-1])) for c in classes]
        tables = [table for table in found_of if table is not None]
        result[f"AP{size}"] = _mean([t[0] for t in tables])
        result[f"AR{size or MOST[-1]}"] = _mean([t[1] for t in tables])
        if not size:
            result["AP50"] = _mean([t[0][0] for t in tables])
            result["AP75"] = _mean([t[0][5] for t in tables])
    for most in MOST[:-1]:
        found_of = [_precision(_match(by_class[c], SIZES[""], most)) for c in classes]
        result[f"AR{most}"] = _mean([table[1] for table in found_of if table is not None])
    order = ("AP", "AP50", "AP75", "APsmall", "APmedium", "APlarge", "AR1", "AR10", "AR100", "ARsmall", "ARmedium")
    return {name: result[name] for name in (*order, "ARlarge")}


def coco_average_precision(
    truth: Mapping[Any, Sequence[TrueBox]], found: Mapping[Any, Sequence[Found]], class_id: int
) -> Optional[float]:
    """AP of one class over IoU .5 to .95; None where no true box counts."""
    table = _precision(_match(_of_class(class_id, truth, found), SIZES[""], MOST[-1]))
    return None if table is None else float(np.mean(table[0]))


_Class = list[tuple[list[TrueBox], list[Found], np.ndarray]]


def _of_class(class_id: int, truth: Mapping[Any, Sequence[TrueBox]], found: Mapping[Any, Sequence[Found]]) -> _Class:
    """Per picture: true boxes, the best detections by falling score, and their overlaps (detections, true boxes)."""
    result = []
    for picture in dict.fromkeys([*truth, *found]):
        boxes = [b for b in truth.get(picture, ()) if b.class_id == class_id]
        detections = [f for f in found.get(picture, ()) if f.class_id == class_id]
        detections = sorted(detections, key=lambda f: -f.score)[: MOST[-1]]
        if boxes or detections:
            result.append((boxes, detections, _overlaps(detections, boxes)))
    return result


def _overlaps(found: Sequence[Found], truth: Sequence[TrueBox]) -> np.ndarray:
    """IoU of each pair; of a crowd, the part of the detection that lies inside."""
    if not found or not truth:
        return np.zeros((len(found), len(truth)))
    a = np.array([f.xyxy for f in found], np.float64)[:, np.newaxis]
    b = np.array([t.xyxy for t in truth], np.float64)[np.newaxis]
    sides = np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2])
    common = np.prod(np.maximum(sides, 0), axis=-1)
    of_a, of_b = (np.prod(v[..., 2:] - v[..., :2], axis=-1) for v in (a, b))
    union = np.where([t.crowd for t in truth], of_a, of_a + of_b - common)
    return np.asarray(common / np.maximum(union, 1e-12))


def _match(pictures: _Class, area: tuple[float, float], most: int) -> _Matches:
    scores: list[float] = []
    rights, ignoreds = [], []
    total = 0
    for boxes, detections, overlaps in pictures:
        kept = detections[:most]
        neither = np.array([b.ignored or b.crowd or not area[0] <= b.area <= area[1] for b in boxes], bool)
        order = np.argsort(neither, kind="stable")
        total += int(np.sum(~neither))
        right = np.zeros((len(IOUS), len(kept)), bool)
        ignored = np.zeros((len(IOUS), len(kept)), bool)
        for i, threshold in enumerate(IOUS):
            taken = np.zeros(len(boxes), bool)
            for d, detection in enumerate(kept):
                best, overlap = -1, min(threshold, 1 - 1e-10)
                for t in order:
                    if taken[t] and not boxes[t].crowd:
                        continue
                    if best >= 0 and not neither[best] and neither[t]:
                        break
                    if overlaps[d, t] >= overlap:
                        best, overlap = int(t), overlaps[d, t]
                if best >= 0:
                    taken[best] = True
                    right[i, d], ignored[i, d] = not neither[best], neither[best]
                else:
                    x1, y1, x2, y2 = detection.xyxy
                    ignored[i, d] = not area[0] <= (x2 - x1) * (y2 - y1) <= area[1]
        scores += [f.score for f in kept]
        rights.append(right)
        ignoreds.append(ignored)
    empty = np.zeros((len(IOUS), 0), bool)
    return _Matches(np.array(scores), np.hstack([empty, *rights]), np.hstack([empty, *ignoreds]), total)


def _precision(matches: _Matches) -> Optional[tuple[np.ndarray, np.ndarray]]:
    """Mean precision over the recalls, and the recall reached, for each IoU; None where no true box counts."""
    if matches.total == 0:
        return None
    order = np.argsort(-matches.scores, kind="stable")
    precisions, recalls = np.zeros(len(IOUS)), np.zeros(len(IOUS))
    for i in range(len(IOUS)):
        counts = ~matches.ignored[i, order]
        hits = matches.right[i, order][counts]
        right = np.cumsum(hits)
        if not len(right):
            continue
        recall = right / matches.total
        precision = np.maximum.accumulate((right / np.arange(1, len(right) + 1))[::-1])[::-1]
        at = np.searchsorted(recall, RECALLS, side="left")
        precisions[i] = np.where(at < len(recall), precision[np.minimum(at, len(recall) - 1)], 0).mean()
        recalls[i] = recall[-1]
    return precisions, recalls


def _mean(values: Sequence[object]) -> Optional[float]:
    return float(np.mean(values)) if len(values) else None  # type: ignore[arg-type]
