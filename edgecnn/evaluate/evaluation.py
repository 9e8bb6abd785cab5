"""Detectors and classifiers against annotated pictures: what ``edgecnn eval`` runs."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional

import numpy as np

from edgecnn.errors import InputError
from edgecnn.evaluate.annotations import PICTURES, AnnotatedPicture, AnnotatedSet
from edgecnn.evaluate.average_precision import ClassBoxes, average_precision, precision_recall
from edgecnn.evaluate.coco import Found, coco_average_precision, coco_summary

if TYPE_CHECKING:
    from edgecnn.classifier import Classifier
    from edgecnn.detections import Detections
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
    rows : list of ClassRow
        Classes with a true box or a detection.
    map50, map50_11 : float
        Means of VOC's average precision over classes with a true box (every point; 11 points).
    coco : dict
        The twelve figures of `coco_summary`.
    curves : dict
        Class -> (recall, precision) at IoU .5.
    worst : list of Miss
        Pictures with most missed boxes first.
    """

    model: str
    backend: str
    pictures: int
    boxes: int
    rows: list[ClassRow] = field(default_factory=list)
    map50: float = 0.0
    map50_11: float = 0.0
    coco: dict[str, Optional[float]] = field(default_factory=dict)
    curves: dict[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)
    worst: list[Miss] = field(default_factory=list)

    def __str__(self) -> str:
        width = max([len(row.name) for row in self.rows] + [5])
        lines = [f"{'class':<{width}} {'boxes':>6} {'AP@.5':>7} {'VOC07':>7} {'AP@.5:.95':>10}"]
        for row in self.rows:
            lines.append(
                f"{row.name:<{width}} {row.boxes:>6} {_cell(row.ap50, 7)} {_cell(row.ap50_11, 7)} {_cell(row.ap, 10)}"
            )
        lines.append(
            f"{'mean':<{width}} {self.boxes:>6} {_cell(self.map50, 7)} {_cell(self.map50_11, 7)} "
            f"{_cell(self.coco.get('AP'), 10)}"
        )
        lines.append("COCO: " + "  ".join(f"{name} {_cell(value, 0)}" for name, value in self.coco.items()))
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Plain Python: everything but the curves and the pictures."""
        return {
            "model": self.model,
            "backend": self.backend,
            "pictures": self.pictures,
            "boxes": self.boxes,
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
    truth = {one.path: one.boxes for one in pictures.pictures}
    found: dict[Any, list[Found]] = {}
    classes: dict[int, ClassBoxes] = {}
    misses = []
    for done, one in enumerate(pictures.pictures):
        if progress:
            progress(done, len(pictures.pictures))
        result = detector(one.path)
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
            misses.append(Miss(one, missed, result[result.conf >= SHOWN_CONF]))
    if progress:
        progress(len(pictures.pictures), len(pictures.pictures))
    names = detector.labels
    evaluation = Evaluation(
        detector.predictor.name, detector.predictor.backend, len(truth), sum(map(len, truth.values()))
    )
    for number in sorted(classes):
        boxes = classes[number]
        name = names[number] if number < len(names) else f"class {number}"
        evaluation.rows.append(
            ClassRow(
                name,
                sum(map(len, boxes.truth.values())),
                average_precision(boxes),
                average_precision(boxes, method="11-point"),
                coco_average_precision(truth, found, number),
            )
        )
        curve = precision_recall(boxes)
        if curve is not None:
            evaluation.curves[name] = curve
    evaluation.map50 = _mean([row.ap50 for row in evaluation.rows])
    evaluation.map50_11 = _mean([row.ap50_11 for row in evaluation.rows])
    evaluation.coco = coco_summary(truth, found)
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


def draw_miss(miss: Miss) -> np.ndarray:
    """The picture with what was found, and each missed box as "missed NAME"; uint8 (H, W, 3) BGR."""
    from edgecnn.detections import Detections
    from edgecnn.images import read_image

    names = miss.found.names
    count = max([len(names), *(box.class_id + 1 for box in miss.picture.boxes)])
    labels = [miss.found.name(i) for i in range(count)]
    boxes = [miss.picture.boxes[i] for i in miss.missed]
    both = Detections(
        np.concatenate([miss.found.xyxy, np.array([b.xyxy for b in boxes], np.float32).reshape(-1, 4)]),
        np.concatenate([miss.found.conf, np.zeros(len(boxes), np.float32)]),
        np.concatenate([miss.found.class_id, np.array([count + b.class_id for b in boxes], np.int64)]),
        [*labels, *(f"missed {label}" for label in labels)],
        image=read_image(miss.picture.path),
    )
    return both.plot()


def plot_curves(evaluation: Evaluation, path: str | os.PathLike[str]) -> None:
    """Writes precision against recall at IoU .5, a line a class, as .png, .svg or .pdf."""
    from edgecnn.errors import MissingDependency

    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingDependency.for_extra("matplotlib", "bench", "plotting") from None
    figure = Figure(figsize=(7, 5), layout="constrained")
    axes = figure.add_subplot(xlabel="recall", ylabel="precision", xlim=(0, 1.01), ylim=(0, 1.02))
    axes.set_title(f"{evaluation.model}: mAP@.5 {evaluation.map50:.3f}")
    ranked = {row.name: row.ap50 or 0.0 for row in evaluation.rows}
    for name, (recall, precision) in sorted(evaluation.curves.items(), key=lambda item: -ranked[item[0]]):
        axes.plot(recall, precision, label=f"{name} {ranked[name]:.3f}", linewidth=1)
    axes.legend(fontsize="x-small", ncols=2)
    axes.grid(alpha=0.3)
    figure.savefig(path)


@dataclass
class ClassificationResult:
    """How often a classifier is right. ``confusion[i, j]``: pictures of class i taken for class j."""

    model: str
    backend: str
    pictures: int
    names: tuple[str, ...]
    top1: float
    top5: float
    confusion: np.ndarray

    def __str__(self) -> str:
        lines = [f"{self.pictures} pictures: top-1 {self.top1:.4f}, top-5 {self.top5:.4f}"]
        for i, row in enumerate(self.confusion):
            if row.sum():
                wrong = sorted(((int(n), self.names[j]) for j, n in enumerate(row) if n and j != i), reverse=True)
                taken = ", ".join(f"{name} {count}" for count, name in wrong[:5])
                lines.append(f"{self.names[i]}: {row[i]} of {row.sum()}" + (f"; taken for {taken}" if taken else ""))
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Plain Python."""
        return {
            "model": self.model,
            "backend": self.backend,
            "pictures": self.pictures,
            "top1": self.top1,
            "top5": self.top5,
            "classes": list(self.names),
            "confusion": self.confusion.tolist(),
        }


