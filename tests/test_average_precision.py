"""Average precision against published figures and worked examples."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgecnn.evaluate.average_precision import ClassBoxes, average_precision, mean_average_precision


@pytest.fixture(scope="module")
def sample(data_dir: Path) -> tuple[ClassBoxes, dict[str, dict[str, float]]]:
    """The toy set of the data folder, and what its authors' tool computes."""
    folder = data_dir / "detection-eval" / "metrics-sample"
    boxes = ClassBoxes()
    for file in sorted((folder / "groundtruths").glob("*.txt")):
        for line in file.read_text().splitlines():
            x, y, w, h = (float(v) for v in line.split()[1:])
            boxes.add_truth(file.stem, (x, y, x + w, y + h))
    for file in sorted((folder / "detections").glob("*.txt")):
        for line in file.read_text().splitlines():
            score, x, y, w, h = (float(v) for v in line.split()[1:])
            boxes.add_found(file.stem, (x, y, x + w, y + h), score)
    return boxes, json.loads((folder / "EXPECTED.json").read_text())


@pytest.mark.parametrize("method", ["11-point", "every-point"])
@pytest.mark.parametrize("iou", ["0.1", "0.3", "0.5", "0.75"])
def test_published_sample(sample: tuple[ClassBoxes, dict[str, dict[str, float]]], method: str, iou: str) -> None:
    boxes, expected = sample
    assert average_precision(boxes, float(iou), method, inclusive=True) == pytest.approx(
        expected[method][iou], abs=1e-9
    )


def test_worked_example() -> None:
    boxes = ClassBoxes()
    for i in range(4):
        boxes.add_truth("a", (20 * i, 0, 20 * i + 10, 10))
    for score, i in ((0.9, 0), (0.7, 1), (0.5, 2)):
        boxes.add_found("a", (20 * i, 0, 20 * i + 10, 10), score)
    boxes.add_found("a", (0, 0, 10, 10), 0.8)  # the first again
    boxes.add_found("b", (0, 0, 10, 10), 0.6)  # another picture
    # right, wrong, right, wrong, right of 4: precision 1, 2/3, 3/5 at recall 1/4, 1/2, 3/4
    assert average_precision(boxes) == pytest.approx((1 + 2 / 3 + 3 / 5) / 4)
    assert average_precision(boxes, method="11-point") == pytest.approx((3 * 1 + 3 * 2 / 3 + 2 * 3 / 5) / 11)
    assert average_precision(boxes, iou=1.0) == average_precision(boxes)


def test_ignored_boxes_count_neither_way() -> None:
    boxes = ClassBoxes()
    boxes.add_truth("a", (0, 0, 10, 10))
    boxes.add_truth("a", (50, 0, 60, 10), ignored=True)
    boxes.add_found("a", (50, 0, 60, 10), 0.9)
    boxes.add_found("a", (0, 0, 10, 10), 0.8)
    assert average_precision(boxes) == 1.0


def test_edges() -> None:
    boxes = ClassBoxes()
    assert average_precision(boxes) is None
    boxes.add_truth("a", (0, 0, 10, 10), ignored=True)
    assert average_precision(boxes) is None
    boxes.add_truth("a", (20, 0, 30, 10))
    assert average_precision(boxes) == 0.0 and average_precision(boxes, method="11-point") == 0.0
    with pytest.raises(ValueError, match="method"):
        average_precision(boxes, method="coco")
    assert mean_average_precision({}) == 0.0
    assert mean_average_precision({"cat": boxes, "dog": ClassBoxes()}) == 0.0
