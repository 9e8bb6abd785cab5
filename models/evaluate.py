"""Measures `digits` and `lenet-digits` on digits that training never saw, with edgecnn itself.

    python models/evaluate.py --mnist FOLDER [--pictures 300] [--weights FOLDER]

Prints mAP@.5 and mAP@.5:.95 over made pictures of held-out MNIST digits, by glyph size and clutter too, and the
accuracy on the held-out digits. Needs Pillow.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from digits_data import DigitPictures, split_mnist

import edgecnn
from edgecnn.evaluate.average_precision import ClassBoxes, mean_average_precision

SEED = 1000  # training draws from the seeds (0, i) and (1, i)
SETS = {
    "all": {},
    "small (26-45 pixels)": {"sizes": (26.0, 45.0)},
    "large (45-110 pixels)": {"sizes": (45.0, 110.0)},
    "no clutter": {"clutter": 0.0},
    "twice the clutter": {"clutter": 2.0},
}


def mean_ap(detector: edgecnn.Detector, source: DigitPictures, count: int, options: dict) -> tuple[float, float]:
    """mAP at IoU .5, and the mean over .5 to .95."""
    classes = {digit: ClassBoxes() for digit in range(10)}
    for i in range(count):
        picture, boxes, labels = source.picture((SEED, i), **options)
        for box, label in zip(boxes, labels):
            classes[int(label)].add_truth(i, box)
        for found in detector(picture[:, :, ::-1]):
            classes[found.class_id].add_found(i, found.xyxy, found.conf)
    values = [mean_average_precision(classes, iou) for iou in np.arange(0.5, 1.0, 0.05)]
    return values[0], float(np.mean(values))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--mnist", type=Path, required=True, help="folder with the idx files; every fifth digit is held out"
    )
    parser.add_argument("--pictures", type=int, default=300)
    parser.add_argument("--weights", type=Path, default=Path(__file__).parent.parent / "edgecnn" / "zoo" / "weights")
    args = parser.parse_args()

    images, labels = split_mnist(args.mnist)[1]
    with edgecnn.Classifier(args.weights / "lenet-digits.cfg", backend="native") as classifier:
        right = sum(classifier(image).top(1)[0][0] == label for image, label in zip(images, labels))
    print(f"lenet-digits: accuracy {right / len(images):.4f} on {len(images)} held-out digits")

    source = DigitPictures(images, labels, stroke_share=0.0)
    with edgecnn.Detector(args.weights / "digits.cfg", conf=0.01, backend="native") as detector:
        for name, options in SETS.items():
            half, coco = mean_ap(detector, source, args.pictures, options)
            print(f"digits: {name}: mAP@.5 {half:.3f}, mAP@.5:.95 {coco:.3f} on {args.pictures} pictures")


if __name__ == "__main__":
    main()
