"""Accuracy figures that an independent script measured, and ours beside them with the command that prints each.

    python bench/figures.py [--data FOLDER] [--backend native] [--only TEXT]

The data folder is not part of the repository: ``$EDGECNN_DATA``, else ``../shared/data`` beside it; commands are given
as they are run there. The sets are small: the figures are for parity, not benchmarks. Detectors should come within .01,
classifiers and average precision exactly, scores of single pictures within .005. Exit status 1 where one does not.

The script resized by Pillow's bilinear filter, hence ``--pillow`` (docs/evaluation.md); to ImageNet's classifiers it
gave pictures that Pillow's bicubic filter had resized, which are made here first.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import shlex
import sys
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY))

from PIL import Image  # noqa: E402

from edgecnn.cli import main as edgecnn  # noqa: E402
from edgecnn.evaluate.annotations import TrueBox  # noqa: E402
from edgecnn.evaluate.average_precision import METHODS, ClassBoxes, average_precision  # noqa: E402
from edgecnn.evaluate.coco import Found, coco_summary  # noqa: E402

LITE, NANO = "darknet/yolo-lite/", "darknet/mobilenet-yolo/MobileNetV2-YOLOv3-Nano-voc.cfg"
COCO_LITE = f"{LITE}coco-trial6.cfg --weights {LITE}coco-trial6_"
FASTEST = "darknet/yolo-fastest/yolo-fastest-1.1"
VOC_2007, VOC_2012, COCO_2017 = "detection-eval/voc2007test", "detection-eval/voc2012", "detection-eval/coco128-val2017"
MNIST, CIFAR = "classification-eval/mnist-t10k", "classification-eval/cifar10-test2000.bin"

# Model with its options, labels, and mAP@.5 by set.
DETECTORS: tuple[tuple[str, str, dict[str, float]], ...] = (
    (f"{LITE}tiny-yolov2-trial3-noBatch.cfg", "voc", {VOC_2007: 0.478, VOC_2012: 0.523}),
    (f"{LITE}tiny-yolov2-trial3-noBatch.cfg --resize letterbox", "voc", {VOC_2007: 0.447, VOC_2012: 0.505}),
    (f"{LITE}tiny-yolov2-trial3.cfg", "voc", {VOC_2007: 0.552, VOC_2012: 0.527}),
    (f"{LITE}tiny-yolov2-trial10.cfg", "voc", {VOC_2007: 0.467, VOC_2012: 0.365}),
    (f"{COCO_LITE}653550.weights", "coco", {COCO_2017: 0.192}),
    (f"{COCO_LITE}342850.weights", "coco", {COCO_2017: 0.186}),
    (f"{FASTEST}.cfg", "coco", {COCO_2017: 0.386}),
    (f"{FASTEST}-xl.cfg", "coco", {COCO_2017: 0.440}),
    (NANO, "voc", {VOC_2007: 0.703, VOC_2012: 0.901}),
)
# Arguments of edgecnn eval, and top-1 to the digits that are known.
CLASSIFIERS = (
    (f"onnx/mnist-cnn-opt.onnx {MNIST} --scale 1", "0.9894"),
    (f"onnx/mnist-cnn-opt.onnx {MNIST}", "0.9904"),
    (f"onnx/lenet5-batch10.onnx {MNIST} --first 1000 --scale 1", "0.985"),
    (f"onnx/lenet5-batch10.onnx {MNIST} --first 1000 --mean 33.3285 --scale 0.0127284", "0.985"),
    (f"tflite/resnet8-cifar10-float.tflite {CIFAR} --scale 1", "0.8700"),
    (f"tflite/resnet8-cifar10-int8.tflite {CIFAR} --backend tflite", "0.8685"),
)
# Model with its options, labels, picture, and the best score of some classes.
PICTURES: tuple[tuple[str, str, str, dict[str, float]], ...] = (
    (f"{LITE}tiny-yolov2-trial3-noBatch.cfg", "voc", "dog.jpg", {"bicycle": 0.901, "dog": 0.829, "car": 0.580}),
    (f"{LITE}tiny-yolov2-trial3-noBatch.cfg", "voc", "horses.jpg", {"horse": 0.973}),
    (f"{LITE}tiny-yolov2-trial3-noBatch.cfg", "voc", "person.jpg", {"person": 0.992, "dog": 0.769}),
    (f"{LITE}tiny-yolov2-trial3-noBatch.cfg", "voc", "eagle.jpg", {"bird": 0.858}),
    (f"{COCO_LITE}653550.weights", "coco", "dog.jpg", {"car": 0.703, "dog": 0.636}),
    (f"{COCO_LITE}342850.weights", "coco", "dog.jpg", {"car": 0.732, "dog": 0.587}),
    (f"{FASTEST}.cfg", "coco", "dog.jpg", {"car": 0.882, "dog": 0.680}),
    (f"{FASTEST}-xl.cfg", "coco", "dog.jpg", {"dog": 0.886, "car": 0.866, "bicycle": 0.859}),
    (NANO, "voc", "dog.jpg", {"dog": 0.993, "car": 0.984}),
)
# Quantized classifier, side of its input, picture, and the probability of some of ImageNet's classes.
IMAGENET: tuple[tuple[str, int, str, dict[int, float]], ...] = (
    ("mobilenet_v1_0.25_128_quant", 128, "cat.bmp", {286: 0.219, 283: 0.219, 282: 0.102}),
    ("mobilenet_v1_0.5_160_quant", 160, "cat.bmp", {286: 0.555, 283: 0.266}),
    ("mobilenet_v2_1.0_224_quant", 224, "cat.bmp", {286: 0.727}),
    ("mobilenet_v2_1.0_224_quant", 224, "grace_hopper.bmp", {653: 0.902}),
)


@dataclass(frozen=True)
class Figure:
    """A known figure and ours."""

    what: str
    known: float
    ours: float
    tolerance: float
    command: str
    digits: int = 3

    @property
    def holds(self) -> bool:
        return abs(self.ours - self.known) <= self.tolerance

    def __str__(self) -> str:
        known, ours = (f"{value:.{self.digits}f}" for value in (self.known, self.ours))
        return f"{self.what:<28}{known:>14}{ours:>14}  {'ok ' if self.holds else 'OFF'} {self.command}"


def run(command: str) -> Any:
    """What ``edgecnn ... --json -`` writes."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()) as complaints:
        status = edgecnn([*shlex.split(command), "--json", "-"])
    if status:
        raise SystemExit(f"figures.py: edgecnn {command}: {complaints.getvalue()}")
    return json.loads(out.getvalue())


