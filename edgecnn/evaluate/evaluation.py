"""Detectors against annotated pictures: what ``edgecnn eval`` runs on a detector."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Optional

import numpy as np

from edgecnn.detections import Detections
from edgecnn.errors import InputError
from edgecnn.evaluate.annotations import AnnotatedPicture, AnnotatedSet, Problem, TrueBox
from edgecnn.evaluate.average_precision import ClassBoxes, eleven_points, every_point, precision_recall
from edgecnn.evaluate.coco import Found, coco_figures
from edgecnn.images import open_picture

if TYPE_CHECKING:
    from edgecnn.detector import Detector

# A true box counts as missed in `Evaluation.worst` where no detection of its class scores so much and overlaps it so.
SHOWN_CONF, SHOWN_IOU = 0.25, 0.5
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class ClassRow:
    """One class: its number of true boxes, VOC's two average precisions at IoU .5, and COCO's over .5 to .95."""

    name: str
    boxes: int
    ap50: Optional[float]
    ap50_11: Optional[float]
    ap: Optional[float]


@dataclass(frozen=True)
class Miss:
    """A picture with its missed true boxes and what was found there."""

    picture: AnnotatedPicture
    missed: tuple[int, ...]  # indices of true boxes
    found: Detections


@dataclass
class Evaluation:
    """How good a detector is on a set.

    Attributes
    ----------
    pictures, without : int
        Number of pictures, and of those without a true box.
    boxes, ignored : int
        Number of true boxes, and of those that count neither way.
    rows : list of ClassRow
        Classes with a true box or a detection.
    map50, map50_11 : float
        Means of VOC's average precision over classes with a true box (every point; 11 points).
    coco : dict
        The twelve figures of `coco_summary`.
    curves : dict
        Class -> (recall, precision) at IoU .5.
    problems : list of Problem
        Pictures that could not be read, and do not count.
    worst : list of Miss
        Pictures with most missed boxes first.
    """

    model: str
    backend: str
    pictures: int
    boxes: int
    ignored: int
    without: int
    rows: list[ClassRow] = field(default_factory=list)
    map50: float = 0.0
    map50_11: float = 0.0
    coco: dict[str, Optional[float]] = field(default_factory=dict)
    curves: dict[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)
    worst: list[Miss] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def __str__(self) -> str:
        width = max([len(row.name) for row in self.rows if row.boxes] + [5])
        empty = f", {self.without} of them without a box" if self.without else ""
        lines = [f"{self.pictures} pictures{empty}, {self.boxes} boxes, {self.ignored} of them difficult or crowds"]
        lines.append(f"{'class':<{width}} {'boxes':>6} {'AP@.5':>7} {'VOC07':>7} {'AP@.5:.95':>10}")
        there = [row for row in self.rows if row.boxes]
        for row in there:
            lines.append(
                f"{row.name:<{width}} {row.boxes:>6} {_cell(row.ap50, 7)} {_cell(row.ap50_11, 7)} {_cell(row.ap, 10)}"
            )
        lines.append(
            f"{'mean':<{width}} {self.boxes:>6} {_cell(self.map50, 7)} {_cell(self.map50_11, 7)} "
            f"{_cell(self.coco.get('AP'), 10)}"
        )
        if len(there) < len(self.rows):
            others = [row.name for row in self.rows if not row.boxes]
            more = ", ..." if len(others) > 8 else ""
            lines.append(f"found, though the set has none: {', '.join(others[:8])}{more}")
        lines.append("COCO: " + "  ".join(f"{name} {_cell(value, 0)}" for name, value in self.coco.items()))
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Plain Python: everything but the curves and the pictures."""
        return {
            "model": self.model,
            "backend": self.backend,
            "pictures": self.pictures,
            "without_boxes": self.without,
            "boxes": self.boxes,
            "ignored_boxes": self.ignored,
            "unreadable": len(self.problems),
            "map50": self.map50,
            "map50_11_point": self.map50_11,
            "coco": self.coco,
            "classes": [vars(row) for row in self.rows],
            "worst": [
                {"picture": str(miss.picture.path), "boxes": len(miss.picture.boxes), "missed": len(miss.missed)}
                for miss in self.worst
            ],
        }