def labelled_pictures(folder: Path, names: Sequence[str]) -> list[tuple[Path, int]]:
    """Pictures of a folder with a folder for each class, named as the class or its number."""
    numbers = {name.strip().lower(): i for i, name in enumerate(names)}
    result = []
    for sub in sorted(p for p in folder.iterdir() if p.is_dir()):
        key = sub.name.strip().lower()
        number = numbers.get(key, int(key) if key.isdigit() and int(key) < len(names) else None)
        if number is None:
            raise InputError(f"{sub}: the model has no class {sub.name!r}; it has {', '.join(names[:12])}")
        result += [(p, number) for p in sorted(sub.iterdir()) if p.suffix.lower() in PICTURES]
    if not result:
        raise InputError(f"{folder}: no pictures in folders named as the model's classes")
    return result


def evaluate_classifier(
    classifier: Classifier, pictures: Sequence[tuple[Path, int]], progress: Progress | None = None
) -> ClassificationResult:
    """Top-1 and top-5 accuracy of a classifier on pictures of known class."""
    confusion: Optional[np.ndarray] = None
    right1 = right5 = 0
    names: tuple[str, ...] = ()
    for done, (path, number) in enumerate(pictures):
        if progress:
            progress(done, len(pictures))
        result = classifier(path)
        if confusion is None:
            confusion = np.zeros((len(result.probabilities),) * 2, np.int64)
            names = tuple(result.name(i) for i in range(len(result.probabilities)))
        best = [row[0] for row in result.top(5)]
        confusion[number, best[0]] += 1
        right1 += best[0] == number
        right5 += number in best
    if progress:
        progress(len(pictures), len(pictures))
    assert confusion is not None
    name, backend = classifier.predictor.name, classifier.predictor.backend
    total = len(pictures)
    return ClassificationResult(name, backend, total, names, right1 / total, right5 / total, confusion)