def figures(backend: str) -> Iterator[Figure]:
    """All figures, in the data folder."""
    for model, names, sets in DETECTORS:
        for where, known in sets.items():
            command = f"eval {model} {where} --labels labels/{names}.names --backend {backend} --pillow"
            yield Figure(f"mAP@.5 on {Path(where).name}", known, run(command)["map50"], 0.01, command)
    for arguments, text in CLASSIFIERS:
        command = f"eval {arguments}" + ("" if "--backend" in arguments else f" --backend {backend}")
        digits = len(text) - 2
        yield Figure("top-1", float(text), round(run(command)["top1"], digits), 1e-9, command, digits)
    for model, names, picture, scores in PICTURES:
        command = f"detect --model {model} --labels labels/{names}.names --backend {backend} images/{picture}"
        boxes = run(command)[0]["detections"]
        for name, known in scores.items():
            best = max((box["confidence"] for box in boxes if box["class"] == name), default=0.0)
            yield Figure(f"{picture}: {name}", known, best, 0.005, command)
    yield from imagenet()
    yield from known_answers(Path("detection-eval"))


def imagenet() -> Iterator[Figure]:
    """Quantized classifiers on pictures that Pillow has resized."""
    with tempfile.TemporaryDirectory() as folder:
        for model, side, picture, probabilities in IMAGENET:
            resized = Path(folder) / f"{Path(picture).stem}-{side}.png"
            with Image.open(f"images/{picture}") as image:
                image.convert("RGB").resize((side, side), Image.BICUBIC).save(resized)
            command = f"classify --model tflite/{model}.tflite --backend tflite {resized}"
            classes = {row["class_id"]: row["probability"] for row in run(command)[0]["classes"]}
            shown = command.replace(f"{folder}/", "")
            for number, known in probabilities.items():
                found = classes.get(number, 0.0)
                yield Figure(f"{picture}: class {number}", known, round(found, 3), 1e-9, shown)


