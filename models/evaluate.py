"""Measures `digits` and `lenet-digits` on digits that training never saw, with edgecnn itself.

    python models/evaluate.py [--mnist FOLDER] [--pictures 300] [--weights FOLDER]

Prints mAP@.5 and mAP@.5:.95 by height of the digits and clutter, and the accuracy on the tenth of the digits that
neither training nor choosing saw. Without MNIST the digits in the pictures are drawn by pen, as some are in training.
Needs Pillow.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from digits_data import DigitPictures, split_mnist

import edgecnn
from edgecnn.evaluate.average_precision import ClassBoxes, mean_average_precision

# Training draws from the seeds (0, i) and (1, i).
TEST_SEED, VALIDATION_SEED = 1000, 1001
SIZES = {"26 to 110": (26.0, 110.0), "26 to 45": (26.0, 45.0), "45 to 70": (45.0, 70.0), "70 to 110": (70.0, 110.0)}
CLUTTER = {"none": 0.0, "as in training": 1.0, "twice": 2.0}


def mean_ap(
    detector: edgecnn.Detector,
    source: DigitPictures,
    count: int,
    seed: int,
    clutter: float = 1.0,
    sizes: tuple[float, float] = SIZES["26 to 110"],
) -> tuple[float, float]:
    """mAP at IoU .5, and the mean over .5 to .95."""
    classes = {digit: ClassBoxes() for digit in range(10)}
    for i in range(count):
        picture, boxes, labels = source.picture((seed, i), clutter, sizes)
        for box, label in zip(boxes, labels):
            classes[int(label)].add_truth(i, box)
        for found in detector(picture[:, :, ::-1]):
            classes[found.class_id].add_found(i, found.xyxy, found.conf)
    values = [mean_average_precision(classes, iou) for iou in np.arange(0.5, 1.0, 0.05)]
    return values[0], float(np.mean(values))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mnist", type=Path, help="folder with the idx files; every tenth digit is judged by")
    parser.add_argument("--pictures", type=int, default=300, help="for each size and clutter (%(default)s)")
    parser.add_argument("--weights", type=Path, default=Path(__file__).parent.parent / "edgecnn" / "zoo" / "weights")
    args = parser.parse_args()

    source = DigitPictures()
    if args.mnist:
        images, labels = split_mnist(args.mnist)[2]
        source = DigitPictures(images, labels, stroke_share=0.0)
        with edgecnn.Classifier(args.weights / "lenet-digits.cfg", backend="native") as classifier:
            right = sum(classifier(image).top(1)[0][0] == label for image, label in zip(images, labels))
        print(f"lenet-digits: accuracy {right / len(images):.4f} on {len(images)} digits\n")

    print(
        f"digits: mAP@.5 and mAP@.5:.95, {args.pictures} pictures each, by height of the digits in pixels and clutter"
    )
    print(f"{'height':<11}" + "".join(f"{name:>17}" for name in CLUTTER))
    with edgecnn.Detector(args.weights / "digits.cfg", conf=0.01, backend="native") as detector:
        for size_name, sizes in SIZES.items():
            cells = [mean_ap(detector, source, args.pictures, TEST_SEED, c, sizes) for c in CLUTTER.values()]
            print(f"{size_name:<11}" + "".join(f"{half:>10.3f} {coco:.3f} " for half, coco in cells), flush=True)


if __name__ == "__main__":
    main()
