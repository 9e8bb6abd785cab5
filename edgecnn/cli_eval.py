"""``edgecnn eval``."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgecnn.cli import preprocess_of, write_json
from edgecnn.errors import InputError
from edgecnn.evaluate.labelled import labelled_form
from edgecnn.evaluate.plots import check_plot
from edgecnn.files import check_writable

if TYPE_CHECKING:
    from edgecnn.evaluate.annotations import AnnotatedSet, Problem
    from edgecnn.evaluate.classification import ClassificationResult
    from edgecnn.evaluate.evaluation import Evaluation
    from edgecnn.evaluate.labelled import LabelledSet

MOST_BOXES = 10_000
PROBLEMS_SHOWN = 20
PROBLEM_KINDS = {
    "box": "boxes that cannot be meant",
    "class": "unknown classes",
    "picture": "pictures missing, unreadable or without annotations",
    "row": "rows that cannot be read",
    "note": "pictures of nothing, which count",
}


def evaluate(options: argparse.Namespace) -> int:
    """Accuracy on annotated pictures: a table for each backend, and how they differ."""
    path = Path(options.dataset)
    if not path.exists():
        raise InputError(f"{path}: no such file or folder")
    check_writable(options.json)
    if options.plot:
        check_plot(options.plot)
    one: Any = _evaluate_classifier if labelled_form(path) else _evaluate_detector
    results: list[Any] = []
    read: list[Any] = []  # the set, once the first backend has told the classes
    rows: list[dict[str, Any]] = []
    say = _silent if options.json == "-" else print
    for backend in options.backend.split(","):
        result = one(options, path, backend, read)
        say(f"{result.model} on {result.backend}, {path}\n{result}")
        results.append(result)
        rows.append(result.to_dict())
    for result, row in zip(results[1:], rows[1:]):
        say(_difference(results[0], result, rows[0], row))
    if options.json:
        write_json(options.json, rows[0] if len(rows) == 1 else rows)
    return 0


def _evaluate_classifier(
    options: argparse.Namespace, path: Path, backend: str, read: list[LabelledSet]
) -> ClassificationResult:
    from edgecnn.classifier import Classifier
    from edgecnn.evaluate.classification import evaluate_classifier
    from edgecnn.evaluate.labelled import read_labelled
    from edgecnn.evaluate.pillow import PillowClassifier

    kind = PillowClassifier if options.pillow else Classifier
    with kind(
        options.model,
        options.weights,
        backend=backend,
        threads=options.threads,
        labels=_labels(options),
        preprocess=preprocess_of(options),
    ) as classifier:
        names = classifier.labels or [str(i) for i in range(classifier.predictor.outputs[0].shape[-1])]
        first = not read
        if first:
            read.append(read_labelled(path, names, options.images))
            _report(read[0].problems, options.strict)
        result = evaluate_classifier(classifier, read[0].pictures[: options.first], _progress())
    if first:
        _report(result.problems, options.strict)
        if options.plot:
            from edgecnn.evaluate.plots import plot_confusion

            plot_confusion(result, options.plot)
        if options.worst:
            from edgecnn.evaluate.misses import draw_mistake

            stems = [f"{result.names[m.picture.class_id]}-for-{result.names[m.answer]}" for m in result.worst]
            _write_worst(options.worst, stems, (draw_mistake(m, result.names) for m in result.worst))
    return result


def _evaluate_detector(options: argparse.Namespace, path: Path, backend: str, read: list[AnnotatedSet]) -> Evaluation:
    from edgecnn.detector import Detector
    from edgecnn.evaluate.evaluation import evaluate_detector
    from edgecnn.evaluate.pillow import PillowDetector

    kind = PillowDetector if options.pillow else Detector
    with kind(
        options.model,
        options.weights,
        backend=backend,
        threads=options.threads,
        labels=_labels(options),
        preprocess=preprocess_of(options),
        conf=options.conf,
        iou=options.iou,
        max_det=MOST_BOXES,
    ) as detector:
        if not detector.labels:
            raise InputError(f"{options.model} does not name its classes: give --labels voc, coco or a file")
        first = not read
        if first:
            read.append(_annotations(options, path, detector.labels))
        result = evaluate_detector(detector, read[0], _progress())
    if first:
        _report(result.problems, options.strict)
        _pictures(result, detector.labels, options)
    return result


def _annotations(options: argparse.Namespace, path: Path, names: Sequence[str]) -> AnnotatedSet:
    """The annotated set; its problems are told."""
    from edgecnn.evaluate.annotations import read_annotations

    pictures = read_annotations(path, names, options.images)
    _report(pictures.problems, options.strict)
    if not any(one.boxes for one in pictures.pictures) and any(p.kind == "class" for p in pictures.problems):
        known = ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
        raise InputError(f"{path}: no box of a class that the model knows; it knows {known}")
    pictures.pictures = pictures.pictures[: options.first]
    return pictures


def _silent(text: str) -> None:
    pass


def _labels(options: argparse.Namespace) -> Any:
    if options.labels in ("voc", "coco") and not os.path.exists(options.labels):
        from edgecnn.zoo import labels

        return labels.VOC if options.labels == "voc" else labels.COCO
    return options.labels


def _report(problems: Sequence[Problem], strict: bool) -> None:
    """Says what of the annotations is skipped, and how much of it; with --strict that is an error."""
    if not problems:
        return
    for problem in problems[:PROBLEMS_SHOWN]:
        print(f"edgecnn: {problem}", file=sys.stderr)
    if len(problems) > PROBLEMS_SHOWN:
        print(f"edgecnn: ... and {len(problems) - PROBLEMS_SHOWN} more", file=sys.stderr)
    counts = Counter(problem.kind for problem in problems)
    kinds = ", ".join(f"{counts[kind]} {text}" for kind, text in PROBLEM_KINDS.items() if counts[kind])
    if strict:
        raise InputError(f"{len(problems)} problems in the annotations ({kinds}); without --strict they are skipped")
    print(f"edgecnn: {len(problems)} problems in the annotations, skipped: {kinds}", file=sys.stderr)


def _pictures(result: Evaluation, names: Sequence[str], options: argparse.Namespace) -> None:
    if options.plot:
        from edgecnn.evaluate.plots import plot_curves

        plot_curves(result, options.plot)
    if options.worst:
        from edgecnn.evaluate.misses import draw_miss

        worst = result.worst[:10]
        _write_worst(options.worst, [m.picture.path.stem for m in worst], (draw_miss(m, names) for m in worst))


def _write_worst(folder: str, stems: Sequence[str], pictures: Iterable[np.ndarray]) -> None:
    """Pictures as 01-STEM.png and so on."""
    from edgecnn.draw import write_image

    Path(folder).mkdir(parents=True, exist_ok=True)
    for rank, (stem, picture) in enumerate(zip(stems, pictures), 1):
        safe = re.sub(r"[^\w.-]+", "_", stem)[:60]
        write_image(Path(folder) / f"{rank:02d}-{safe}.png", picture)


def _progress() -> Any:
    if not sys.stderr.isatty():
        return None

    def show(done: int, total: int) -> None:
        end = "\n" if done == total else ""
        print(f"\r{done} of {total} pictures", end=end, file=sys.stderr, flush=True)

    return show


def _difference(first: Any, other: Any, one: dict[str, Any], two: dict[str, Any]) -> str:
    """How a backend's figures differ from the first one's."""
    keys = ("top1", "top5") if "top1" in one else ("map50", "map50_11_point")
    parts = [f"{key} {two[key] - one[key]:+.4f}" for key in keys]
    if "top1" in one:
        parts.append(f"another answer for {int(np.sum(first.answers != other.answers))} of {one['pictures']} pictures")
    else:
        pairs = [(c["ap50"], d["ap50"]) for c, d in zip(one["classes"], two["classes"]) if c["name"] == d["name"]]
        largest = max((abs(a - b) for a, b in pairs if a is not None and b is not None), default=0.0)
        parts.append(f"largest of a class {largest:.4f}")
    return f"{two['backend']} against {one['backend']}: " + ", ".join(parts)
