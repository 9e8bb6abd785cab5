"""``edgecnn eval``."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgecnn.cli import write_json
from edgecnn.errors import InputError

if TYPE_CHECKING:
    from edgecnn.evaluate.evaluation import Evaluation

MOST_BOXES = 10_000
PROBLEMS_SHOWN = 20


def evaluate(options: argparse.Namespace) -> int:
    """Accuracy on annotated pictures: a table for each backend, and how they differ."""
    path = Path(options.dataset)
    if not path.exists():
        raise InputError(f"{path}: no such file or folder")
    backends = options.backend.split(",")
    results = [_evaluate(options, path, backend, first=i == 0) for i, backend in enumerate(backends)]
    rows = [result.to_dict() for result in results]
    if options.json:
        write_json(options.json, rows[0] if len(rows) == 1 else rows)
    if options.json != "-":
        for result in results:
            print(f"{result.model} on {result.backend}, {result.pictures} pictures of {path}")
            print(result)
        for row in rows[1:]:
            print(_difference(rows[0], row))
    return 0


def _evaluate(options: argparse.Namespace, path: Path, backend: str, first: bool) -> Any:
    from edgecnn.classifier import Classifier

    if _is_classified(path):
        from edgecnn.evaluate.evaluation import evaluate_classifier, labelled_pictures

        with Classifier(
            options.model, options.weights, backend=backend, threads=options.threads, labels=_labels(options)
        ) as classifier:
            names = classifier.labels or [str(i) for i in range(classifier.predictor.outputs[0].shape[-1])]
            return evaluate_classifier(classifier, labelled_pictures(path, names), _progress())
    from edgecnn.detector import Detector
    from edgecnn.evaluate.annotations import read_annotations
    from edgecnn.evaluate.evaluation import evaluate_detector

    with Detector(
        options.model,
        options.weights,
        backend=backend,
        threads=options.threads,
        labels=_labels(options),
        conf=options.conf,
        iou=options.iou,
        max_det=MOST_BOXES,
    ) as detector:
        if not detector.labels:
            raise InputError(f"{detector.predictor.name} does not name its classes: give --labels voc, coco or a file")
        pictures = read_annotations(path, detector.labels, options.images)
        if first:
            _report(pictures.problems, options.strict)
        result = evaluate_detector(detector, pictures, _progress())
    if first:
        _pictures(result, options)
    return result


def _is_classified(path: Path) -> bool:
    """Whether a data set is a folder with a folder of pictures for each class, and nothing else."""
    if not path.is_dir() or any((path / name).is_dir() for name in ("Annotations", "labels")):
        return False
    return any(p.is_dir() for p in path.iterdir()) and not any(path.glob("*.json")) and not any(path.glob("*.xml"))


def _labels(options: argparse.Namespace) -> Any:
    if options.labels in ("voc", "coco") and not os.path.exists(options.labels):
        from edgecnn.zoo import labels

        return labels.VOC if options.labels == "voc" else labels.COCO
    return options.labels


def _report(problems: Sequence[object], strict: bool) -> None:
    """Says what of the annotations is skipped; with --strict that is an error."""
    if not problems:
        return
    for problem in problems[:PROBLEMS_SHOWN]:
        print(f"edgecnn: {problem}", file=sys.stderr)
    if len(problems) > PROBLEMS_SHOWN:
        print(f"edgecnn: ... and {len(problems) - PROBLEMS_SHOWN} more", file=sys.stderr)
    if strict:
        raise InputError(f"{len(problems)} problems in the annotations (without --strict they are skipped)")
    print(f"edgecnn: {len(problems)} problems in the annotations, skipped", file=sys.stderr)


def _pictures(result: Evaluation, options: argparse.Namespace) -> None:
    from edgecnn.draw import write_image
    from edgecnn.evaluate.evaluation import draw_miss, plot_curves

    if options.plot:
        plot_curves(result, options.plot)
    if options.worst:
        folder = Path(options.worst)
        folder.mkdir(parents=True, exist_ok=True)
        for rank, miss in enumerate(result.worst[:10], 1):
            write_image(folder / f"{rank:02d}-{miss.picture.path.stem}.png", draw_miss(miss))


def _progress() -> Any:
    if not sys.stderr.isatty():
        return None

    def show(done: int, total: int) -> None:
        end = "\n" if done == total else ""
        print(f"\r{done} of {total} pictures", end=end, file=sys.stderr, flush=True)

    return show


def _difference(one: dict[str, Any], other: dict[str, Any]) -> str:
    """How a backend's figures differ from the first one's."""
    keys = ("top1", "top5") if "top1" in one else ("map50", "map50_11_point")
    parts = [f"{key} {other[key] - one[key]:+.4f}" for key in keys]
    if "coco" in one:
        pairs = [(c["ap50"], d["ap50"]) for c, d in zip(one["classes"], other["classes"]) if c["name"] == d["name"]]
        largest = max((abs(a - b) for a, b in pairs if a is not None and b is not None), default=0.0)
        parts.append(f"largest of a class {largest:.4f}")
    return f"{other['backend']} against {one['backend']}: " + ", ".join(parts)