def _cell(value: Optional[float], width: int) -> str:
    return f"{'-' if value is None else format(value, '.3f'):>{width}}"


def evaluate_detector(detector: Detector, pictures: AnnotatedSet, progress: Progress | None = None) -> Evaluation:
    """Average precision of a detector; its ``conf`` should be low (.005) and its ``max_det`` high.

    Parameters
    ----------
    detector
        Whose classes the set was read with.
    pictures
        From `read_annotations`.
    progress
        Called with the number of pictures done and of all.
    """
    truth: dict[Any, tuple[TrueBox, ...]] = {}
    found: dict[Any, list[Found]] = {}
    classes: dict[int, ClassBoxes] = {}
    misses, problems = [], []
    for done, one in enumerate(pictures.pictures):
        if progress:
            progress(done, len(pictures.pictures))
        try:
            picture = open_picture(one.path)
        except InputError as error:
            problems.append(Problem.of_picture(one.path, error))
            continue
        result = detector(picture)
        truth[one.path] = one.boxes
        found[one.path] = [
            Found(int(c), (float(b[0]), float(b[1]), float(b[2]), float(b[3])), float(s))
            for c, b, s in zip(result.class_id, result.xyxy, result.conf)
        ]
        for box in one.boxes:
            classes.setdefault(box.class_id, ClassBoxes()).add_truth(one.path, box.xyxy, box.ignored or box.crowd)
        for detection in found[one.path]:
            classes.setdefault(detection.class_id, ClassBoxes()).add_found(one.path, detection.xyxy, detection.score)
        missed = _missed(one, found[one.path])
        if missed:
            shown = result.conf >= SHOWN_CONF
            # Without the picture, which result holds: there may be thousands.
            reported = Detections(result.xyxy[shown], result.conf[shown], result.class_id[shown], result.names)
            misses.append(Miss(one, missed, reported))
    if progress:
        progress(len(pictures.pictures), len(pictures.pictures))
    if not truth:
        raise InputError(f"no picture can be read; first problem: {problems[0]}")
    names = detector.labels
    model: Any = getattr(detector, "predictor", detector)  # a detector without a network has none
    all_boxes = [box for boxes in truth.values() for box in boxes]
    evaluation = Evaluation(
        model.name,
        getattr(model, "backend", "OpenCV"),
        pictures=len(truth),
        boxes=len(all_boxes),
        ignored=sum(box.ignored or box.crowd for box in all_boxes),
        without=sum(not boxes for boxes in truth.values()),
        problems=problems,
    )
    evaluation.coco, of_class = coco_figures(truth, found)
    for number in sorted(classes):
        boxes = classes[number]
        name = names[number] if number < len(names) else f"class {number}"
        curve = precision_recall(boxes)
        if curve is not None:
            evaluation.curves[name] = curve
        evaluation.rows.append(
            ClassRow(
                name,
                sum(map(len, boxes.truth.values())),
                None if curve is None else every_point(*curve),
                None if curve is None else eleven_points(*curve),
                of_class.get(number),
            )
        )
    evaluation.map50 = _mean([row.ap50 for row in evaluation.rows])
    evaluation.map50_11 = _mean([row.ap50_11 for row in evaluation.rows])
    evaluation.worst = sorted(misses, key=lambda miss: -len(miss.missed))
    return evaluation


def _mean(values: Sequence[Optional[float]]) -> float:
    counted = [value for value in values if value is not None]
    return float(np.mean(counted)) if counted else 0.0


def _missed(picture: AnnotatedPicture, found: Sequence[Found]) -> tuple[int, ...]:
    from edgecnn.boxes import iou

    missed = []
    for i, box in enumerate(picture.boxes):
        near = [f.xyxy for f in found if f.class_id == box.class_id and f.score >= SHOWN_CONF]
        counts = not (box.ignored or box.crowd)
        if counts and (
            not near or float(iou(np.array([box.xyxy], np.float32), np.array(near, np.float32)).max()) < SHOWN_IOU
        ):
            missed.append(i)
    return tuple(missed)