def known_answers(folder: Path) -> Iterator[Figure]:
    """Average precision of given boxes: Padilla's sample, and COCO's with the official tool's figures."""
    sample, boxes = folder / "metrics-sample", ClassBoxes()
    for file in sorted((sample / "groundtruths").glob("*.txt")):
        for line in file.read_text().splitlines():
            x, y, w, h = (float(v) for v in line.split()[1:])
            boxes.add_truth(file.stem, (x, y, x + w, y + h))
    for file in sorted((sample / "detections").glob("*.txt")):
        for line in file.read_text().splitlines():
            score, x, y, w, h = (float(v) for v in line.split()[1:])
            boxes.add_found(file.stem, (x, y, x + w, y + h), score)
    expected = json.loads((sample / "EXPECTED.json").read_text())
    for method in METHODS:
        for iou, known in expected[method].items():
            ours = average_precision(boxes, float(iou), method, inclusive=True) or 0.0
            # The known ones are cut after ten digits, not rounded.
            yield Figure(f"{method} AP at IoU {iou}", known, ours, 1e-10, str(sample), 10)
    sample = folder / "coco-eval-sample"
    truths = json.loads(next((sample / "gts").glob("*.json")).read_text())
    truth: dict[int, list[TrueBox]] = {row["id"]: [] for row in sorted(truths["images"], key=lambda row: row["id"])}
    found: dict[int, list[Found]] = {key: [] for key in truth}
    for row in truths["annotations"]:
        x, y, w, h = row["bbox"]
        box = TrueBox(row["category_id"], (x, y, x + w, y + h), False, bool(row["iscrowd"]), row["area"])
        truth[row["image_id"]].append(box)
    for row in json.loads(next((sample / "dets").glob("*.json")).read_text())["annotations"]:
        x, y, w, h = row["bbox"]
        found[row["image_id"]].append(Found(row["category_id"], (x, y, x + w, y + h), row["score"]))
    expected = json.loads((sample / "EXPECTED.json").read_text())
    for name, value in coco_summary(truth, found).items():
        yield Figure(f"COCO's {name}", expected[name], value or 0.0, expected["tolerance"], str(sample), 6)


def main() -> int:
    parser = argparse.ArgumentParser(description="Accuracy figures that others measured, and ours.")
    parser.add_argument("--data", type=Path, default=os.environ.get("EDGECNN_DATA") or REPOSITORY / "../shared/data")
    parser.add_argument("--backend", default="native")
    parser.add_argument("--only", default="", help="figures in whose line this text is")
    options = parser.parse_args()
    if not (options.data / "darknet").is_dir():
        print(f"figures.py: {options.data} has no folder darknet; name the data folder with --data", file=sys.stderr)
        return 1
    os.chdir(options.data)
    warnings.simplefilter("ignore")
    print(f"{'figure':<28}{'known':>14}{'edgecnn':>14}      edgecnn ...")
    total, off = 0, []
    for figure in figures(options.backend):
        if options.only in str(figure):
            print(figure, flush=True)
            total += 1
            off += [] if figure.holds else [figure]
    print(f"{total - len(off)} of {total} figures as known")
    return 1 if off else 0


if __name__ == "__main__":
    sys.exit(main())
