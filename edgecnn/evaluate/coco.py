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
    """The twelve figures of COCO's evaluation, see `coco_figures`."""
    return coco_figures(truth, found)[0]


def coco_figures(
    truth: Mapping[Any, Sequence[TrueBox]], found: Mapping[Any, Sequence[Found]]
) -> tuple[dict[str, Optional[float]], dict[int, float]]:
    """The twelve figures of COCO's evaluation, and the AP of each class.

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
    dict
        Class -> AP over IoU .5 to .95, of the classes with a true box that counts.
    """
    classes = _by_class(truth, found)
    result: dict[str, Optional[float]] = {}
    of_class = {}
    for size, area in SIZES.items():
        tables = {c: _precision(_match(pictures, area, MOST[-1])) for c, pictures in classes.items()}
        counted = {c: table for c, table in tables.items() if table is not None}
        result[f"AP{size}"] = _mean([t[0] for t in counted.values()])
        result[f"AR{size or MOST[-1]}"] = _mean([t[1] for t in counted.values()])
        if not size:
            result["AP50"] = _mean([t[0][0] for t in counted.values()])
            result["AP75"] = _mean([t[0][5] for t in counted.values()])
            of_class = {c: float(np.mean(table[0])) for c, table in counted.items()}
    for most in MOST[:-1]:
        found_of = [_precision(_match(pictures, SIZES[""], most)) for pictures in classes.values()]
        result[f"AR{most}"] = _mean([table[1] for table in found_of if table is not None])
    order = ("AP", "AP50", "AP75", "APsmall", "APmedium", "APlarge", "AR1", "AR10", "AR100", "ARsmall", "ARmedium")
    return {name: result[name] for name in (*order, "ARlarge")}, of_class


@dataclass(frozen=True)
class _Picture:
    """Of one class in one picture: true boxes, the best detections by falling score, and what matching asks of them."""

    boxes: list[TrueBox]
    scores: np.ndarray
    areas: np.ndarray  # of the detections
    overlaps: np.ndarray  # (detections, true boxes)


def _by_class(
    truth: Mapping[Any, Sequence[TrueBox]], found: Mapping[Any, Sequence[Found]]
) -> dict[int, list[_Picture]]:
    """Per class that has a true box: the pictures that it, or a detection of it, is in."""
    classes: dict[int, list[_Picture]] = {
        c: [] for c in sorted({b.class_id for boxes in truth.values() for b in boxes})
    }
    for picture in dict.fromkeys([*truth, *found]):
        boxes: dict[int, list[TrueBox]] = {}
        detections: dict[int, list[Found]] = {}
        for box in truth.get(picture, ()):
            boxes.setdefault(box.class_id, []).append(box)
        for one in found.get(picture, ()):
            detections.setdefault(one.class_id, []).append(one)
        for c in dict.fromkeys([*boxes, *detections]):
            if c in classes:
                classes[c].append(_picture(boxes.get(c, []), detections.get(c, [])))
    return classes


def _picture(boxes: list[TrueBox], detections: list[Found]) -> _Picture:
    best = sorted(detections, key=lambda f: -f.score)[: MOST[-1]]
    corners = np.array([f.xyxy for f in best], np.float64).reshape(-1, 4)
    areas = np.prod(corners[:, 2:] - corners[:, :2], axis=1)
    return _Picture(boxes, np.array([f.score for f in best]), areas, _overlaps(corners, areas, boxes))


def _overlaps(corners: np.ndarray, areas: np.ndarray, truth: Sequence[TrueBox]) -> np.ndarray:
    """IoU of each detection with each true box; of a crowd, the part of the detection that lies inside."""
    if not len(corners) or not truth:
        return np.zeros((len(corners), len(truth)))
    a, b = corners[:, np.newaxis], np.array([t.xyxy for t in truth], np.float64)[np.newaxis]
    sides = np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2])
    common = np.prod(np.maximum(sides, 0), axis=-1)
    of_a, of_b = areas[:, np.newaxis], np.prod(b[..., 2:] - b[..., :2], axis=-1)
    union = np.where([t.crowd for t in truth], of_a, of_a + of_b - common)
    return np.asarray(common / np.maximum(union, 1e-12))


def _match(pictures: Sequence[_Picture], area: tuple[float, float], most: int) -> _Matches:
    scores, rights, ignoreds = [np.zeros(0)], [np.zeros((len(IOUS), 0), bool)], [np.zeros((len(IOUS), 0), bool)]
    total = 0
    for picture in pictures:
        boxes, areas, overlaps = picture.boxes, picture.areas[:most], picture.overlaps[:most]
        neither = [b.ignored or b.crowd or not area[0] <= b.area <= area[1] for b in boxes]
        order = sorted(range(len(boxes)), key=neither.__getitem__)
        total += len(boxes) - sum(neither)
        right = np.zeros((len(IOUS), len(areas)), bool)
        # What is matched to nothing counts as wrong, or not at all where its area is out of range.
        ignored = np.repeat(((areas < area[0]) | (areas > area[1]))[np.newaxis], len(IOUS), axis=0)
        near = np.flatnonzero((overlaps >= IOUS[0]).any(axis=1)).tolist() if boxes else []
        for i, threshold in enumerate(IOUS.tolist() if near else ()):
            taken = [False] * len(boxes)
            for d in near:
                best, overlap = -1, min(threshold, 1 - 1e-10)
                for t in order:
                    if taken[t] and not boxes[t].crowd:
                        continue
                    if best >= 0 and not neither[best] and neither[t]:
                        break
                    if overlaps[d, t] >= overlap:
                        best, overlap = t, overlaps[d, t]
                if best >= 0:
                    taken[best] = True
                    right[i, d], ignored[i, d] = not neither[best], neither[best]
        scores.append(picture.scores[:most])
        rights.append(right)
        ignoreds.append(ignored)
    return _Matches(np.concatenate(scores), np.hstack(rights), np.hstack(ignoreds), total)


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
