"""mAP@.5 of trained networks on small public sets, beside the figures that an independent script measured.

    python bench/map.py [--data FOLDER] [--backend native] [--threads 1] [--only NAME]

The data folder is not part of the repository: ``$EDGECNN_DATA``, else ``../shared/data`` beside it. Method: pictures
stretched to the input by Pillow's bilinear filter, which rounds to 8 bits, confidence above .005, boxes clipped to the
picture, NMS per class at IoU .45, VOC every-point average precision at IoU .5, "difficult" boxes ignored. Exit status 1
where a figure is off by more than .01.

The last column is what `edgecnn.Detector` gives, which does not round while it resizes and clips after NMS. The sets
are so small that a grey level more or less moves a figure by .02: the figures are for parity, not benchmarks.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY))

import numpy as np  # noqa: E402
from PIL import Image  # noqa: E402

import edgecnn  # noqa: E402
from edgecnn import boxes  # noqa: E402
from edgecnn.evaluate.annotations import AnnotatedPicture, read_annotations  # noqa: E402
from edgecnn.evaluate.average_precision import ClassBoxes, mean_average_precision  # noqa: E402
from edgecnn.yolo.decoder import Decoder  # noqa: E402
from edgecnn.zoo.labels import COCO, VOC  # noqa: E402

TOLERANCE = 0.01
CONFIDENCE, IOU, MAX_BOXES = 0.005, 0.45, 10_000


# Set, in the data folder's detection-eval, and the names of its classes.
SETS = {"voc2007test": VOC, "voc2012": VOC, "coco128-val2017": COCO}

# Name, .cfg and .weights under data/darknet, and the measured figure for each set.
NETWORKS: tuple[tuple[str, str, str, dict[str, float]], ...] = (
    (
        "YOLO-LITE VOC (trial3-noBatch)",
        "yolo-lite/tiny-yolov2-trial3-noBatch.cfg",
        "yolo-lite/tiny-yolov2-trial3-noBatch.weights",
        {"voc2007test": 0.478, "voc2012": 0.523},
    ),
    (
        "YOLO-LITE VOC with batch norm (trial3)",
        "yolo-lite/tiny-yolov2-trial3.cfg",
        "yolo-lite/tiny-yolov2-trial3.weights",
        {"voc2007test": 0.552, "voc2012": 0.527},
    ),
    (
        "YOLO-LITE VOC at 416 (trial10)",
        "yolo-lite/tiny-yolov2-trial10.cfg",
        "yolo-lite/tiny-yolov2-trial10.weights",
        {"voc2007test": 0.467, "voc2012": 0.365},
    ),
    (
        "YOLO-LITE COCO (trial6, 653550)",
        "yolo-lite/coco-trial6.cfg",
        "yolo-lite/coco-trial6_653550.weights",
        {"coco128-val2017": 0.192},
    ),
    (
        "YOLO-LITE COCO (trial6, 342850)",
        "yolo-lite/coco-trial6.cfg",
        "yolo-lite/coco-trial6_342850.weights",
        {"coco128-val2017": 0.186},
    ),
    (
        "Yolo-Fastest 1.1",
        "yolo-fastest/yolo-fastest-1.1.cfg",
        "yolo-fastest/yolo-fastest-1.1.weights",
        {"coco128-val2017": 0.386},
    ),
    (
        "Yolo-Fastest 1.1 XL",
        "yolo-fastest/yolo-fastest-1.1-xl.cfg",
        "yolo-fastest/yolo-fastest-1.1-xl.weights",
        {"coco128-val2017": 0.440},
    ),
    (
        "MobileNetV2-YOLOv3-Nano",
        "mobilenet-yolo/MobileNetV2-YOLOv3-Nano-voc.cfg",
        "mobilenet-yolo/MobileNetV2-YOLOv3-Nano-voc.weights",
        {"voc2007test": 0.703, "voc2012": 0.901},
    ),
)


Found = Iterable[tuple[int, Sequence[float], float]]  # class, box in pixels, score


def detect_by_the_method(predictor: edgecnn.Predictor) -> Callable[[Path], Found]:
    """Detection exactly as the independent script did it."""
    _, _, height, width = predictor.inputs[0].shape
    decoder = Decoder(predictor.metadata.heads, predictor.outputs, (width, height), predictor.name)

    def detect(path: Path) -> Found:
        with Image.open(path) as image:
            size = np.array(image.size * 2, np.float32)
            pixels = np.asarray(image.convert("RGB").resize((width, height), Image.BILINEAR), np.float32)
        outputs = predictor.run(np.ascontiguousarray(pixels.transpose(2, 0, 1)[np.newaxis] / np.float32(255)))
        xyxy, scores, class_ids = decoder(outputs, CONFIDENCE)
        xyxy = np.clip(xyxy, 0, 1)
        keep = boxes.nms(xyxy, scores, class_ids, IOU, MAX_BOXES, False)
        return [(int(class_ids[i]), xyxy[i] * size, float(scores[i])) for i in keep]

    return detect


def detect_with_detector(predictor: edgecnn.Predictor) -> Callable[[Path], Found]:
    """Detection as users get it."""
    detector = edgecnn.Detector(predictor, conf=CONFIDENCE, iou=IOU, max_det=MAX_BOXES)
    return lambda path: [(found.class_id, found.xyxy, found.conf) for found in detector(path)]


def measure(detect: Callable[[Path], Found], pictures: Sequence[AnnotatedPicture]) -> float:
    """mAP@.5 on a set."""
    classes: dict[int, ClassBoxes] = {}
    for picture in pictures:
        for truth in picture.boxes:
            classes.setdefault(truth.class_id, ClassBoxes()).add_truth(picture.path, truth.xyxy, truth.ignored)
        for class_id, box, score in detect(picture.path):
            classes.setdefault(class_id, ClassBoxes()).add_found(picture.path, box, score)
    return mean_average_precision(dict(classes))


def main() -> int:
    parser = argparse.ArgumentParser(description="mAP@.5 of trained networks on small public sets.")
    parser.add_argument("--data", type=Path, default=os.environ.get("EDGECNN_DATA") or REPOSITORY / "../shared/data")
    parser.add_argument("--backend", default="auto")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--only", default="", help="networks whose name holds this text")
    options = parser.parse_args()
    data = Path(options.data)
    if not (data / "darknet").is_dir():
        print(
            f"map.py: {data} has no folder darknet; name the data folder with --data or EDGECNN_DATA", file=sys.stderr
        )
        return 1
    print(f"{'network':<40}{'set':<18}{'mAP@.5':>7}{'expected':>10}{'off by':>8}{'Detector':>10}")
    worst = 0.0
    for name, cfg, weights, expected in NETWORKS:
        if options.only.lower() not in name.lower():
            continue
        files = (data / "darknet" / cfg, data / "darknet" / weights)
        with edgecnn.load(*files, backend=options.backend, threads=options.threads) as predictor:
            for set_name, figure in expected.items():
                pictures = read_annotations(data / "detection-eval" / set_name, SETS[set_name]).pictures
                value = measure(detect_by_the_method(predictor), pictures)
                users = measure(detect_with_detector(predictor), pictures)
                worst = max(worst, abs(value - figure))
                print(
                    f"{name:<40}{set_name:<18}{value:7.3f}{figure:10.3f}{value - figure:+8.3f}{users:10.3f}", flush=True
                )
    print(f"largest difference {worst:.4f}; {'within' if worst <= TOLERANCE else 'NOT within'} {TOLERANCE}")
    return 0 if worst <= TOLERANCE else 1


if __name__ == "__main__":
    sys.exit(main())
