"""What each simplification of Tiny-YOLOv2 buys: ``python -m edgecnn.networks.simplify``.

The way from Tiny-YOLOv2 to YOLO-LITE, one change at a time: fewer layers, no batch norm, convolutions of stride 2
instead of pools, half the input, and MobileNet's trunk instead. For each network: MFLOP, parameters, memory on the
native backend, and frames per second of the inference alone on each backend, measured in turns: those of the fastest
frame, since other programs can only slow it down.

With ``--weights FOLDER`` the networks whose published weights lie there are trained ones, and with ``--voc FOLDER``
(JPEGImages and Annotations, as VOC has them) their mAP at IoU .5 and the AP of persons are measured, beside those of
the detectors without a network. The others have random weights: they are timed only.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from edgecnn.benchmark.measure import measure
from edgecnn.benchmark.runner import Job
from edgecnn.classical import CLASSICAL
from edgecnn.cli import count, guarded
from edgecnn.detector import Detector
from edgecnn.errors import InputError, MissingDependency
from edgecnn.evaluate.annotations import AnnotatedPicture, read_annotations
from edgecnn.evaluate.average_precision import ClassBoxes, average_precision
from edgecnn.evaluate.plots import check_plot, new_figure, save_figure
from edgecnn.graph.cost import mflop, parameters
from edgecnn.importers import import_model
from edgecnn.networks import yolo
from edgecnn.networks.simplify_plot import draw
from edgecnn.predictor import required_memory
from edgecnn.zoo.labels import VOC

PERSON = "person"


@dataclass(frozen=True)
class Variant:
    """A network of the study."""

    name: str
    cfg: str  # its text; "" where it lies beside the weights
    trained: str = ""  # stem of a published weights file


VARIANTS = (
    Variant("Tiny-YOLOv2", yolo.yolov2_tiny(20, yolo.VOC_ANCHORS, 1024)),
    Variant("fewer layers", yolo.yolo_lite(size=416, norm=True)),
    Variant("no batch norm", yolo.yolo_lite(size=416), "tiny-yolov2-trial10"),
    Variant("stride for pools", yolo.yolo_lite(size=416, strided=True)),
    Variant("input of 300", yolo.yolo_lite(size=300), "tiny-yolov2-trial9"),
    Variant("half input: YOLO-LITE", yolo.yolo_lite(), "tiny-yolov2-trial3-noBatch"),
    Variant("YOLO-LITE, batch norm", yolo.yolo_lite(norm=True), "tiny-yolov2-trial3"),
    Variant("YOLO-LITE, stride", yolo.yolo_lite(strided=True)),
    Variant("MobileNet trunk", yolo.mobilenet_yolo(416)),
    Variant("MobileNet trunk, half", yolo.mobilenet_yolo(224)),
    Variant("MobileNetV2-YOLOv3-Nano", "", "MobileNetV2-YOLOv3-Nano-voc"),
)


@dataclass
class Row:
    """What was found of a variant, or of a detector without a network."""

    name: str
    size: int = 0
    mflop: float = 0.0
    params: int = 0
    memory: float = 0.0  # MiB
    fps: dict[str, float] = field(default_factory=dict)  # by backend
    mean_ap: float | None = None
    person: float | None = None


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the study; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m edgecnn.networks.simplify", description="Times Tiny-YOLOv2 and its simplifications."
    )
    parser.add_argument("--backend", default="native,onnxruntime,tflite", help="default: %(default)s")
    parser.add_argument("--threads", type=count, default=1, help="default: %(default)s")
    parser.add_argument("--seconds", type=float, default=2.0, help="time for each network and backend (%(default)s)")
    parser.add_argument("--weights", type=Path, metavar="FOLDER", help="published .weights files, in any subfolder")
    parser.add_argument("--voc", type=Path, metavar="FOLDER", help="pictures to measure the accuracy on")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="write a plot (.png or .svg); needs matplotlib")
    options = parser.parse_args(arguments)
    return guarded("edgecnn.networks.simplify", lambda: run(options))


def run(options: argparse.Namespace) -> int:
    """Measures, prints the table, and plots."""
    backends = options.backend.split(",")
    pictures = read_annotations(options.voc, VOC).pictures if options.voc else []
    if options.plot:
        check_plot(options.plot)
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        for variant in VARIANTS:
            files = _files(variant, options.weights, Path(folder))
            if files is not None:
                rows.append(_measured(variant.name, *files, backends, options, pictures))
    if pictures:
        people = [name for name, (label, _) in CLASSICAL.items() if label == PERSON]
        rows += [_classical(name, pictures, options.threads) for name in people]
    _progress("")
    print(table(rows, backends))
    if pictures:
        print(f"accuracy: {len(pictures)} pictures of {options.voc}, IoU .5, every-point AP, native backend")
    if options.plot:
        figure = new_figure(12, 9.5)
        draw(figure, rows, backends)
        save_figure(figure, options.plot)
        print(f"{options.plot}: written")
    return 0


def _files(variant: Variant, weights: Path | None, folder: Path) -> tuple[Path, str] | None:
    """The .cfg and the weights of a variant; None where it is known by its files only, and they are absent."""
    found = sorted(weights.rglob(f"{variant.trained}.weights")) if weights and variant.trained else []
    if not variant.cfg:
        return (found[0].with_suffix(".cfg"), str(found[0])) if found else None
    path = folder / f"{variant.trained or variant.name.replace(' ', '-')}.cfg"
    path.write_text(variant.cfg, encoding="utf-8")
    return path, str(found[0]) if found else "random"


def _measured(
    name: str,
    cfg: Path,
    weights: str,
    backends: Sequence[str],
    options: argparse.Namespace,
    pictures: Sequence[AnnotatedPicture],
) -> Row:
    _progress(name)
    graph = import_model(cfg, weights)
    row = Row(name, graph.input_specs[0].shape[2], mflop(graph), parameters(graph))
    row.memory = sum(required_memory(cfg, weights, threads=options.threads).values()) / (1 << 20)
    jobs = [Job(str(cfg), weights, backend, options.threads) for backend in backends]
    for result in measure(jobs, options.seconds, progress=lambda text: _progress(f"{name}: {text}")).results:
        if result.error:
            raise InputError(f"{name} on {result.job.backend}: {result.error}")
        if not result.agrees:
            raise InputError(f"{name} on {result.job.backend}: its outputs differ from {backends[0]}'s")
        row.fps[result.job.backend] = 1e3 / min(min(rounds) for rounds in result.rounds)
    if pictures and weights != "random":
        _progress(f"{name}: accuracy")
        with Detector(cfg, weights, conf=0.005, backend="native") as detector:
            found = average_precisions(detector, pictures)
        row.mean_ap, row.person = float(np.mean(list(found.values()))), found.get(PERSON)
    return row


def _classical(name: str, pictures: Sequence[AnnotatedPicture], threads: int) -> Row:
    """A detector without a network: persons, and frames per second of the pictures as they are."""
    _progress(name)
    times: list[float] = []
    try:
        detector = Detector(name, conf=0.0, threads=threads)
    except MissingDependency as error:
        raise MissingDependency(f"{error}, or leave out --voc") from None
    found = average_precisions(detector, pictures, times)
    return Row(name, fps={"OpenCV": 1e3 / float(np.median(times))}, person=found.get(PERSON))


def average_precisions(
    detector: Detector, pictures: Sequence[AnnotatedPicture], times: list[float] | None = None
) -> dict[str, float]:
    """AP at IoU .5 of each class that occurs; milliseconds of each picture go into *times*."""
    classes: dict[str, ClassBoxes] = {}
    for picture in pictures:
        for box in picture.boxes:
            classes.setdefault(VOC[box.class_id], ClassBoxes()).add_truth(picture.path, box.xyxy, box.ignored)
        result = detector(picture.path)
        for found in result:
            classes.setdefault(found.name, ClassBoxes()).add_found(picture.path, found.xyxy, found.conf)
        if times is not None:
            times.append(result.speed["inference"])
    values = {label: average_precision(boxes) for label, boxes in classes.items()}
    return {label: value for label, value in values.items() if value is not None}


def table(rows: Sequence[Row], backends: Sequence[str]) -> str:
    """The rows as text. "faster": on the first backend, than the first network."""
    heads = "".join(f"{'fps ' + backend:>16}" for backend in backends)
    lines = [
        f"{'network':<25}{'input':>6}{'MFLOP':>9}{'params':>10}{'MiB':>7}{heads}{'faster':>7}{'mAP':>7}{'person':>8}"
    ]
    for row in rows:
        speeds = [f"{row.fps[b]:>16.1f}" for b in backends if b in row.fps] or [f"{v:>16.1f}" for v in row.fps.values()]
        fps = "".join(speeds).ljust(16 * len(backends))
        sizes = f"{row.size:>6}{row.mflop:>9.1f}{row.params:>10}{row.memory:>7.1f}" if row.size else f"{'':>32}"
        first = rows[0].fps.get(backends[0])
        times = f"{next(iter(row.fps.values())) / first:>7.1f}" if first and row.fps else f"{'':>7}"
        accuracy = "".join(
            f"{'-' if v is None else format(v, '.3f'):>{n}}" for v, n in ((row.mean_ap, 7), (row.person, 8))
        )
        lines.append(f"{row.name:<25}{sizes}{fps}{times}{accuracy}")
    return "\n".join(lines)


def _progress(text: str) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{text}")
        sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
